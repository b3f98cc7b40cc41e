"""The money book in PostgreSQL: what its views say of a sale, what its constraints refuse, what reverses what."""

from collections.abc import Iterator

import psycopg
import pytest

from lua.door import Door
from reconciler.quarantine import replay
from tests.conftest import redis_binaries
from tests.entries import a_step, changed
from tests.integration.by_change import prove_journals
from tests.integration.draining import Books, draining
from tests.integration.life import LifeSale, open_life, put
from tests.integration.test_quarantine_life import damage, mend

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is the books."""


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


async def drain(redis_url: str, books: Books) -> None:
    """To the tail."""
    async with draining(redis_url, books.url):
        pass


async def sell(sale: LifeSale) -> None:
    """Three claims; one redeemed, one redeemed and partly rolled back, one revoked."""
    codes = [await sale.claim_one(name) for name in ("ann", "bob", "cy")]
    await sale.redeem(f"R1-{sale.name}", codes[0], "o-1")
    await sale.redeem(f"R2-{sale.name}", codes[1], "o-2", minor=300)
    await sale.roll_back(f"R2-{sale.name}", 100)
    await sale.revoke(codes[2])


async def test_the_views_say_what_a_sale_came_to(door: Door, redis_url: str, books: Books) -> None:
    """Two campaigns in one book: balances of each, of funder and merchant, and a trial balance whose sides agree."""
    for name in ("c", "d"):
        await sell(await open_life(door, books, name, stock=10))
    await drain(redis_url, books)

    assert books.money("c") == books.money("d") == {
        "budget:authorised": -5000, "budget:available": 5000, "payable:m-1": -700, "expense:promotion:platform": 700
    }  # fmt: skip
    funders = "SELECT funder, campaign, currency, spent, given_back, balance FROM v_funder_money ORDER BY campaign"
    assert books.rows(funders) == [
        ("platform", "c", "CNY", 800, 100, 700), ("platform", "d", "CNY", 800, 100, 700)
    ]  # fmt: skip
    merchants = "SELECT merchant, campaign, currency, given, taken_back, owed FROM v_merchant_money ORDER BY campaign"
    assert books.rows(merchants) == [
        ("m-1", "c", "CNY", 800, 100, 700), ("m-1", "d", "CNY", 800, 100, 700)
    ]  # fmt: skip
    assert books.rows("SELECT account, debit, credit FROM v_trial_balance ORDER BY account") == [
        ("budget:authorised", 0, 10_000), ("budget:available", 10_000, 0), ("expense:promotion:platform", 1400, 0),
        ("payable:m-1", 0, 1400),
    ]  # fmt: skip
    assert books.rows("SELECT debit, credit, balance FROM v_money_balances WHERE account = 'payable:m-1'") == [
        (200, 1600, -1400)
    ]
    assert books.value("SELECT count(*) FROM v_money_movements WHERE verb IN ('reserve', 'release')") == 0


async def test_a_merchant_without_a_name_is_owed_too(door: Door, redis_url: str, books: Books) -> None:
    """What a redemption does not tell is on the accounts of nobody, and not lost."""
    sale = await open_life(door, books)
    code = await sale.claim_one("ann")
    await put(sale, changed(4, a_step("redeemed", code, detail={"order": {"currency": "CNY"}})))
    await drain(redis_url, books)

    assert books.rows("SELECT merchant, owed FROM v_merchant_money") == [("", 500)]
    assert books.money()["suspense:promotion:c"] == 500


async def test_rollbacks_name_the_journal_they_reverse(door: Door, redis_url: str, books: Books) -> None:
    """Two redemptions in one journal, a part of each given back later: each rollback leads to that journal."""
    sale = await open_life(door, books)
    for n in (1, 2):
        await sale.redeem(f"R{n}", await sale.claim_one(f"h{n}"), f"o-{n}")
    await drain(redis_url, books)
    await sale.roll_back("R1", 100)
    await drain(redis_url, books)
    await sale.roll_back("R2", 500)
    await drain(redis_url, books)

    redeemed = books.value("SELECT id FROM journals WHERE verb = 'redeem'")
    back = [number for (number,) in books.rows("SELECT id FROM journals WHERE verb = 'rollback' ORDER BY id")]
    assert books.rows("SELECT redemption, journal, minor, reverses FROM v_reversals ORDER BY seq") == [
        ("R1", back[0], 100, redeemed), ("R2", back[1], 500, redeemed)
    ]  # fmt: skip
    await sale.prove_life()


@pytest.mark.parametrize("late", range(1, 10))
async def test_a_late_record_books_the_same_money(door: Door, redis_url: str, books: Books, late: int) -> None:
    """Whichever record of a sale comes out of quarantine behind the others, every account and journal is right."""
    sale = await open_life(door, books, stock=10)
    await sell(sale)
    lost = await damage(sale, late)
    await drain(redis_url, books)
    for seq, body in lost.items():
        mend(books, seq, body)
    assert replay(books.url).remaining == 0

    await sale.prove_life()
    assert books.money() == {
        "budget:authorised": -5000, "budget:available": 5000, "payable:m-1": -700, "expense:promotion:platform": 700
    }  # fmt: skip
    [(journal, reverses)] = books.rows("SELECT journal, reverses FROM v_reversals")
    verbs = dict(books.rows("SELECT id, verb FROM journals"))
    assert (verbs[journal], verbs[reverses]) == ("rollback", "redeem")
    assert prove_journals(books) <= set(books.rows("SELECT shard, seq FROM coupon_entries"))


@pytest.mark.parametrize("late", [3, 4, 5])
async def test_a_late_record_of_a_balance_is_of_its_channel_and_store(
    door: Door, redis_url: str, books: Books, late: int
) -> None:
    """Claim, spend or what comes back, out of quarantine: what is owed is told by where the balance is from and was."""
    sale = await open_life(door, books, stock=10, kind="balance", unit_minor=1000)
    code = await sale.claim_one("ann", channel="app")
    await sale.redeem("R1", code, minor=400)
    await sale.roll_back("R1", 150)
    await sale.revoke(code)
    lost = await damage(sale, late)
    await drain(redis_url, books)
    for seq, body in lost.items():
        mend(books, seq, body)
    assert replay(books.url).remaining == 0

    await sale.prove_life()
    owed = "SELECT verb, channel, store, out_minor FROM movement_days WHERE out_minor <> 0 ORDER BY verb"
    assert books.rows(owed) == [
        ("claim", "app", "", 1000), ("redeem", "app", "s-1", -400), ("revoke", "app", "", -750),
        ("rollback", "app", "s-1", 150),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "destination", "commodity", "constraint"),
    [
        ("payable:m-1", "stock", "CNY", "postings_book_check"),
        ("stock", "payable:m-1", "CNY", "postings_book_check"),
        ("stock", "outstanding", "CNY", "postings_book_check"),
        ("payable:m-1", "expense:promotion:a", "coupon:c", "postings_book_check"),
        ("stock", "expense:promotion:a", "coupon:c", "postings_book_check"),
        ("payable:m-1", "expense:promotion:a", "cny", "postings_commodity_check"),
        ("payable:m-1", "expense:promotion:a", "CNY,EUR", "postings_commodity_check"),
    ],
)
async def test_units_and_currencies_never_mix(
    door: Door, redis_url: str, books: Books, source: str, destination: str, commodity: str, constraint: str
) -> None:
    """Nobody can post money into the unit book, units into the money book, or what is no currency."""
    await open_life(door, books)
    await drain(redis_url, books)
    insert = "INSERT INTO postings VALUES ((SELECT max(id) FROM journals), 99, %s, %s, %s, 1)"

    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        books.rows(insert, source, destination, commodity)


async def test_sums_beyond_64_bits_are_booked(door: Door, redis_url: str, books: Books) -> None:
    """The dearest coupons there may be, as many as there may be: no figure is too large for the books."""
    sale = await open_life(door, books, stock=10**6, unit_minor=2**53 - 1)
    await sale.on.adjust(10**8)
    await drain(redis_url, books)

    assert books.open_breaks() == []
    assert books.money()["budget:authorised"] == -(2**53 - 1) * (10**8 + 10**6)
