"""
The journal in plain text, for beancount: `bean-check` proves that it balances and ends where it says.

A journal is one transaction of it. Beancount knows five roots, and a part of an account has to begin with a capital or
a digit, so each account gets a name of its own there; `open` says which account of ours it is. At the end there is a
balance of each account, on the day after.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Any

from reconciler.accounts import (
    AUTHORISED,
    AVAILABLE,
    BANK,
    BREAKAGE,
    CLEARING,
    COMMITMENT,
    EXPENSE,
    LIABILITY,
    MONEY_ACCOUNTS,
    PAYABLE,
    SUSPENSE,
)
from reconciler.currencies import major_text
from reconciler.reports.journal import OPENING
from reconciler.reports.rows import Row
from reconciler.reports.shape import Asked, Column

ROOTS = {
    AUTHORISED: "Equity:Memorandum:Budget-authorised",
    AVAILABLE: "Assets:Memorandum:Budget-available",
    COMMITMENT: "Assets:Memorandum:Commitment",
    PAYABLE: "Liabilities:Payable",
    EXPENSE: "Expenses:Promotion",
    SUSPENSE: "Assets:Suspense:Promotion",
    CLEARING: "Assets:Clearing:Gift",
    LIABILITY: "Liabilities:Gift",
    BREAKAGE: "Income:Breakage",
    BANK: "Assets:Bank",
}
"""What each account of the chart is below in beancount."""
assert ROOTS.keys() == MONEY_ACCOUNTS.keys()

_PLAIN = re.compile("[a-z0-9][a-z0-9-]*")
_DIGEST_CHARS = 8
NOBODY = "0-nobody"
"""Who an account is named after that is named after nobody: an account may not have postings and others below it."""


def beancount_account(account: str) -> str:
    """
    The name of *account* in beancount.

    payable:m-1 is Liabilities:Payable:M-1. A name that has more than small letters, digits and hyphens ends in a
    digest of itself, so that two never become one.
    """
    kind = next(each for each in ROOTS if account == each or account.startswith(f"{each}:"))
    if not MONEY_ACCOUNTS[kind][0]:
        return ROOTS[kind]
    name = account[len(kind) + 1 :]
    if not name:
        return f"{ROOTS[kind]}:{NOBODY}"
    if _PLAIN.fullmatch(name) and name != NOBODY:
        return f"{ROOTS[kind]}:{name[0].upper()}{name[1:]}"
    kept = re.sub("[^A-Za-z0-9-]", "-", name)
    digest = sha256(name.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{ROOTS[kind]}:N{kept}-{digest}"


def beancount_chunks(columns: Sequence[Column], asked: Asked, rows: Iterable[Row]) -> Iterator[bytes]:
    """The journal, transaction by transaction. *rows* are those of the report journal, in its order."""
    at = {column.name: place for place, column in enumerate(columns)}
    lines = (dict(zip(at, row, strict=True)) for row in rows)
    opened: dict[tuple[str, str], str] = {}
    balances: defaultdict[tuple[str, str], int] = defaultdict(int)
    yield f'option "title" "Journal of {asked.entity or "every legal entity"}"\n'.encode()
    last: date | None = asked.until
    for _, group in groupby(lines, itemgetter("date", "journal")):
        legs = list(group)
        last = max(last or legs[0]["date"], legs[0]["date"])
        text: list[str] = []
        for leg in legs:
            key = (leg["account"], leg["currency"])
            if not any(account == key[0] for account, _ in opened):
                text.append(_opened(leg))
            opened.setdefault(key, beancount_account(leg["account"]))
            balances[key] += leg["debit"] - leg["credit"]
        yield "\n".join([*text, _transaction(legs, opened), ""]).encode()
    if last is not None and balances:
        yield _closing(last + timedelta(days=1), opened, balances).encode()


def _opened(leg: dict[str, Any]) -> str:
    return f"\n{leg['date']} open {beancount_account(leg['account'])}\n  account: {_quoted(leg['account'])}"


def _transaction(legs: Sequence[dict[str, Any]], opened: dict[tuple[str, str], str]) -> str:
    first = legs[0]
    told = "Opening balances" if first["verb"] == OPENING else first["verb"]
    text = [f"\n{first['date']} * {_quoted(': '.join(filter(None, (told, first['reason']))))}"]
    if first["verb"] != OPENING:
        text += [f"  journal: {first['journal']}", f"  chain: {_quoted(first['shard'])}"]
        text += [f"  original-date: {first['original_date']}"] if first["original_date"] else []
        text += [f"  ref: {_quoted(first['ref'])}"] if first["ref"] else []
    for leg in legs:
        amount = major_text(leg["debit"] - leg["credit"], leg["currency"])
        text.append(f"  {opened[leg['account'], leg['currency']]}  {amount} {leg['currency']}")
    return "\n".join(text)


def _closing(day: date, opened: dict[tuple[str, str], str], balances: dict[tuple[str, str], int]) -> str:
    return "\n" + "".join(
        f"{day} balance {opened[key]}  {major_text(minor, key[1])} {key[1]}\n"
        for key, minor in sorted(balances.items())
    )


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'
