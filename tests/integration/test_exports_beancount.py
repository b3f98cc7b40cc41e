"""The journal in plain text: bean-check takes it, and what it comes to there is what the books say."""

import re
import subprocess
import sys
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from beancount.core.data import Open, Transaction
from beancount.loader import load_string

from reconciler.accounts import MONEY_ACCOUNTS
from reconciler.reports.shape import Asked
from reconciler.reports.writing_beancount import beancount_account
from tests.integration.bookkeeping import add_journals
from tests.integration.exporting import Exports

MERCHANTS = ("m-1", "M-1", "a/b: c", "店", "", "x" * 60)
PERIODS = [
    Asked(),
    Asked(since=date(2026, 11, 10)),
    Asked(until=date(2026, 11, 20)),
    Asked(since=date(2026, 11, 5), until=date(2026, 11, 20), entity="main"),
    Asked(since=date(2026, 11, 5), campaign="tea-0"),
    Asked(since=date(2027, 1, 1), until=date(2027, 1, 31)),
]


@pytest.fixture
def site(postgres_url: str, tmp_path: Path) -> Exports:
    """Books of a month in three currencies, with merchants of any name, and one late journal with a reason."""
    for number, merchant in enumerate(MERCHANTS):
        currency = ("CNY", "JPY", "KWD")[number % 3]
        shard = f"tea-{number}/0"
        add_journals(postgres_url, 9, first=1 + 3 * number, shard=shard, merchant=merchant, currency=currency)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SET session_replication_role = replica")  # journals are not changed, but by their owner
        connection.execute(
            "UPDATE journals SET reason = %s, original_date = '2026-10-31', ref = 'mj_1' WHERE id = 7",
            ('a "quoted"\n \\ reason',),
        )
    return Exports(postgres_url, tmp_path / "exports")


def checked(text: str) -> list[Any]:
    """The entries of a journal, which has no error."""
    entries, errors, _ = load_string(text)
    assert [error.message for error in errors] == []
    return list(entries)


def balances(entries: list[Any]) -> dict[tuple[str, str], Decimal]:
    """(Account of ours, currency) → balance, by what beancount read."""
    names = {entry.account: entry.meta["account"] for entry in entries if isinstance(entry, Open)}
    found: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in entries:
        for posting in entry.postings if isinstance(entry, Transaction) else ():
            units: Any = posting.units
            found[names[posting.account], units.currency] += units.number
    return {key: amount for key, amount in found.items() if amount}


@pytest.mark.parametrize("asked", PERIODS, ids=lambda asked: f"{asked.since} {asked.until} {asked.campaign}")
def test_a_journal_is_accepted_and_comes_to_what_the_books_say(site: Exports, asked: Asked) -> None:
    """Of the whole and of any period: what was before opens it, it balances, and ends at the books' balances."""
    entries = checked(site.expected("beancount", asked).decode())

    query = "SELECT account, commodity, sum(debit - credit) FROM account_days WHERE commodity NOT LIKE 'coupon:%%' "
    query += "AND (%(until)s::date IS NULL OR effective_date <= %(until)s) "
    query += "AND (%(campaign)s::text IS NULL OR shard = %(campaign)s || '/0') GROUP BY 1, 2"
    with psycopg.connect(site.url) as connection:
        books = connection.execute(query.encode(), {"until": asked.until, "campaign": asked.campaign}).fetchall()
    scale = {"CNY": 2, "JPY": 0, "KWD": 3}
    assert balances(entries) == {(name, of): minor.scaleb(-scale[of]) for name, of, minor in books if minor}
    if asked.since is not None:
        opening = [each for each in entries if isinstance(each, Transaction) and each.narration == "Opening balances"]
        assert {each.date for each in opening} == {asked.since}


def test_a_journal_says_where_it_comes_from(site: Exports) -> None:
    """Each transaction names journal, chain, reason, reference, and the date it was of."""
    late = next(each for each in checked(site.expected("beancount").decode()) if "original-date" in each.meta)

    assert late.narration == 'redeem: a "quoted" \\ reason'
    assert {name: late.meta[name] for name in ("journal", "chain", "original-date", "ref")} == {
        "journal": 7,
        "chain": "tea-0/0",
        "original-date": date(2026, 10, 31),
        "ref": "mj_1",
    }


def test_bean_check_itself_takes_it_and_nothing_that_was_changed(site: Exports, tmp_path: Path) -> None:
    """The program ends with 0; a changed amount, and a transaction that is missing, end it with an error."""
    text = site.expected("beancount", Asked(since=date(2026, 11, 10))).decode()
    program = [str(Path(sys.executable).with_name("bean-check")), "--no-cache"]
    harmed = [
        re.sub(r"(\n  Assets:Memorandum:Budget-available  )5\.00 CNY", r"\g<1>5.01 CNY", text, count=1),
        re.sub(r"\n\n2026-11-1\d \* \"redeem\"\n(  .*\n?)+", "\n", text, count=1),
    ]
    assert text not in harmed

    for number, each in enumerate([text, *harmed]):
        path = tmp_path / f"{number}.beancount"
        path.write_text(each, encoding="utf-8")
        ran = subprocess.run([*program, str(path)], capture_output=True, check=False)
        assert (ran.returncode == 0) is (number == 0), ran.stderr


def test_no_two_accounts_are_one() -> None:
    """Whatever accounts are named after, each has a name of its own, below the root of its kind."""
    names = ["m-1", "M-1", "m_1", "m 1", "m.1", "0-nobody", "", "店", "Nm-1", "1"]
    accounts = [
        f"{kind}:{name}" if name and of else kind for kind, (of, *_) in MONEY_ACCOUNTS.items() for name in names
    ]
    distinct = set(accounts)

    assert len({beancount_account(account) for account in distinct}) == len(distinct)
    assert beancount_account("payable:m-1") == "Liabilities:Payable:M-1"
    assert beancount_account("payable") == "Liabilities:Payable:0-nobody"
    for account in distinct:
        assert re.fullmatch(
            r"(Assets|Liabilities|Equity|Income|Expenses)(:[A-Z0-9][A-Za-z0-9-]*)+", beancount_account(account)
        )
