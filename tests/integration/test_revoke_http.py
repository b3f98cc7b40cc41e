"""Revoking one coupon through HTTP: from which state, again, while it is held, by whom, what goes back by policy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.keys import ROLES
from tests.conftest import redis_binaries
from tests.integration.draining import Books
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker with coupons whose units and slots stay away, and coupons whose come back."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        await http.publish(stock=100)
        await http.publish(id="back", on_revoke={"stock": "restore", "holder_slot": "restore"})
        yield Till(http)


async def test_a_coupon_is_taken_away(till: Till) -> None:
    """200 with its state; the code may be typed in any case and grouping; nobody can use it any more."""
    [code] = await till.claimed("ann")

    revoked = done(await till.revoke(f"{code[:4].lower()}-{code[4:]}"), 200)

    assert (revoked["code"], revoked["campaign"], revoked["state"]) == (code, "flash", "revoked")
    assert told(await till.redeem(code), "from", "allowed") == (409, "invalid_state", "revoked", [])
    assert done(await till.hold(code, "@ann"), 200)["state"] == "revoked"


async def test_again_changes_nothing(till: Till) -> None:
    """200 and Idempotency-Replayed, a hundred at once too: one of them did it."""
    one, two = await till.claimed("ann", "bob")
    assert "idempotency-replayed" not in (await till.revoke(one)).headers
    before = await till.dump()
    again = await till.revoke(one, reason="another")
    assert (done(again, 200)["state"], again.headers["idempotency-replayed"]) == ("revoked", "true")
    assert await till.dump() == before

    answers = await asyncio.gather(*(till.revoke(two) for _ in range(100)))

    assert {answer.status_code for answer in answers} == {200}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


async def test_what_is_spent_stays_spent(till: Till) -> None:
    """409 invalid_state with from, to and allowed; once it came back it can be taken away."""
    [code] = await till.claimed("ann")
    id_ = done(await till.redeem(code))["id"]

    refused = await till.revoke(code)

    assert told(refused, "from", "to", "allowed") == (
        (409, "invalid_state", "redeemed", "revoked", ["claimed", "expired"])
    )
    done(await till.roll_back(id_))
    done(await till.revoke(code), 200)


async def test_a_held_coupon_is_let_go_first(till: Till, postgres_url: str) -> None:
    """The order that held it has nothing left, and no hold stays; once, the audit log has who, why and how it was."""
    [code] = await till.claimed("ann")
    done(await till.reserve(code, "o-1"))

    for _ in range(2):
        done(await till.revoke(code, reason="misprint"), 200)

    seen = done(await till.hold(code), 200)
    with Books(postgres_url) as books:
        [(actor, detail)] = books.rows(
            "SELECT actor, detail FROM audit_log WHERE action = 'coupon.revoked' AND subject = %s", f"coupon:{code}"
        )
    assert actor.startswith("key:")
    assert detail == {
        "before": {"state": "reserved", "order": "o-1"}, "after": {"state": "revoked"}, "reason": "misprint"
    }  # fmt: skip
    assert (seen["state"], seen["order_id"], seen["reserved_until"]) == ("revoked", None, None)
    assert told(await till.redeem(code, an_order("o-1")), "from") == (409, "invalid_state", "revoked")


async def test_what_goes_back_is_the_campaigns_policy(till: Till) -> None:
    """Kept: one coupon less and the holder had his; restored: the unit is sold again, to him too."""
    for campaign, remaining, status in (("flash", 99, 409), ("back", 10, 201)):
        [code] = await till.claimed("ann", campaign=campaign)
        done(await till.revoke(code), 200)
        seen = (await till.ask("GET", f"/v1/campaigns/{campaign}", "marketer")).json()
        again = await till.ask("POST", f"/v1/campaigns/{campaign}/claims", "@ann", {}, idempotency_key="k2")
        assert (seen["remaining"], again.status_code) == (remaining, status)


async def test_rollback_against_revoke(till: Till) -> None:
    """Of forty pairs at once the rollback is always done, and the coupon is revoked or claimed as it was told."""
    codes = await till.claimed(*(f"h{n}" for n in range(40)))
    ids = [done(await till.redeem(code, key=code))["id"] for code in codes]

    async def race(code: str, id_: str) -> None:
        back, revoked = await asyncio.gather(till.roll_back(id_, key=id_), till.revoke(code))
        assert done(back)["state"] == "rolled_back"
        assert await till.state(code) == ("revoked" if revoked.status_code == 200 else "claimed")

    await asyncio.gather(*(race(code, id_) for code, id_ in zip(codes, ids, strict=True)))


async def test_redeem_against_revoke(till: Till) -> None:
    """Of forty pairs at once exactly one side has each coupon."""
    codes = await till.claimed(*(f"h{n}" for n in range(40)))

    async def race(code: str) -> list[int]:
        return [each.status_code for each in await asyncio.gather(till.redeem(code, key=code), till.revoke(code))]

    assert {tuple(pair) for pair in await asyncio.gather(*map(race, codes))} <= {(201, 409), (409, 200)}


async def test_who_may(till: Till) -> None:
    """Marketers and admins alone; for codes that are not there 404."""
    codes = await till.claimed("ann", "bob")
    before = await till.dump()

    for who in (None, "@ann", *(role for role in ROLES if role not in ("admin", "marketer"))):
        expected = (401, "unauthenticated") if who is None else (403, "forbidden")
        assert told(await till.revoke(codes[0], who)) == expected, who
    for absent in ("0001" + "A" * 14, "no"):
        assert told(await till.revoke(absent)) == (404, "coupon_not_found")
    assert await till.dump() == before
    done(await till.revoke(codes[1], "admin"), 200)


async def test_a_reason_is_needed(till: Till) -> None:
    """400 with the field, and nothing has changed."""
    [code] = await till.claimed("ann")
    before = await till.dump()

    for body, field in (({}, "reason"), ({"reason": " "}, "reason"), ({"reason": "r", "code": "x"}, "code")):
        answer = await till.ask("POST", f"/v1/coupons/{code}/revoke", "marketer", body)
        assert told(answer, "field") == (400, "bad_request", field), body
    assert await till.dump() == before
