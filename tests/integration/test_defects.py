"""What went wrong in other coupon systems, each as a test that it does not here (docs/defects.md has the rest)."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.lane import Lane
from gateway.wire import rfc3339
from lua.door import Door
from lua.entries import Changed, Claimed
from lua.outcomes import Outcome
from tests.builders import HOUR_MS, a_redeem, a_rollback, an_ask, now_ms, open_shard
from tests.conftest import Eventually
from tests.http import Worker, claim_bytes
from tests.integration.draining import Books, draining
from tests.integration.life import open_life
from tests.phone import Phone, request_bytes

ORDER = {
    "id": "o-1",
    "currency": "CNY",
    "lines": [{"sku": "A1", "quantity": 1, "unit_price_minor": 5000}],
}


@pytest.fixture
async def site(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """One worker on a socket."""
    async with Worker(redis_url, postgres_url, tmp_path, http=Lane) as worker:
        yield worker


async def test_one_holder_asking_a_hundred_times_at_once_burns_one_unit(door: Door) -> None:
    """A check before the write that is not in the same step lets one person burn many units: here it is one."""
    shard = await open_shard(door, stock=50)

    rushes = await asyncio.gather(*(shard.claim(an_ask("ann", key=f"k{n}")) for n in range(100)))
    replies = [rush.replies[0] for rush in rushes]

    assert Counter("claimed" if isinstance(reply, int) else reply[0] for reply in replies) == {
        "claimed": 1,
        Outcome.LIMIT_REACHED: 99,
    }
    assert await shard.stock() == 49


async def test_sold_out_is_forgotten_with_a_restock(door: Door) -> None:
    """A flag "sold out" that is never cleared makes returned stock unsellable: here the next claim gets it."""
    shard = await open_shard(door, stock=1)
    await shard.claim(an_ask("ann"))
    assert (await shard.claim(an_ask("bob"))).replies == [Outcome.SOLD_OUT]

    await shard.adjust(1)

    assert (await shard.claim(an_ask("bob"))).replies == [5]


async def test_a_burst_before_the_start_leaves_the_stock(door: Door) -> None:
    """A window that is tested after the stock was taken lets early callers burn it: here nothing is written."""
    shard = await open_shard(door, stock=10, starts_ms=now_ms() + HOUR_MS)
    before = await shard.dump()

    rush = await shard.claim(*(an_ask(f"h{n}") for n in range(128)))

    assert rush.replies == [Outcome.NOT_STARTED] * 128
    assert await shard.dump() == before


@pytest.mark.parametrize("stock", [1, 0])
async def test_a_thousand_racers_for_the_last_coupon(door: Door, stock: int) -> None:
    """A comparison that is off by one sells one more than there is, or one fewer: here exactly what there is."""
    shard = await open_shard(door, stock=stock)

    calls = (shard.claim(*(an_ask(f"{call}-{n}") for n in range(50))) for call in range(20))
    replies = [reply for rush in await asyncio.gather(*calls) for reply in rush.replies]

    assert sum(isinstance(reply, int) and reply > 0 for reply in replies) == stock
    assert replies.count(Outcome.SOLD_OUT) == 1000 - stock
    assert await shard.stock() == 0


async def test_one_refusal_of_a_call_marks_nobody_else(door: Door) -> None:
    """A result that is kept by campaign tells everybody of one failure: here each ask has its own."""
    shard = await open_shard(door, stock=3)
    await shard.claim(an_ask("ann"))

    rush = await shard.claim(an_ask("bob"), an_ask("ann", key="again"), an_ask("cy", channel="nowhere"), an_ask("dan"))

    assert [reply if isinstance(reply, int) else reply[0] for reply in rush.replies] == [
        4,
        Outcome.LIMIT_REACHED,
        Outcome.NOT_ELIGIBLE,
        5,
    ]


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_a_limit_of_n_lets_exactly_n_through(door: Door, limit: int) -> None:
    """The last one that a limit allows is refused elsewhere: here N of a holder, and N of a day, are N."""
    midnight = f"{now_ms() - 1000:011x}"
    by_holder = await open_shard(door, stock=50, per_holder=limit)
    rush = await by_holder.claim(*(an_ask("ann", key=str(n)) for n in range(20)))
    assert sum(isinstance(reply, int) for reply in rush.replies) == limit

    by_day = await open_shard(door, stock=50, campaign="d", per_day=limit, days=midnight)
    rush = await by_day.claim(*(an_ask(f"h{n}") for n in range(20)))
    assert rush.replies.count(Outcome.PERIOD_LIMIT) == 20 - limit


async def test_limits_hold_and_order_is_kept_while_nothing_is_drained(
    door: Door, redis_url: str, postgres_url: str, eventually: Eventually
) -> None:
    """Counts that a consumer keeps stop limiting when it stops: here all is decided before anything is drained."""
    with Books(postgres_url) as books:
        sale = await open_life(door, books, stock=5)
        codes = [await sale.claim_one(f"h{n}") for n in range(5)]
        assert (await sale.on.claim(an_ask("late"))).replies == [Outcome.SOLD_OUT]
        await sale.redeem("R1", codes[0], "o-1")
        await sale.roll_back("R1", 500)
        await sale.redeem("R2", codes[0], "o-2")
        [again] = await sale.on.ask("redeem", *a_redeem("R3", codes[0]), head=["f1"])
        assert again[0] == Outcome.WRONG_STATE
        assert books.value("SELECT count(*) FROM coupon_entries") == 0

        async with draining(redis_url, books.url):
            await eventually(sale.drained)

        await sale.prove_life()
        kinds = books.rows("SELECT kind FROM coupon_entries WHERE code = %s ORDER BY seq", codes[0])
        assert kinds == [("claimed",), ("redeemed",), ("rolled_back",), ("redeemed",)]


async def test_claims_redemptions_and_rollbacks_in_any_order_lose_no_unit(door: Door) -> None:
    """A revert beside a spend loses one where both read, change and write back: here 100,000 steps add up."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    shard = await open_shard(door, stock=2000, per_holder=3)
    claimed: list[str] = []
    spent: dict[str, tuple[int, int]] = {}
    steps = 0

    async def claim() -> int:
        asks = [an_ask(f"h{dice.randrange(3000)}", key=str(dice.random())) for _ in range(100)]
        rush = await shard.claim(*asks)
        got = [ask[2] for ask, reply in zip(asks, rush.replies, strict=True) if isinstance(reply, int) and reply > 0]
        claimed.extend(got)
        return 100

    async def redeem() -> int:
        asks = [a_redeem(f"R{dice.getrandbits(60)}", dice.choice(claimed or ["none"])) for _ in range(100)]
        replies = await shard.ask("redeem", *(part for ask in asks for part in ask), head=["f1"])
        done = (isinstance(reply, list) and reply[0] == Outcome.DONE for reply in replies)
        spent.update({ask[0]: (0, 0) for ask, is_done in zip(asks, done, strict=True) if is_done})
        return 100

    async def roll_back() -> int:
        flat: list[str | int] = []
        asked = [dice.choice(list(spent) or ["none"]) for _ in range(100)]
        for id_ in asked:
            number, back = spent.get(id_, (0, 0))
            minor = dice.choice([100, 500 - back]) or 1
            fate = dice.choice(["restore", "end"])
            key = str(dice.random())
            flat += a_rollback(id_, minor, number_before=number, key=key, fate=fate, returns="stock,slot")
        for id_, reply in zip(asked, await shard.ask("rollback", *flat), strict=True):
            if isinstance(reply, list) and reply[0] == Outcome.DONE:
                spent[id_] = (spent[id_][0] + 1, int(reply[4]))
        return 100

    acts = (claim, redeem, roll_back)
    while steps < 100_000:
        steps += sum(await asyncio.gather(*(dice.choice(acts)() for _ in range(5))))

    units: Counter[str] = Counter(stock=2000)
    for entry in await shard.entries():
        if isinstance(entry, Claimed):
            units["stock"] -= entry.count
            units["outstanding"] += entry.count
        elif isinstance(entry, Changed):
            for step in entry.each:
                units[step.source or "-"] -= int(step.units)
                units[step.destination or "-"] += int(step.units)
    records: Any = await door.redis.hgetall(shard.shard.key("coupons"))
    states = Counter(bytes(record[:1]).decode() for record in records.values())
    assert await shard.stock() == units["stock"]
    assert sum(units[name] for name in ("stock", "outstanding", "redeemed", "expired")) == 2000
    assert (states["c"], states["u"]) == (units["outstanding"], units["redeemed"])


