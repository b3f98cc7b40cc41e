"""What a life may be asked for, one ask at a time, by the published order of each verb."""

from typing import Any

from lua.outcomes import Outcome
from tests.simulation.life_model import CHARS, Coupon, Hold, Life, Redemption


def _held(coupon: Coupon) -> list[Any]:
    hold = coupon.hold
    return [Outcome.HELD, hold.order, hold.by, hold.until_ms, coupon.holder]


def reserve(life: Life, code: str, order: str, holder: str, by: str, ttl_ms: int, detail: str) -> Any:
    """Hold a coupon, or one use of a code."""
    if not life.ready:
        return Outcome.NOT_READY
    coupon = life.touch(code)
    if not coupon:
        return Outcome.ABSENT
    if not life.may(coupon, holder):
        return Outcome.NOT_HOLDER
    until_ms = min(life.now + ttl_ms, coupon.expires_ms)
    mine = life.use(coupon, order) if coupon.many else coupon.hold
    state = life.state(coupon)
    if mine and mine.order == order and state != "revoked":
        return [Outcome.REPLAYED, mine.until_ms, coupon.holder, mine.by]
    if state == "reserved":
        return _held(coupon)
    if state != "claimed":
        return [Outcome.WRONG_STATE, CHARS[state], coupon.holder]
    if coupon.many and not life.has_room(coupon):
        return [Outcome.SHORT, coupon.holder]
    if coupon.many:
        coupon.holds[order] = Hold(order, by, until_ms)
        coupon.left -= 1
    else:
        coupon.hold, coupon.state = Hold(order, by, until_ms), "reserved"
    life.step("reserved", coupon, order, ("outstanding", "reserved", 1), detail, until_ms=until_ms)
    return [Outcome.DONE, until_ms, coupon.holder]


def release(life: Life, code: str, order: str, holder: str, by: str, detail: str) -> Any:
    """Let a hold go."""
    if not life.ready:
        return Outcome.NOT_READY
    coupon = life.touch(code)
    if not coupon:
        return Outcome.ABSENT
    if not life.may(coupon, holder):
        return Outcome.NOT_HOLDER
    hold = life.use(coupon, order) if coupon.many else coupon.hold
    if not hold or not hold.order:
        return Outcome.UNCHANGED
    if order not in ("", hold.order) or by not in ("", hold.by):
        return [Outcome.HELD, hold.order, hold.by, hold.until_ms, coupon.holder]
    if coupon.many:
        life.let_use_go(coupon, order, detail)
    else:
        life.let_go(coupon, detail)
    return [Outcome.DONE, hold.order, coupon.holder]


def _earlier(life: Life, scope: str, payload: str) -> Any:
    if scope not in life.acts:
        return None
    id_, _, its_payload = life.acts[scope].partition(" ")
    return [Outcome.REPLAYED, id_, life.redemptions[id_].record] if its_payload == payload else Outcome.KEY_REUSED


def redeem(
    life: Life, frozen: str, id_: str, code: str, order: str, holder: str, key: str, scope: str, payload: str,
    charge: str, minor: str, detail: str,
) -> Any:  # fmt: skip
    """Spend a coupon, a part of a balance, or one use of a code."""
    if before := _earlier(life, key, payload):
        return before
    if not life.ready:
        return Outcome.NOT_READY
    coupon = life.touch(code)
    if not coupon:
        return Outcome.ABSENT
    if not life.may(coupon, holder):
        return Outcome.NOT_HOLDER
    if before := _earlier(life, scope, payload):
        return before
    state = life.state(coupon)
    if state == "reserved" and coupon.hold.order != order:
        return _held(coupon)
    if state not in ("claimed", "reserved"):
        return [Outcome.WRONG_STATE, CHARS[state], coupon.holder]
    if frozen != "f1":
        return Outcome.STALE
    takes = int(charge) if life.kind == "balance" and not coupon.many else 1
    hold = life.use(coupon, order) if coupon.many else None
    room = coupon.left >= takes if not coupon.many else bool(hold) or life.has_room(coupon)
    if not room:
        return [Outcome.SHORT, coupon.left, coupon.holder]
    source = "reserved" if hold or state == "reserved" else "outstanding"
    if hold:
        del coupon.holds[order]
    else:
        coupon.left -= takes
    coupon.hold = Hold()
    coupon.state = "claimed" if coupon.left or coupon.holds else "redeemed"
    place = "redeemed" if coupon.many or coupon.state == "redeemed" else "outstanding"
    seq = life.step("redeemed", coupon, id_, (source, place, 1), detail, minor=int(minor))
    life.redemptions[id_] = Redemption(
        id_, code, seq, life.now, int(minor), takes, coupon.state, coupon.left, scope, detail
    )
    life.acts[key] = life.acts[scope] = f"{id_} {payload}"
    return [Outcome.DONE, seq, coupon.holder, CHARS[coupon.state], coupon.left]


