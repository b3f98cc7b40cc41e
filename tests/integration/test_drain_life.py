"""The life after the claim in the books: every verb, step by step, through scripts, stream and drain."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lua.door import Door
from lua.outcomes import Outcome
from reconciler.steps import Step
from tests.builders import a_redeem
from tests.conftest import ON_VALKEY, Eventually
from tests.entries import a_step, changed, issued
from tests.integration.draining import Books, draining, reconciler_process
from tests.integration.life import LifeSale, a_detail, open_life, put

pytestmark = ON_VALKEY


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


def stand(books: Books) -> tuple[int, ...]:
    """outstanding, reserved, redeemed, expired, revoked."""
    balances = books.balances()
    return tuple(balances.get(name, 0) for name in ("outstanding", "reserved", "redeemed", "expired", "revoked"))


async def test_the_book_balances_at_every_step(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """Claim, hold, release, redeem from a hold and straight, partial and whole rollback, revocation, expiry."""
    sale = await open_life(door, books, stock=10)
    async with draining(redis_url, books.url):

        async def has(*expected: int) -> None:
            await eventually(sale.drained)
            assert stand(books) == expected
            await sale.prove_life()

        held, straight, taken = [await sale.claim_one(name) for name in ("ann", "bob", "cy")]
        await has(3, 0, 0, 0, 0)
        await sale.reserve(held)
        await has(2, 1, 0, 0, 0)
        assert (sale.coupon(held)["order_id"], sale.coupon(held)["reserved_until"] is None) == ("o-1", False)
        await sale.release(held)
        await has(3, 0, 0, 0, 0)
        assert (sale.coupon(held)["order_id"], sale.coupon(held)["reserved_until"]) == (None, None)
        await sale.reserve(held, "o-2")
        await sale.redeem("R1", held, "o-2")
        await has(2, 0, 1, 0, 0)
        await sale.redeem("R2", straight, "o-3", minor=300)
        await has(1, 0, 2, 0, 0)
        await sale.roll_back("R2", 100)
        await has(1, 0, 2, 0, 0)
        assert sale.coupon(straight)["state"] == "redeemed"
        await sale.roll_back("R2", 200, number_before=1)
        await has(2, 0, 1, 0, 0)
        assert sale.coupon(straight)["state"] == "claimed"
        await sale.revoke(taken)
        await has(1, 0, 1, 0, 1)
        await sale.on.rule(validity_ms=1)
        old = await sale.claim_one("di")
        await eventually(sale.drained)
        await eventually(lambda: sale.coupon(old)["state"] == "expired")
        await has(1, 0, 1, 1, 1)


async def test_a_redemption_and_its_rollbacks_are_rows(door: Door, redis_url: str, books: Books) -> None:
    """Merchant, store, staff, channel, amounts, lines and funders arrive as the gateway told them."""
    sale = await open_life(door, books)
    code = await sale.claim_one("ann")
    await sale.redeem("R1", code, "o-1")
    await sale.roll_back("R1", 200)
    async with draining(redis_url, books.url):
        pass

    assert books.rows(
        "SELECT code, holder, order_id, minor, currency, order_minor, merchant, store, staff, channel, stack, actor, "
        "rolled_back_minor, lines, funders, shipping_minor FROM redemptions"
    ) == [
        (code, "ann", "o-1", 500, "CNY", 5000, "m-1", "s-1", "e-7", "pos", None, "store s-1", 200,
         [{"sku": "A1", "quantity": 1, "discount_minor": 500}], [{"account": "platform", "minor": 500}], 0)
    ]  # fmt: skip
    assert books.rows("SELECT redemption, minor, reason, lines, funders, state, actor FROM rollbacks") == [
        ("R1", 200, "refund", [{"sku": "A1", "discount_minor": 200}], [{"account": "platform", "minor": 200}],
         "redeemed", "s-1")
    ]  # fmt: skip
    await sale.prove_life()


async def test_a_whole_life_in_one_batch(door: Door, redis_url: str, books: Books) -> None:
    """Claim, hold and redemption of one coupon, drained in one transaction, leave it redeemed and nothing held."""
    sale = await open_life(door, books)
    code = await sale.claim_one("ann")
    await sale.reserve(code)
    await sale.redeem("R1", code)
    async with draining(redis_url, books.url, postgres_ms_max=30_000):  # a batch that is given up is halved
        pass

    assert books.value("SELECT count(DISTINCT posted_at) FROM journals WHERE verb IN ('claim', 'redeem')") == 1
    coupon = sale.coupon(code)
    assert (coupon["state"], coupon["left"], coupon["order_id"], coupon["changed_seq"]) == ("redeemed", 0, None, 5)
    await sale.prove_life()


async def test_a_balance_is_spent_in_parts(door: Door, redis_url: str, books: Books) -> None:
    """What is left of a balance follows each part; its unit goes when nothing is left, and comes with a rollback."""
    sale = await open_life(door, books, stock=3, kind="balance", unit_minor=1000)
    code = await sale.claim_one("ann")
    steps: list[tuple[Any, ...]] = []

    async def note() -> None:
        async with draining(redis_url, books.url):
            pass
        await sale.prove_life()
        coupon = sale.coupon(code)
        steps.append((coupon["state"], coupon["left"], stand(books)[:3]))

    await sale.redeem("R1", code, "o-1", minor=400)
    await note()
    await sale.reserve(code, "o-2")
    await note()
    await sale.redeem("R2", code, "o-2", minor=600)
    await note()
    await sale.roll_back("R1", 150)
    await note()

    assert steps == [
        ("claimed", 600, (1, 0, 0)),
        ("reserved", 600, (0, 1, 0)),
        ("redeemed", 0, (0, 0, 1)),
        ("claimed", 150, (1, 0, 0)),
    ]


@pytest.mark.parametrize(("returns", "account"), [("stock,slot", "stock"), ("", "expired")])
async def test_a_coupon_that_ends_by_a_rollback(
    door: Door, redis_url: str, books: Books, returns: str, account: str
) -> None:
    """Where the policy ends the coupon, its unit goes to stock or to expired, in Redis as in the book."""
    sale = await open_life(door, books, stock=5)
    code = await sale.claim_one("ann")
    await sale.redeem("R1", code)
    await sale.roll_back("R1", 500, fate="end", returns=returns)
    async with draining(redis_url, books.url):
        pass

    assert sale.coupon(code)["state"] == "expired"
    assert books.value(
        "SELECT amount FROM postings JOIN journals ON id = journal WHERE verb = 'rollback' AND source = 'redeemed' "
        "AND destination = %s",
        account,
    ) == 1  # fmt: skip
    await sale.prove_life()


async def redeemed_in_time(sale: LifeSale, number: str) -> str:
    """A coupon that was redeemed before it was over; where the machine stalled in between, another one is."""
    for holder in range(100):
        code = await sale.claim_one(f"h{holder}")
        ask = a_redeem(number, code, "o-1", charge="500", detail=a_detail("o-1"))
        [reply] = await sale.on.ask("redeem", *ask, head=("f1",))
        if reply[0] == Outcome.DONE:
            return code
    raise AssertionError("no coupon was redeemed in its time")


async def test_a_rollback_may_extend_a_coupon(door: Door, redis_url: str, books: Books, eventually: Eventually) -> None:
    """A coupon past its time that is given back with an extension has its new deadline in the books."""
    sale = await open_life(door, books, validity_ms=400)
    code = await redeemed_in_time(sale, "R1")

    async def is_over() -> bool:
        return bool((await door.redis.time())[0] * 1000 > before_ms + 2000)

    async with draining(redis_url, books.url):
        await eventually(sale.drained)
        own = "FROM coupons WHERE code = %s"
        before_ms = books.value(f"SELECT (extract(epoch FROM claimed_at) * 1000)::bigint {own}", code)
        await eventually(is_over)
        await sale.roll_back("R1", 500, extend_ms=3_600_000)
        await eventually(sale.drained)

    coupon = sale.coupon(code)
    assert coupon["state"] == "claimed"
    assert books.value(f"SELECT expires_at - claimed_at > interval '1 hour' {own}", code)
    await sale.prove_life()


async def test_issued_codes_are_coupons_nobody_holds(door: Door, redis_url: str, books: Books) -> None:
    """A chunk of codes: a coupon each with its batch and units, and all its units outstanding."""
    sale = await open_life(door, books, stock=100)
    await put(sale, issued(3, "P1", "P2"), issued(5, "SHARED", units=50, batch="b2"))
    await door.redis.decrby(sale.on.shard.key("stock"), 52)
    async with draining(redis_url, books.url):
        pass

    rows = "SELECT code, holder, state, batch, units, seq, changed_seq FROM coupons ORDER BY seq"
    assert books.rows(rows) == [
        ("P1", "", "claimed", "b1", 1, 3, 3), ("P2", "", "claimed", "b1", 1, 4, 4),
        ("SHARED", "", "claimed", "b2", 50, 5, 5),
    ]  # fmt: skip
    entries = books.rows("SELECT kind, code, holder, ref, units, unit_minor FROM coupon_entries WHERE seq > 2")
    assert sorted(entries) == [
        ("issued", "P1", "", "b1", 1, 500), ("issued", "P2", "", "b1", 1, 500), ("issued", "SHARED", "", "b2", 50, 500)
    ]  # fmt: skip
    assert books.balances() == {"supply": -100, "stock": 48, "outstanding": 52}
    await sale.prove_life(but=("live",))  # nothing but the stream has them


@pytest.mark.parametrize("step", [each for each in Step if each not in (Step.BEFORE_READ, Step.AFTER_TRIM)])
async def test_killed_at_any_point_no_step_is_booked_twice(
    door: Door, redis_url: str, books: Books, eventually: Eventually, tmp_path: Path, step: Step
) -> None:
    """Killed by SIGKILL here in the middle of redemptions and rollbacks, the next reconciler ends up with each once."""
    sale = await open_life(door, books)
    codes = [await sale.claim_one(f"h{n}") for n in range(4)]
    for n, code in enumerate(codes):
        await sale.reserve(code, f"o-{n}")
        await sale.redeem(f"R{n}", code, f"o-{n}")
        await sale.roll_back(f"R{n}", 200)

    how = signal.SIGKILL
    with reconciler_process(redis_url, books.url, step=step, nth=6, how=how, log=tmp_path / "log") as process:
        await eventually(lambda: process.poll() == -how, within_s=60)
    assert books.value("SELECT coalesce(max(seq), 0) FROM coupon_entries") == books.seq() < await sale.last_seq()
    async with draining(redis_url, books.url):
        await eventually(sale.drained)

    await sale.prove_life()
    assert books.value("SELECT sum(rolled_back_minor)::bigint FROM redemptions") == 800


async def test_more_back_than_was_taken_is_refused_by_the_books(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """A stream that gives back more than a redemption took stops its shard, and names the constraint."""
    sale = await open_life(door, books)
    code = await sale.claim_one("ann")
    await sale.redeem("R1", code)
    await put(sale, changed(5, a_step("rolled_back", code, ref="R1", minor="501")))
    async with draining(redis_url, books.url):
        await eventually(lambda: books.open_breaks() == ["rows_refused"])

    assert books.value("SELECT found ->> 'constraint' FROM breaks") == "redemptions_rolled_back_check"
    assert books.value("SELECT count(*) FROM rollbacks") == 0


async def test_redemptions_are_fixed_but_for_what_came_back(door: Door, redis_url: str, books: Books) -> None:
    """Nobody changes or removes a redemption or a rollback, the owner of the database included."""
    sale = await open_life(door, books)
    await sale.redeem("R1", await sale.claim_one("ann"))
    await sale.roll_back("R1", 100)
    async with draining(redis_url, books.url):
        pass

    for change in (
        "UPDATE redemptions SET minor = 1", "UPDATE redemptions SET merchant = 'x'", "DELETE FROM redemptions",
        "TRUNCATE redemptions", "UPDATE rollbacks SET minor = 1", "DELETE FROM rollbacks",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            books.rows(change)
    with pytest.raises(psycopg.errors.CheckViolation):
        books.rows("UPDATE redemptions SET rolled_back_minor = 501")
    await sale.prove_life()
