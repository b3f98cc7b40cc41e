"""The life of coupons after the claim in plain Python: no Redis, no packing, no counters kept beside the facts."""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from lua.outcomes import Outcome

CHARS = {"claimed": "c", "reserved": "r", "redeemed": "u", "expired": "x", "revoked": "v"}
LAPSED = '{"reason":"lapsed"}'


@dataclass
class Hold:
    """A hold for *order*; '' and 0 for none."""

    order: str = ""
    by: str = ""
    until_ms: int = 0


@dataclass
class Coupon:
    """A coupon or, where *many*, a code that *of* may use; *ended* is where units went that are done with."""

    code: str
    holder: str
    key: str
    seq: int
    claimed_ms: int
    expires_ms: int
    of: int
    many: bool = False
    state: str = "claimed"
    left: int = 0
    hold: Hold = field(default_factory=Hold)
    holds: dict[str, Hold] = field(default_factory=dict)
    freed: bool = False
    ended: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.left = self.of


@dataclass
class Redemption:
    """What was taken, and the parts that came back."""

    id: str
    code: str
    seq: int
    at_ms: int
    minor: int
    charge: int
    state: str
    left: int
    scope: str
    detail: str
    parts: list[list[Any]] = field(default_factory=list)

    @property
    def back(self) -> int:
        """Minor units that came back."""
        return sum(int(part[2]) for part in self.parts)

    @property
    def is_back(self) -> bool:
        """All of it came back."""
        return bool(self.parts) and self.back == self.minor

    @property
    def record(self) -> list[Any]:
        """As the scripts give it."""
        told = [str(self.minor), str(self.charge), str(self.back), CHARS[self.state], str(self.left)]
        return [self.code, self.seq, self.at_ms, *told, self.scope, self.detail, list(self.parts)]