@pytest.mark.parametrize("case", ["same key", "different keys", "different holders"])
async def test_fifty_requests_released_by_their_last_byte(site: Worker, case: str) -> None:
    """Requests that arrive whole in one instant overrun a limit that is not atomic: here one wins, or the stock."""
    await site.publish(stock=10)
    asks = {
        "same key": [claim_bytes("ann", key="k") for _ in range(50)],
        "different keys": [claim_bytes("ann", key=f"k{n}") for n in range(50)],
        "different holders": [claim_bytes(f"h{n}") for n in range(50)],
    }[case]

    statuses = Counter(await _released_together(site.port, asks))

    assert (
        statuses
        == {
            "same key": {201: 1, 200: 49},
            "different keys": {201: 1, 409: 49},
            "different holders": {201: 10, 409: 40},
        }[case]
    )


async def test_fifty_redemptions_released_by_their_last_byte(site: Worker) -> None:
    """The same at the till: fifty orders for one coupon in one instant, and one of them has it."""
    await site.publish(stock=10)
    code = (await site.claim("ann")).json()["code"]
    store = (await site.key("store"))["Authorization"]
    asks = []
    for n in range(50):
        body = msgspec.json.encode({"code": code, "order": {**ORDER, "id": f"o-{n}"}})
        head = (f"Authorization: {store}", f"Idempotency-Key: k{n}", "Content-Type: application/json")
        asks.append(request_bytes("POST", "/v1/redemptions", *head, body=body))

    assert Counter(await _released_together(site.port, asks)) == {201: 1, 409: 49}


async def _released_together(port: int, asks: list[bytes]) -> list[int]:
    """Send each of *asks* on a connection of its own, all but its last byte; then those bytes; the statuses."""
    phones = [Phone(port) for _ in asks]
    for phone in phones:
        await phone.__aenter__()
    try:
        for phone, ask in zip(phones, asks, strict=True):
            await phone.send(ask[:-1])
        for phone, ask in zip(phones, asks, strict=True):
            await phone.send(ask[-1:])
        return [(await phone.answer()).status for phone in phones]
    finally:
        for phone in phones:
            await phone.__aexit__(None, None, None)


async def test_a_coupon_of_a_campaign_that_ends_now_is_good_to_its_own_end(site: Worker) -> None:
    """An end that is read as a day, or in another zone, ends a coupon early: here an instant ends it, and not a day."""
    until = now_ms() + 48 * HOUR_MS
    ends = now_ms() + 24 * HOUR_MS
    await site.publish(ends_at=rfc3339(ends), validity={"until": rfc3339(until)}, timezone="America/St_Johns")

    claimed = (await site.claim("ann")).json()

    assert claimed["expires_at"] == rfc3339(until)
