"""As of any instant the books are exact by the clock of the sale, whatever was drained together."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import AsyncConnection, connect

from loadtest.bulk.making import make
from loadtest.bulk.plan import Size
from reconciler.books.asked import Bounds, Scope, bounds_of, told
from reconciler.books.balances import By, Wanted, balances, totals
from reconciler.books.statement import statement
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import rows_of
from reconciler.reports.shape import Asked
from tests.integration.by_change import Balances, Done, prove_journals, reckoned, write
from tests.integration.draining import Books

TICK, MICRO = timedelta(milliseconds=1), timedelta(microseconds=1)
PREFIXES = {"funder": "expense:promotion", "merchant": "payable"}
ALL = 1000


@pytest.fixture
def books(postgres_url: str) -> Any:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


@pytest.fixture
async def done(books: Books) -> list[Done]:
    """Every change that is in the books."""
    return await write(books)


@pytest.fixture
async def connection(books: Books, done: list[Done]) -> AsyncIterator[AsyncConnection[Any]]:
    """One that reads them."""
    async with await AsyncConnection.connect(books.url) as connection:
        yield connection


def instants(done: Sequence[Done]) -> list[datetime]:
    """When something was done, and half a second later: between any two changes there is one of them."""
    return sorted({at for each in done for at in (each.at, each.at + TICK * 50)})


def before(done: Sequence[Done], at: datetime | None) -> list[Done]:
    """Those before an instant."""
    return [each for each in done if at is None or each.at < at]


async def shown(connection: AsyncConnection[Any], wanted: Wanted) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Balances by name, account and commodity."""
    found = await balances(connection, wanted, ALL)
    assert all(each.balance == each.debit - each.credit for each in found)
    return {(each.name, each.account, each.commodity): (each.debit, each.credit) for each in found}


def named(found: Balances, name: Callable[[str], str]) -> dict[tuple[str, str, str], tuple[int, int]]:
    """The same with what is asked by."""
    return {(name(account), account, commodity): sides for (account, commodity), sides in found.items()}


async def test_a_balance_is_exact_at_every_instant(connection: AsyncConnection[Any], done: list[Done]) -> None:
    """At, and between, all changes: every account of both books is what the changes before it moved; totals are 0."""
    for at in instants(done):
        bounds = Bounds("occurred", None, at)
        right = named(reckoned(before(done, at)), lambda account: account)
        assert await shown(connection, Wanted(bounds=bounds)) == right, at
        assert all(total.balance == 0 for total in await totals(connection, Wanted(bounds=bounds)))
    cut = [at for at in instants(done) if before(done, at)]
    assert len(cut) > 60


async def test_balances_by_name_and_scope_are_exact(connection: AsyncConnection[Any], done: list[Done]) -> None:
    """By campaign, funder, merchant; of one book, entity, campaign or account: at instants that cut journals."""
    for at in instants(done)[7::9]:
        bounds, kept = Bounds("occurred", None, at), before(done, at)
        by_campaign = {
            (name, *key): sides
            for name in ("", "c", "g")
            for key, sides in reckoned([each for each in kept if each.campaign == name]).items()
        }
        assert await shown(connection, Wanted("campaign", bounds)) == by_campaign
        for by, prefix in PREFIXES.items():
            of = {key: sides for key, sides in reckoned(kept).items() if key[0].startswith(prefix)}
            wanted: By = "funder" if by == "funder" else "merchant"
            assert await shown(connection, Wanted(wanted, bounds)) == named(of, lambda name: name[len(prefix) + 1 :])  # noqa: B023
        for name in ("main", "other"):
            of = reckoned([each for each in kept if each.entity == name])
            assert await shown(connection, Wanted(bounds=bounds, scope=Scope(entity=name))) == named(of, str)
        of = reckoned([each for each in kept if each.campaign == "c"])
        assert await shown(connection, Wanted(bounds=bounds, scope=Scope(campaign="c"))) == named(of, str)
        units = {key: sides for key, sides in reckoned(kept).items() if key[1].startswith("coupon:")}
        assert await shown(connection, Wanted(bounds=bounds, units=True)) == named(units, str)


async def test_an_instant_that_was_shown_is_in_it(connection: AsyncConnection[Any], done: list[Done]) -> None:
    """As of the instant that a change is shown with it counts, by every basis; a millisecond earlier it does not."""
    for each in done[3:6]:
        for at, kept in ((each.at, before(done, each.at + TICK)), (each.at - TICK, before(done, each.at))):
            wanted = Wanted(bounds=bounds_of("occurred", until=told(at)))
            assert await shown(connection, wanted) == named(reckoned(kept), str)
    for day in sorted({each.day for each in done}):
        kept = [each for each in done if each.day <= day]
        wanted = Wanted(bounds=bounds_of("effective", until=str(day)))
        assert await shown(connection, wanted) == named(reckoned(kept), str)
    cursor = await connection.execute("SELECT DISTINCT posted_at FROM journals ORDER BY posted_at")
    numbers = sorted({each.posted for each in done})
    for (at,), number in zip(await cursor.fetchall(), numbers, strict=True):
        earlier = [each for each in done if each.posted < number]
        upto = [each for each in done if each.posted <= number]
        for end, kept in ((at, earlier), (at + MICRO, upto)):
            assert await shown(connection, Wanted(bounds=Bounds("posted", None, end))) == named(reckoned(kept), str)


