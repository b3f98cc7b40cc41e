"""Journals straight in the books on the dates that a test wants, and what they come to by a reckoning of its own."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from psycopg import connect

from reconciler.ledger import journal_values
from reconciler.postings import Journal, Posting, seal
from reconciler.queries import QUERIES
from tests.integration.draining import Books

FIRST = date(2026, 11, 1)
MONEY = [
    ("budget:available", "commitment:c", "CNY"),
    ("payable:m-1", "expense:promotion:platform", "CNY"),
    ("payable:m-1", "expense:promotion:brand", "EUR"),
    ("payable:m/2 ü", "expense:promotion:brand", "CNY"),
    ("payable", "suspense:promotion:d", "CNY"),
    ("clearing:bank", "payable:m-1", "CNY"),
]


class Booked(NamedTuple):
    """A journal as it is in the books."""

    number: int
    journal: Journal
    posted: datetime

    @property
    def campaign(self) -> str:
        """Of which campaign it is."""
        place = self.journal.about or self.journal.shard
        return "" if place.startswith("manual:") else place.partition("/")[0]

    def at(self, basis: str) -> datetime:
        """When it counts."""
        if basis == "posted":
            return self.posted
        if basis == "occurred":
            return datetime.fromtimestamp(self.journal.occurred_ms / 1000, UTC)
        return datetime.combine(self.journal.effective_date, datetime.min.time(), UTC)


def some_journals(seed: int = 7, count: int = 40) -> Iterator[tuple[Journal, datetime]]:
    """Journals of two campaigns, two entities and people, over ten days, each with when it was posted."""
    drawn = random.Random(seed)
    posted = datetime.combine(FIRST, datetime.min.time(), UTC)
    for number in range(count):
        shard = drawn.choice(["c/0", "c/1", "d/0", "manual:main"])
        posted += timedelta(hours=drawn.randint(1, 10), microseconds=drawn.randint(0, 999_999))
        lines = [Posting(*line, drawn.randint(1, 10**6)) for line in drawn.sample(MONEY, drawn.randint(1, 3))]
        about = drawn.choice([None, "c/0"]) if shard.startswith("manual") else None
        if shard == "c/0" or about:
            lines.append(Posting("stock", "outstanding", "coupon:c", drawn.randint(1, 9)))
        day = FIRST + timedelta(days=drawn.randint(0, 9))
        occurred = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=drawn.randint(-8, 30))
        whole = Journal(
            shard, drawn.choice(["claim", "redeem"]), number, number, int(occurred.timestamp() * 1000), day,
            tuple(lines), "other" if shard == "d/0" else "main",
        )  # fmt: skip
        yield (replace(whole, verb="manual", about=about, ref="mj_1", reason="r") if shard[0] == "m" else whole), posted


def book(books: Books, journals: Iterable[tuple[Journal, datetime]]) -> list[Booked]:
    """Seal them and write them, with the chains' heads; their campaigns and entities have to be there."""
    heads: dict[str, bytes] = {}
    found = []
    with connect(books.url, autocommit=True) as connection:
        for journal, posted in journals:
            [link] = seal(heads.get(journal.shard, b""), [journal])
            heads[journal.shard] = link.hash
            values = journal_values(journal.shard, [link])
            [(number,)] = connection.execute(QUERIES["insert_journals"], values).fetchall()
            found.append(Booked(number, journal, posted))
    set_posted(books, found)
    for shard, head in heads.items():
        books.rows("UPDATE checkpoints SET head = %s WHERE shard = %s", head, shard)
        update = "UPDATE legal_entities SET head = %s, journals = 1 WHERE 'manual:' || id = %s"
        books.rows(update, head, shard)
    return found


def set_posted(books: Books, booked: Sequence[Booked]) -> None:
    """When they were posted, which nobody but the owner of the database can say."""
    books.rows("ALTER TABLE journals DISABLE TRIGGER USER")
    for each in booked:
        books.rows("UPDATE journals SET posted_at = %s WHERE id = %s", each.posted, each.number)
    books.rows("ALTER TABLE journals ENABLE TRIGGER USER")


class Side(NamedTuple):
    """One side of a line."""

    booked: Booked
    line: int
    account: str
    counter: str
    commodity: str
    debit: int
    credit: int


def sides(booked: Iterable[Booked]) -> Iterator[Side]:
    """Both sides of every line, in their order."""
    for each in booked:
        for line, move in enumerate(each.journal.postings, start=1):
            yield Side(each, line, move.destination, move.source, move.commodity, move.amount, 0)
            yield Side(each, line, move.source, move.destination, move.commodity, 0, move.amount)


Sums = dict[tuple[str, ...], tuple[int, int, int]]


def reckoned(found: Iterable[Side], key: Callable[[Side], tuple[str, ...]]) -> Sums:
    """Debit, credit and balance a key."""
    debits, credits_ = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for side in found:
        debits[key(side)] += side.debit
        credits_[key(side)] += side.credit
    return {name: (debits[name], credits_[name], debits[name] - credits_[name]) for name in sorted(debits)}