def rollback(
    life: Life, id_: str, key: str, payload: str, rollbacks: int, minor: str, fate: str, extend_ms: int, returns: str,
    detail: str,
) -> Any:  # fmt: skip
    """Give back a redemption or a part of it."""
    if key in life.acts:
        its_id, number, *its_payload = life.acts[key].split(" ")
        if [its_id, payload] != [id_, *its_payload]:
            return Outcome.KEY_REUSED
        return [Outcome.REPLAYED, int(number), life.redemptions[id_].record]
    if not life.ready:
        return Outcome.NOT_READY
    redemption = life.redemptions.get(id_)
    if not redemption:
        return Outcome.ABSENT
    if len(redemption.parts) != rollbacks:
        return [Outcome.STALE, redemption.record]
    if redemption.is_back or redemption.back + int(minor) > redemption.minor:
        return Outcome.SHORT
    coupon = life.touch(redemption.code)
    assert coupon
    whole, before = redemption.back + int(minor) == redemption.minor, coupon.expires_ms
    if coupon.many:
        move = _use_back(life, coupon, fate, returns) if whole else ("", "", 0)
    elif life.kind == "balance" or whole:
        move = _back(life, coupon, int(minor), whole, fate, extend_ms, returns)
    else:
        move = ("", "", 0)
    until_ms = coupon.expires_ms if coupon.expires_ms != before else 0
    seq = life.step("rolled_back", coupon, id_, move, detail, minor=int(minor), until_ms=until_ms)
    redemption.parts.append([seq, life.now, minor, coupon.state, coupon.expires_ms, detail])
    life.acts[key] = f"{id_} {len(redemption.parts)} {payload}"
    if whole and life.acts.get(redemption.scope, "").partition(" ")[0] == id_:
        del life.acts[redemption.scope]
    return [Outcome.DONE, seq, coupon.state, coupon.expires_ms, str(redemption.back)]


def _use_back(life: Life, coupon: Coupon, fate: str, returns: str) -> tuple[str, str, int]:
    """One use of a code comes back."""
    if coupon.state == "revoked":
        place = "revoked"
    elif fate == "restore" and coupon.state != "expired" and coupon.expires_ms > life.now:
        coupon.left, coupon.state = coupon.left + 1, "claimed"
        return "redeemed", "outstanding", 1
    else:
        place = "stock" if "stock" in returns else "expired"
    coupon.ended[place] += 1
    return "redeemed", place, 1


def _back(
    life: Life, coupon: Coupon, minor: int, whole: bool, fate: str, extend_ms: int, returns: str
) -> tuple[str, str, int]:
    """A coupon that can be used once comes back, or a part of a balance."""
    coupon.left = coupon.left + minor if life.kind == "balance" else 1
    late = coupon.expires_ms <= life.now
    if coupon.state == "redeemed":
        restored = fate == "restore" or not whole
        if restored and late and extend_ms:
            coupon.expires_ms, late = life.now + extend_ms, False
        if restored and not late:
            coupon.state = "claimed"
            return "redeemed", "outstanding", 1
        coupon.state = "expired"
        untouched = coupon.left == coupon.of
        coupon.freed = coupon.freed or (untouched and "slot" in returns)
        place = "stock" if untouched and "stock" in returns else "expired"
        coupon.ended[place] += 1
        return "redeemed", place, 1
    if coupon.state == "revoked" or fate != "restore" or not late or not extend_ms:
        return "", "", 0
    coupon.expires_ms = life.now + extend_ms
    if coupon.state == "expired":
        coupon.state = "claimed"
        coupon.ended.clear()
        return "expired", "outstanding", 1
    return "", "", 0


def _end(life: Life, coupon: Coupon, state: str, detail: str) -> int:
    untouched = coupon.many or coupon.left == coupon.of
    units, place = coupon.left if coupon.many else 1, life.end_place(state) if untouched else state
    coupon.state = state
    coupon.freed = coupon.freed or (untouched and "slot" in life.returns[state])
    coupon.ended[place] += units
    return life.step(state, coupon, "", ("outstanding", place, units), detail)


def expire(life: Life, code: str) -> Any:
    """Book that the time of a coupon is over."""
    if not life.ready:
        return Outcome.NOT_READY
    coupon = life.touch(code)
    if not coupon:
        return Outcome.ABSENT
    if coupon.state != "claimed" or coupon.expires_ms > life.now:
        return Outcome.UNCHANGED
    return _end(life, coupon, "expired", '{"reason":"its time is over"}')


def revoke(life: Life, code: str, detail: str) -> Any:
    """Take a coupon away."""
    if not life.ready:
        return Outcome.NOT_READY
    coupon = life.touch(code)
    if not coupon:
        return Outcome.ABSENT
    state = life.state(coupon)
    if state == "revoked":
        return Outcome.UNCHANGED
    if state in ("redeemed", "expired"):
        return [Outcome.WRONG_STATE, CHARS[state], coupon.holder]
    if state == "reserved":
        life.let_go(coupon, '{"reason":"revoked"}')
    return [Outcome.DONE, _end(life, coupon, "revoked", detail), coupon.holder]
