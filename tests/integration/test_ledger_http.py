"""The ledger over HTTP: balances, statements, accounts and journals against a reckoning of the tests' own."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import pytest

from reconciler.books.asked import told
from tests.conftest import redis_binaries
from tests.integration.booked import FIRST, Booked, Side, book, reckoned, sides, some_journals
from tests.integration.draining import Books
from tests.integration.site_http import Http, open_http

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

BASES = ("effective", "occurred", "posted")
DAYS = [FIRST + timedelta(days=number) for number in (-1, 0, 4, 9, 30)]
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        yield http


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """The database as its owner sees it, with two campaigns and two entities."""
    with Books(postgres_url) as books:
        books.add_campaign("c", shards=2)
        books.add_campaign("d")
        books.rows("INSERT INTO legal_entities (id) VALUES ('other')")
        yield books


@pytest.fixture
def booked(books: Books) -> list[Booked]:
    """Journals in the books."""
    return book(books, some_journals())


async def get(http: Http, path: str, who: str = "auditor", **query: str) -> Any:
    """The body of a good answer."""
    answer = await http.ask("GET", f"/v1/ledger/{path}?{urlencode(query)}", who)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def pages(http: Http, path: str, **query: str) -> list[Any]:
    """All items of a list, a small page at a time."""
    found, more = [], {"limit": "4"}
    while True:
        page = await get(http, path, **query, **more)
        found += page["items"]
        assert len(page["items"]) <= 4
        if page["next"] is None:
            return found
        more["cursor"] = page["next"]


def upto(found: list[Booked], basis: str, day: date, zone: Any = UTC) -> list[Booked]:
    """Those that count by the end of *day*."""
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC if basis == "effective" else zone)
    return [each for each in found if each.at(basis) < end]


NAMES = {
    "account": lambda side: (side.account, side.account, side.commodity),
    "campaign": lambda side: (side.booked.campaign, side.account, side.commodity),
    "funder": lambda side: (side.account[18:], side.account, side.commodity),
    "merchant": lambda side: (side.account[8:], side.account, side.commodity),
}
KINDS = {"funder": "expense:promotion", "merchant": "payable"}


def expected(found: list[Booked], by: str) -> Any:
    """Balances of the money book by *by*, as the route shows them."""
    kept = [
        side for side in sides(found)
        if not side.commodity.startswith("coupon:") and side.account.startswith(KINDS.get(by, ""))
    ]  # fmt: skip
    names = ("name", "account", "commodity", "debit", "credit", "balance")
    return [
        dict(zip(names, (*key, *sums), strict=True))
        for key, sums in sorted(reckoned(kept, NAMES[by]).items(), key=lambda each: [part.encode() for part in each[0]])
    ]


async def test_balances_are_what_the_journals_come_to(http: Http, booked: list[Booked]) -> None:
    """By every basis and name, before, in and after the ten days, page by page; currencies sum to nothing."""
    for basis in BASES:
        for day in DAYS:
            for by in NAMES if day == DAYS[2] else ["account"]:
                query = {"by": by, "basis": basis, "as_of": str(day), "zone": "Asia/Shanghai"}
                right = expected(upto(booked, basis, day, SHANGHAI), by)
                assert await pages(http, "balances", **query) == right, query
    page = await get(http, "balances")
    assert page["items"] == expected(booked, "account")
    assert [(total["commodity"], total["balance"]) for total in page["totals"]] == [("CNY", 0), ("EUR", 0)]


async def test_balances_keep_to_an_entity_a_campaign_and_a_book(http: Http, booked: list[Booked]) -> None:
    """What is not asked for is not in it, by days and by instants alike."""
    others = [each for each in booked if each.journal.entity == "other"]
    of_c = [each for each in booked if each.campaign == "c"]
    for basis in BASES:
        assert (await get(http, "balances", basis=basis, entity="other"))["items"] == expected(others, "account")
        assert (await get(http, "balances", basis=basis, campaign="c"))["items"] == expected(of_c, "account")
        units = (await get(http, "balances", basis=basis, book="units"))["items"]
        assert [(each["account"], each["commodity"]) for each in units] == [
            ("outstanding", "coupon:c"), ("stock", "coupon:c")
        ]  # fmt: skip
        assert sum(each["balance"] for each in units) == 0


async def test_a_balance_is_as_of_an_instant(http: Http, booked: list[Booked]) -> None:
    """As of the instant a journal was shown to be posted at it counts, a millisecond earlier it does not."""
    path = "accounts/payable%3Am-1/balance"
    for each in [one for one in booked if any(side.account == "payable:m-1" for side in sides([one]))][:6]:
        shown = told(each.posted)
        before = told(each.posted - timedelta(milliseconds=1))
        until = [one for one in booked if one.number <= each.number]
        for as_of, kept in ((shown, until), (before, until[:-1])):
            body = await get(http, path, basis="posted", as_of=as_of)
            sums = reckoned((side for side in sides(kept) if side.account == "payable:m-1"), lambda side: side[4:5])
            right = {each["commodity"]: (each["debit"], each["credit"], each["balance"]) for each in body["balances"]}
            assert right == {commodity: told_ for (commodity,), told_ in sums.items()}
    assert (body["account"], body["normal"], body["basis"]) == ("payable:m-1", "credit", "posted")


ACCOUNTS = ("payable:m-1", "payable:m/2 ü", "outstanding", "payable")


async def test_a_statement_leads_from_opening_to_closing(http: Http, booked: list[Booked]) -> None:
    """By every basis: opening, each movement with what it then stood at, closing; page by page as in one."""
    since, until = FIRST + timedelta(days=2), FIRST + timedelta(days=6)
    for basis, account in product(BASES, ACCOUNTS):
        path = f"accounts/{quote(account, safe='')}/statement"
        query = {"basis": basis, "since": str(since), "until": str(until)}
        whole = await get(http, path, **query)
        before = upto(booked, basis, since - timedelta(days=1))
        within = [each for each in upto(booked, basis, until) if each not in before]
        mine = [side for side in sides(within) if side.account == account]
        mine.sort(key=lambda side: (side.booked.at(basis), side.booked.number, side.line))
        standing = {key[0]: sums[2] for key, sums in reckoned(of(before, account), commodity).items()}
        openings = dict(standing)
        for side, movement in zip(mine, whole["items"], strict=True):
            standing[side.commodity] = standing.get(side.commodity, 0) + side.debit - side.credit
            assert (movement["journal"], movement["line"], movement["counter"]) == (
                side.booked.number, side.line, side.counter
            )  # fmt: skip
            assert (movement["debit"], movement["credit"]) == (side.debit, side.credit)
            assert movement["balance"] == standing[side.commodity]
        moved = reckoned(mine, commodity)
        assert {line["commodity"]: line for line in whole["lines"]} == {
            name: {
                "commodity": name, "opening": openings.get(name, 0), "closing": closing,
                "debit": moved.get((name,), (0, 0, 0))[0], "credit": moved.get((name,), (0, 0, 0))[1],
            }
            for name, closing in standing.items()
        }  # fmt: skip
        assert await pages(http, path, **query) == whole["items"]


def of(booked: list[Booked], account: str) -> list[Side]:
    """The sides on *account*."""
    return [side for side in sides(booked) if side.account == account]


def commodity(side: Side) -> tuple[str, ...]:
    """What it is of."""
    return (side.commodity,)


async def test_accounts_are_those_of_the_chart_that_moved(http: Http, booked: list[Booked]) -> None:
    """Each with its kind, its name and side, and what was ever on it from when to when."""
    found = {each["account"]: each for each in await pages(http, "accounts")}
    merchant = found["payable:m/2 ü"]
    days = [side.booked.journal.effective_date for side in of(booked, "payable:m/2 ü")]

    assert list(found) == sorted({side.account for side in sides(booked)})
    assert (merchant["kind"], merchant["name"], merchant["normal"]) == ("payable", "m/2 ü", "credit")
    assert (merchant["book"], merchant["control"], merchant["commodities"]) == ("money", False, ["CNY"])
    assert (merchant["first_date"], merchant["last_date"]) == (str(min(days)), str(max(days)))
    assert (found["stock"]["book"], found["commitment:c"]["control"]) == ("units", True)


async def test_journals_are_as_they_were_sealed(http: Http, booked: list[Booked]) -> None:
    """Listed last first, by chain, verb, account and window; one is shown with its lines and its place in its chain."""
    numbers = [each["id"] for each in await pages(http, "journals")]
    manual = await pages(http, "journals", verb="manual")
    on = await pages(http, "journals", account="clearing:bank", since=str(FIRST), until=str(DAYS[2]))
    chain = await get(http, "journals", chain="c/0")
    one = await get(http, f"journals/{booked[3].number}")

    assert numbers == [each.number for each in booked[::-1]]
    assert {each["chain"] for each in manual} == {"manual:main"}
    assert [each["id"] for each in on] == [
        each.number for each in upto(booked, "effective", DAYS[2])[::-1]
        if any(side.account == "clearing:bank" for side in sides([each]))
    ]  # fmt: skip
    for later, earlier in zip(chain["items"], chain["items"][1:], strict=False):
        assert later["previous_hash"] == earlier["hash"]
    assert chain["items"][-1]["previous_hash"] == ""
    assert [(line["debit"], line["credit"], line["commodity"], line["amount"]) for line in one["lines"]] == [
        (line.destination, line.source, line.commodity, line.amount) for line in booked[3].journal.postings
    ]
    assert (one["chain"], one["verb"], one["reversed_by"]) == (booked[3].journal.shard, booked[3].journal.verb, [])


async def test_the_head_of_a_day(http: Http, booked: list[Booked]) -> None:
    """As JSON and as the text whose hash it is; the day that is not over has none, and is told when it has."""
    data = await get(http, "head", date=str(DAYS[2]))
    text = await http.ask("GET", f"/v1/ledger/head?date={DAYS[2]}", "auditor", accept="text/plain")
    today = await http.ask("GET", f"/v1/ledger/head?date={datetime.now(UTC).date()}", "auditor")

    assert data["head"] == sha256(text.content).hexdigest()
    assert data["text"] == text.text
    assert sum(tip["journals"] for tip in data["chains"]) == len(upto(booked, "posted", DAYS[2]))
    assert text.headers["etag"] == f'"{data["head"]}"'
    assert (today.status_code, today.json()["code"], today.json()["field"]) == (409, "invalid_state", "date")
    assert today.json()["over_at"].endswith("T00:05:00.000Z")


UNASKABLE = {
    "balances?by=holder": "by",
    "balances?basis=guessed": "basis",
    "balances?as_of=yesterday": "as_of",
    "balances?as_of=2026-02-30": "as_of",
    "balances?as_of=2026-11-03T10:00:00Z": "as_of",
    "balances?basis=posted&as_of=2026-11-03T25:00:00Z": "as_of",
    "balances?basis=posted&as_of=1999-11-03T10:00:00Z": "as_of",
    "balances?zone=Moon/Base": "zone",
    "balances?zone=../etc": "zone",
    "balances?book=gold": "book",
    "balances?campaign=a%00b": "campaign",
    "balances?cursor=x": "cursor",
    "accounts/payable/statement?since=2026-11-03&until=2026-11-02": "until",
    "accounts/payable/statement?limit=0": "limit",
    "journals?verb=redeem&verb=claim": "verb",
    "journals?verb=redem": "verb",
    "journals?account=cash": "account",
    "head?date=2026-13-01": "date",
}
"""What is asked → the parameter that is wrong in it."""


async def test_what_can_not_be_asked_is_named(http: Http) -> None:
    """A bad request names the parameter."""
    for path, field in UNASKABLE.items():
        answer = await http.ask("GET", f"/v1/ledger/{path}", "finance")
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", field), path


UNKNOWN = {
    "accounts/payable%3Anone/balance": "account",
    "accounts/payable%3Anone/statement": "account",
    "journals?account=payable%3Anone": "account",
    "journals?chain=none/0": "chain",
    "manual-journals?entity=none": "entity",
}
"""What is asked → the parameter whose name the books don't know."""


async def test_what_is_not_there(http: Http) -> None:
    """Accounts that the chart does not have, journals that were never posted, names that the books don't know."""
    for path in ("accounts/cash/balance", "accounts/payable%3A/statement", "journals/7", "journals/x", "journals/-1"):
        answer = await http.ask("GET", f"/v1/ledger/{path}", "finance")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    for path in ("accounts", "balances", "journals", "accounts/payable/balance", "accounts/payable/statement"):
        for field in ("entity", "campaign"):
            answer = await http.ask("GET", f"/v1/ledger/{path}?{field}=none", "finance")
            assert (answer.status_code, answer.json()["field"]) == (404, field), path
    for path, field in UNKNOWN.items():
        answer = await http.ask("GET", f"/v1/ledger/{path}", "finance")
        assert (answer.status_code, answer.json()["field"]) == (404, field), path
