"""
Walk every hash chain and name the first journal that it does not bear out.

There is one a shard, whose head is in the checkpoint, and one of manual journals a legal entity, manual:<entity>.

One snapshot of the books, so a drain may go on meanwhile. Journals come in pieces: a chain may be longer than memory.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import psycopg

from lua.keys import Shard
from reconciler.books.head import DayHead, Tip
from reconciler.ledger import CONNECT_MS_MAX, connect_options, sealed_row
from reconciler.manual import chain_of
from reconciler.postings import SealedJournal, chain_hash
from reconciler.queries import QUERIES

MANUAL = chain_of("")
JOURNALS_PER_FETCH = 5000

CHANGED = "it is not what was sealed: it or one of its postings was changed, added or removed"
UNLINKED = "it does not follow the journal before it: one was changed, removed or put in between"
CUT_SHORT = "the chain ends before the hash that its head keeps: journals after it are missing"
NO_CHECKPOINT = "its shard has no checkpoint"
REWRITTEN = "it is not the one that the kept head has: the chain was written anew up to here"
FEWER = "the chain has fewer journals than the kept head has"
NO_ENTITY = "it is of no legal entity"


@dataclass(frozen=True)
class Fault:
    """The first place where a chain does not hold. *journal* is None where none of the shard is left."""

    journal: int | None
    verb: str | None
    first_seq: int | None
    last_seq: int | None
    reason: str


@dataclass(frozen=True)
class CheckedShard:
    """How far the chain of a shard holds: *journals* up to *head*, in hex; *fault* is None where that is all."""

    shard: str
    journals: int
    head: str
    fault: Fault | None


@dataclass(frozen=True)
class ChainReport:
    """Every shard, by its name."""

    shards: tuple[CheckedShard, ...]

    @property
    def journals(self) -> int:
        """Journals that the chains bear out."""
        return sum(checked.journals for checked in self.shards)

    @property
    def holds(self) -> bool:
        """Whether every journal is as it was sealed, and none is missing."""
        return all(checked.fault is None for checked in self.shards)


def verify(postgres_url: str, chains: Collection[str] | None = None, kept: DayHead | None = None) -> ChainReport:
    """
    Check *chains* (written <campaign>/<n>, or manual:<entity>), those of them that there are, or all; changes nothing.

    *kept* is a head that was kept somewhere else, which they have to agree with too.

    Errors: ValueError for a chain that is not of that shape; psycopg.Error when the database can't be reached or used.
    """
    for name in chains or ():
        if not name.startswith(MANUAL):
            Shard.parse(name)
    session = {"role": "fairclaim_reader", "statement_timeout": "0"}
    conninfo = connect_options(postgres_url, postgres_ms_max=0, connect_ms_max=CONNECT_MS_MAX, session=session)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            asked = None if chains is None else [*chains]
            heads = connection.execute(QUERIES["list_heads"], {"shards": asked}).fetchall()
            tips = {tip.chain: tip for tip in (kept.chains if kept else ()) if asked is None or tip.chain in asked}
            checked = [_check(connection, name, head, tips.pop(name, None)) for name, head in heads]
            gone = [CheckedShard(name, 0, "", _fault(None, FEWER)) for name in tips]
            return ChainReport(tuple(checked + gone))


def _check(connection: psycopg.Connection, shard: str, head: bytes | None, kept: Tip | None) -> CheckedShard:
    """*head* is what the checkpoint, or the legal entity, keeps; None where there is none. *kept* is of a kept head."""
    previous, count = b"", 0
    last: tuple[int, SealedJournal] | None = None
    for last in _journals(connection, shard):
        _, link = last
        unknown = NO_ENTITY if shard.startswith(MANUAL) else NO_CHECKPOINT
        reason = unknown if head is None else _broken(previous, link)
        if reason:
            return CheckedShard(shard, count, previous.hex(), _fault(last, reason))
        if kept is not None and count + 1 == kept.journals and link.hash.hex() != kept.head:
            return CheckedShard(shard, count, previous.hex(), _fault(last, REWRITTEN))
        previous, count = link.hash, count + 1
    reason = FEWER if kept is not None and count < kept.journals else "" if previous == head else CUT_SHORT
    return CheckedShard(shard, count, previous.hex(), _fault(last, reason) if reason else None)


def _broken(previous: bytes, link: SealedJournal) -> str:
    if link.previous_hash != previous:
        return UNLINKED
    return "" if link.hash == chain_hash(previous, link.journal) else CHANGED


def _fault(at: tuple[int, SealedJournal] | None, reason: str) -> Fault:
    if at is None:
        return Fault(None, None, None, None, reason)
    number, link = at
    return Fault(number, link.journal.verb, link.journal.first_seq, link.journal.last_seq, reason)


def _journals(connection: psycopg.Connection, shard: str) -> Iterator[tuple[int, SealedJournal]]:
    """The journals of *shard* in the order they were sealed in, each with its id."""
    with connection.cursor(name="journals") as cursor:
        cursor.itersize = JOURNALS_PER_FETCH
        cursor.execute(QUERIES["load_journals"], {"shard": shard})
        for number, *row in cursor:
            yield number, sealed_row(shard, *row)
