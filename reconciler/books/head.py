"""
One hash for a day: what every hash chain ends in when the day is over.

It is told as a text that anybody can check without this software, because its SHA-256 is the head:

    fairclaim head 2026-11-28 UTC
    demo/0 41 9c0d…
    manual:main 3 77ab…

A line a chain, by name: how many journals it had when the day of that zone ended, by when they were posted, and the
hash of the last one, which stands for all of them. Whoever keeps the text, or only the head, somewhere else can tell
later whether the books of then are the books of now: nobody can write them anew behind it.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection

from reconciler.books.asked import begins, day_in, day_of, told
from reconciler.books.balances import fetch
from reconciler.books.statements import BOOKS
from reconciler.reports.asking import BadAsk

SETTLED_S = 300
"""
Seconds after the end of a day, until when a transaction that began in it may still be under way: a journal is of the
day its transaction began on. One that took longer is missing in a head of the day that was made before it ended, and is
in one that is made later; the chains agree with both.
"""

_TITLE = re.compile(r"fairclaim head (\d{4}-\d\d-\d\d) ([A-Za-z0-9_+/-]{1,64})")
_CHAIN = re.compile(r"(\S{1,128}) ([1-9][0-9]{0,17}) ([0-9a-f]{64})")


class NotOver(Exception):
    """The day is not over, or was not for long enough: its head may change still. *from_* is when it does not."""

    def __init__(self, day: date, from_: datetime) -> None:
        super().__init__(f"what is posted on {day} may change until {told(from_)}")
        self.from_ = from_


class NotAHead(ValueError):
    """A text is not what a head is told as."""


class Tip(msgspec.Struct, frozen=True):
    """Where a chain ends: after *journals* of them, in *head*, in hex."""

    chain: str
    journals: int
    head: str


class DayHead(NamedTuple):
    """The chains of a day, by name."""

    day: date
    zone: str
    chains: tuple[Tip, ...]

    @property
    def text(self) -> str:
        """The form that is kept."""
        lines = [f"{tip.chain} {tip.journals} {tip.head}" for tip in self.chains]
        return "\n".join([f"fairclaim head {self.day} {self.zone}", *lines, ""])

    @property
    def head(self) -> str:
        """The hash of all, in hex."""
        return sha256(self.text.encode()).hexdigest()


async def last_day_over(connection: AsyncConnection[Any], zone: str = "UTC") -> date:
    """The last day of *zone* whose head does not change any more. Errors: BadAsk, psycopg.Error."""
    return day_in(await _settled(connection), zone) - timedelta(days=1)


async def day_head(connection: AsyncConnection[Any], day: str | None, zone: str = "UTC") -> DayHead:
    """
    The head of *day*; of the last one that is over, where it is None.

    *connection* has to be in a transaction that is one snapshot. Errors: BadAsk, NotOver, psycopg.Error.
    """
    settled = await _settled(connection)
    asked = day_in(settled, zone) - timedelta(days=1) if day is None else day_of("date", day)
    end = begins(asked + timedelta(days=1), zone)
    if end > settled:
        raise NotOver(asked, end + timedelta(seconds=SETTLED_S))
    found = await fetch(connection, BOOKS["day_heads"], before=end)
    return DayHead(asked, zone, tuple(Tip(row["shard"], row["journals"], bytes(row["hash"]).hex()) for row in found))


async def _settled(connection: AsyncConnection[Any]) -> datetime:
    """What was posted up to this instant is seen by now."""
    [row] = await fetch(connection, BOOKS["now"])
    at: datetime = row["at"]
    return at - timedelta(seconds=SETTLED_S)


def read_head(text: str) -> DayHead:
    """The head that is told as *text*. Errors: NotAHead."""
    title, *lines = text.split("\n")
    match = _TITLE.fullmatch(title)
    if match is None or not lines or lines.pop():
        raise NotAHead("the first line is not: fairclaim head <date> <zone>, or the last line is cut")
    tips = []
    for number, line in enumerate(lines, start=2):
        told_ = _CHAIN.fullmatch(line)
        if told_ is None:
            raise NotAHead(f"line {number} is not: <chain> <journals> <hash>")
        tips.append(Tip(told_[1], int(told_[2]), told_[3]))
    if not _is_sorted([tip.chain for tip in tips]):
        raise NotAHead("the chains are not in order, or one is there twice")
    try:
        return DayHead(day_of("date", match[1]), match[2], tuple(tips))
    except BadAsk as error:
        raise NotAHead(str(error)) from None


def _is_sorted(names: Sequence[str]) -> bool:
    return all(before.encode() < after.encode() for before, after in pairwise(names))