@dataclass
class Life:
    """A shard. *steps* are those of the call that is under way."""

    kind: str
    unit: int
    budget: int | None
    per_holder: int
    transferable: bool
    returns: dict[str, str]  # expired, revoked → what goes back
    now: int
    stock: int
    seq: int = 2
    ready: bool = True
    coupons: dict[str, Coupon] = field(default_factory=dict)
    redemptions: dict[str, Redemption] = field(default_factory=dict)
    acts: dict[str, str] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    # What is so

    def live(self, coupon: Coupon) -> list[Redemption]:
        """Redemptions of the coupon of which something is not back."""
        return [one for one in self.redemptions.values() if one.code == coupon.code and not one.is_back]

    @property
    def budget_used(self) -> int:
        """What the coupons that are out may still cost, and what those that are spent did."""
        used = 0
        for coupon in self.coupons.values():
            open_ = coupon.state in ("claimed", "reserved")
            if coupon.many:
                left = coupon.left if open_ else 0
                used += self.unit * (left + len(coupon.holds) + len(self.live(coupon)))
            elif self.kind == "balance":
                used += coupon.left if open_ else 0
                used += sum(one.minor - one.back for one in self.live(coupon))
            else:
                used += self.unit if open_ or coupon.state == "redeemed" else 0
        return used

    @property
    def book(self) -> Counter[str]:
        """Units by account, as the coupons stand; each is somewhere, once."""
        book = Counter({"stock": self.stock})
        for coupon in self.coupons.values():
            if coupon.many:
                units = Counter(reserved=len(coupon.holds), redeemed=len(self.live(coupon)), **coupon.ended)
                units["outstanding"] = coupon.left if coupon.state == "claimed" else 0
                assert sum(units.values()) == coupon.of
            else:
                place = {"claimed": "outstanding"}.get(coupon.state, coupon.state)
                units = Counter(coupon.ended or [place])
                assert sum(units.values()) == 1
            units.pop("stock", None)  # there already
            book.update(units)
        book["supply"] = -sum(book.values())
        return book

    def state(self, coupon: Coupon) -> str:
        """By the clock, booked or not."""
        over = coupon.state in ("claimed", "reserved") and coupon.expires_ms <= self.now
        return "expired" if over else coupon.state

    def may(self, coupon: Coupon, holder: str) -> bool:
        """Whether *holder* may do something with it."""
        return holder in ("", coupon.holder) or not coupon.holder or self.transferable

    # What every verb does on its way

    def step(
        self, verb: str, coupon: Coupon, ref: str, move: tuple[str, str, int], detail: str,
        *, minor: int | None = None, until_ms: int = 0,
    ) -> int:  # fmt: skip
        """One step, as it has to be on the stream."""
        self.seq += 1
        source, destination, units = move if move[2] and move[0] != move[1] else ("", "", 0)
        if destination == "stock":
            self.stock += units
        self.steps += [
            verb, coupon.code, coupon.holder, ref, "" if minor is None else str(minor), coupon.state,
            source, destination, str(units), str(coupon.left), str(until_ms or ""), detail,
        ]  # fmt: skip
        return self.seq

    def let_go(self, coupon: Coupon, detail: str) -> None:
        """Release a reserved coupon."""
        order, coupon.hold, coupon.state = coupon.hold.order, Hold(), "claimed"
        self.step("released", coupon, order, ("reserved", "outstanding", 1), detail)

    def let_use_go(self, coupon: Coupon, order: str, detail: str) -> None:
        """Release one hold of a code that many may use."""
        del coupon.holds[order]
        place = "outstanding"
        if coupon.state == "claimed":
            coupon.left += 1
        else:
            place = self.end_place(coupon.state)
            coupon.ended[place] += 1
        self.step("released", coupon, order, ("reserved", place, 1), detail)

    def end_place(self, state: str) -> str:
        """Where units go that end so."""
        return "stock" if "stock" in self.returns[state] else state

    def touch(self, code: str) -> Coupon | None:
        """The coupon now; a hold past its time is gone."""
        coupon = self.coupons.get(code)
        if coupon and coupon.state == "reserved" and coupon.hold.until_ms <= self.now:
            self.let_go(coupon, LAPSED)
        return coupon

    def use(self, coupon: Coupon, order: str) -> Hold | None:
        """The hold of *order* on a code that many may use."""
        hold = coupon.holds.get(order)
        if hold and hold.until_ms <= self.now:
            self.let_use_go(coupon, order, LAPSED)
            return None
        return hold

    def overdue(self) -> list[tuple[int, bytes, Coupon, str]]:
        """Holds past their time, in the order of a sorted set."""
        found = [
            (hold.until_ms, f"{coupon.code} {order}".encode(), coupon, order)
            for coupon in self.coupons.values()
            for order, hold in coupon.holds.items()
        ]
        found += [(c.hold.until_ms, c.code.encode(), c, "") for c in self.coupons.values() if c.state == "reserved"]
        return sorted((one for one in found if one[0] <= self.now), key=lambda one: one[:2])

    def lapse(self, limit: int) -> int:
        """Free what is overdue."""
        found = self.overdue()[:limit]
        for _, _, coupon, order in found:
            if order:
                self.let_use_go(coupon, order, LAPSED)
            else:
                self.let_go(coupon, LAPSED)
        return len(found)

    def has_room(self, coupon: Coupon) -> bool:
        """Whether a use is left, once overdue holds are gone."""
        if not coupon.left:
            self.lapse(10_000)
        return coupon.left > 0

    def claim(self, holder: str, key: str, code: str) -> Any:
        """One more coupon of a campaign that is open."""
        mine = [coupon for coupon in self.coupons.values() if coupon.holder == holder]
        counting = [coupon.code for coupon in mine if not coupon.freed]
        for c in mine:
            if c.key == key:
                return [Outcome.REPLAYED, c.code, c.seq, c.claimed_ms, c.expires_ms]
        if not self.ready:
            return Outcome.NOT_READY
        if counting and len(counting) >= self.per_holder:
            return [Outcome.LIMIT_REACHED, *counting]
        if self.budget is not None and self.budget_used + self.unit > self.budget:
            return Outcome.BUDGET_EXHAUSTED
        if self.stock < 1:
            return Outcome.SOLD_OUT
        self.seq, self.stock = self.seq + 1, self.stock - 1
        of = self.unit if self.kind == "balance" else 1
        self.coupons[code] = Coupon(code, holder, key, self.seq, self.now, self.now + 3_600_000, of)
        return self.seq

    def inspect(self, asks: list[tuple[str, str]]) -> list[Any]:
        """What is told of coupons; nothing changes."""
        shard, found = deepcopy(self), list[Any]()
        for code, order in asks:
            coupon = shard.touch(code)
            if not coupon:
                found.append(False)
                continue
            if coupon.many:
                shard.has_room(coupon)
            hold = (shard.use(coupon, order) if coupon.many and order else None) or coupon.hold
            found.append(
                [CHARS[shard.state(coupon)], coupon.holder, coupon.seq, coupon.claimed_ms, coupon.expires_ms,
                 coupon.left, coupon.of, hold.order, hold.by, hold.until_ms, coupon.many]
            )  # fmt: skip
        return found
