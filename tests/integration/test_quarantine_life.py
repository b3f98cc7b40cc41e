"""Records of the life after the claim that come into the books late: what is newer stays, and nothing is lost."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from lua.door import Door
from reconciler.quarantine import replay
from tests.builders import now_ms
from tests.conftest import ON_VALKEY
from tests.entries import a_step, changed
from tests.integration.draining import Books, draining
from tests.integration.life import HOUR_MS, LifeSale, open_life, put

pytestmark = ON_VALKEY


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


async def damage(sale: LifeSale, *seqs: int) -> dict[int, bytes]:
    """Make the records that begin with *seqs* unreadable; what their bodies were."""
    records = await sale.records()
    whole: dict[int, bytes] = {}
    for index, (entry_id, flat) in enumerate(records):
        if int(flat[1]) in seqs:
            whole[int(flat[1])] = flat[-1]
            records[index] = (entry_id, [*flat[:-1], b"\xc1"])
    assert len(whole) == len(seqs)
    await sale.put_records(records)
    return whole


def mend(books: Books, seq: int, body: bytes) -> None:
    """Put the body of a quarantined record right, which stands for a version that can read it."""
    books.rows(
        "UPDATE quarantine SET fields = jsonb_set(fields, '{entry}', to_jsonb(%s::text)) WHERE first_seq = %s",
        body.hex(),
        seq,
    )


async def live(sale: LifeSale) -> str:
    """One coupon from number 3 on: claim, hold, redemption, two parts back, hold, and (9 and 10) its revocation."""
    code = await sale.claim_one("ann")
    await sale.reserve(code, "o-1")
    await sale.redeem("R1", code, "o-1")
    await sale.roll_back("R1", 200)
    await sale.roll_back("R1", 300, number_before=1)
    await sale.reserve(code, "o-2")
    await sale.revoke(code)
    return code


@pytest.mark.parametrize("order", list(permutations([3, 5, 6])), ids=str)
async def test_late_records_leave_what_is_newer(
    door: Door, redis_url: str, books: Books, order: tuple[int, ...]
) -> None:
    """Claim, redemption and a rollback replayed in any order behind a revocation: each is booked, and that stays."""
    sale = await open_life(door, books)
    code = await live(sale)
    bodies = await damage(sale, 3, 5, 6)
    async with draining(redis_url, books.url):
        pass
    assert books.value("SELECT count(*) FROM coupons") == 0

    for seq in order:
        mend(books, seq, bodies[seq])
        assert replay(books.url).replayed == 1

    await sale.prove_life()
    coupon = sale.coupon(code)
    assert (coupon["state"], coupon["changed_seq"], coupon["order_id"]) == ("revoked", 10, None)
    assert books.rows("SELECT id, rolled_back_minor FROM redemptions") == [("R1", 500)]
    balances = books.balances()
    assert {account: units for account, units in balances.items() if units} == {
        "supply": -1000, "stock": 999, "revoked": 1
    }  # fmt: skip


@pytest.mark.parametrize("late", range(3, 10))
async def test_one_late_record_changes_nothing_in_the_end(door: Door, redis_url: str, books: Books, late: int) -> None:
    """Whichever record comes late, the coupon ends as it does when all come in order."""
    sale = await open_life(door, books)
    code = await live(sale)
    [(seq, body)] = (await damage(sale, late)).items()
    async with draining(redis_url, books.url):
        pass
    mend(books, seq, body)
    assert replay(books.url).replayed == 1

    await sale.prove_life()
    coupon = sale.coupon(code)
    assert (coupon["state"], coupon["left"], coupon["changed_seq"]) == ("revoked", 1, 10)


async def test_a_late_hold_holds(door: Door, redis_url: str, books: Books) -> None:
    """A hold whose record is the coupon's last is in the coupon's row after the replay, with order and deadline."""
    sale = await open_life(door, books)
    code = await sale.claim_one("ann")
    early_ms = now_ms()
    await sale.reserve(code, "o-7", ttl_ms=HOUR_MS)
    late_ms = now_ms()
    [(seq, body)] = (await damage(sale, 4)).items()
    async with draining(redis_url, books.url):
        pass
    assert sale.coupon(code)["state"] == "claimed"
    mend(books, seq, body)
    replay(books.url)

    coupon = sale.coupon(code)
    assert (coupon["state"], coupon["order_id"], coupon["changed_seq"]) == ("reserved", "o-7", 4)
    held_until_ms = books.value("SELECT (extract(epoch FROM reserved_until) * 1000)::bigint FROM coupons")
    assert early_ms + HOUR_MS <= held_until_ms <= late_ms + HOUR_MS
    await sale.prove_life()


async def test_a_deadline_that_was_moved_is_kept_by_a_late_record(door: Door, redis_url: str, books: Books) -> None:
    """An extension that arrives behind a later hold moves the deadline, and leaves the hold."""
    sale = await open_life(door, books)
    code = await sale.claim_one("ann")
    await sale.redeem("R1", code)
    until_ms = "4102444800000"
    extended = changed(5, a_step("rolled_back", code, ref="R1", until_ms=until_ms))
    await put(sale, extended, changed(6, a_step("reserved", code, ref="o-9")))
    [(seq, body)] = (await damage(sale, 5)).items()
    async with draining(redis_url, books.url):
        pass
    assert books.value("SELECT rolled_back_minor FROM redemptions") == 0
    mend(books, seq, body)
    replay(books.url)

    coupon = sale.coupon(code)
    assert (coupon["state"], coupon["order_id"], coupon["expires_at"][:4]) == ("reserved", "o-9", "2100")
    assert books.value("SELECT rolled_back_minor FROM redemptions") == 500
    await sale.prove_life(but=("settled", "live"))  # what was put on the stream names no funder, and Redis lacks it