ACCOUNTS = ("payable:m-1", "stock", "commitment:c", "liability:gift:g")


async def test_statements_lead_from_opening_to_closing(connection: AsyncConnection[Any], done: list[Done]) -> None:
    """Between instants that cut journals: opening, movements and closing are those of the changes, page by page too."""
    cuts = [None, *instants(done)[4::15], None]
    for number, since in enumerate(cuts[:-1]):
        for until in cuts[number + 1 :: 2]:
            bounds = Bounds("occurred", since, until)
            for account in ACCOUNTS:
                await prove_statement(connection, done, account, bounds)


async def prove_statement(connection: AsyncConnection[Any], done: Sequence[Done], account: str, bounds: Bounds) -> None:
    """One of them."""
    opening = balance_of(before(done, bounds.since), account) if bounds.since else {}
    closing = balance_of(before(done, bounds.before), account)
    whole = await statement(connection, account, bounds, Scope(), ALL)
    assert {line.commodity: (line.opening, line.closing) for line in whole.lines} == {
        name: (opening.get(name, 0), minor) for name, minor in closing.items()
    }
    standing, debits, credits_ = Counter(opening), Counter[str](), Counter[str]()
    for movement in whole.movements:
        assert movement.debit > 0 or movement.credit > 0
        standing[movement.commodity] += movement.debit - movement.credit
        debits[movement.commodity] += movement.debit
        credits_[movement.commodity] += movement.credit
        assert movement.balance == standing[movement.commodity]
        assert bounds.since is None or movement.occurred_at >= told(bounds.since)
        assert bounds.before is None or movement.occurred_at <= told(bounds.before)
    for line in whole.lines:
        assert (line.debit, line.credit) == (debits[line.commodity], credits_[line.commodity])
        assert line.opening + line.debit - line.credit == line.closing == standing[line.commodity]
    half = len(whole.movements) // 2
    if half:
        first = await statement(connection, account, bounds, Scope(), half)
        rest = await statement(connection, account, bounds, Scope(), ALL, first.place)
        assert [*first.movements, *rest.movements] == whole.movements
        assert first.lines == rest.lines == whole.lines


def balance_of(done: Sequence[Done], account: str) -> dict[str, int]:
    """What an account comes to, a commodity that it ever had."""
    return {key[1]: sides[0] - sides[1] for key, sides in reckoned(done).items() if key[0] == account}


def test_postings_of_a_day_by_the_clock(books: Books, done: list[Done]) -> None:
    """The report of postings by `occurred` has of each day, in any zone, what its changes moved and no more."""
    for zone in ("UTC", "Asia/Shanghai", "America/New_York"):
        days = {each.at.astimezone(ZoneInfo(zone)).date() for each in done}
        assert len(days) > 1
        for day in days:
            begins = datetime.combine(day, time(), ZoneInfo(zone))
            within = [each for each in done if begins <= each.at < begins + timedelta(days=1)]
            right: Counter[tuple[str, ...]] = Counter()
            for source, destination, commodity, amount in (move for each in within for move in each.moved):
                right[source, destination, commodity] += amount
            asked = Asked(basis="occurred", since=day, until=day, zone=zone)
            assert postings(books, asked) == right, (zone, day)


def postings(books: Books, asked: Asked) -> Counter[tuple[str, ...]]:
    """What the report of postings comes to, a way."""
    report, found = REPORTS["movements"], Counter[tuple[str, ...]]()
    names = [column.name for column in report.columns(asked)]
    with connect(books.url) as connection:
        for row in rows_of(connection, report, asked):
            line = dict(zip(names, row, strict=True))
            found[line["credit"], line["debit"], line["commodity"]] += line["units"] or line["minor"]
    return found


@pytest.mark.usefixtures("done")
def test_journals_are_the_postings_of_their_changes(books: Books) -> None:
    """Each journal of a shard is the sum of v_change_postings of its changes, to the unit and the cent."""
    assert prove_journals(books) == set(books.rows("SELECT shard, seq FROM coupon_entries"))


def test_journals_of_years_are_the_postings_of_their_changes(books: Books) -> None:
    """The same in books that nothing of the program made."""
    make(books.url, Size(coupons=400, campaigns=8, shards=1, stores=3, batch=60), 1, lambda *_: None)

    assert len(prove_journals(books)) > 1000
