"""
The only door to the books.

A batch goes in as one transaction: first the compare-and-set of the position, which is what keeps a
reconciler that was stopped, stuck or cut off from writing anything; then the rows; then COMMIT.
The constraints of the schema are the last net.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lua.keys import CampaignId, Shard
from reconciler.booking import Booking
from reconciler.copying import timestamp
from reconciler.dating import ClosedThrough
from reconciler.money import Terms, terms_of
from reconciler.movements import movement_values
from reconciler.postings import Journal, Posting, SealedJournal, seal
from reconciler.queries import QUERIES
from reconciler.shard import Batch, Break, Position
from reconciler.steps import Passing, Step, unobserved
from reconciler.tables import COPIES, Rows

APPLICATION = "fairclaim-reconciler"
ROWS_REFUSED = (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded)
"""What the books say to rows they will never take, however often they are asked."""

CONNECT_MS_MAX = 30_000
"""For whoever reads all of the books, which takes minutes: a server that is slow to answer is not away."""
BLOCKED_S_MAX = 2.0  # then whoever holds the row is taken for stopped, and is evicted
COMMIT_MS_FACTOR = 10  # a batch may be thousands of rows: it gets ten times the time of a statement


class Fenced(Exception):
    """The position is not where this batch began: another reconciler, or a replay, has moved it."""


class ClosedMeanwhile(Exception):
    """A period was closed, or opened again, since the batch was booked: *closed_through* is what holds now."""

    def __init__(self, closed_through: ClosedThrough) -> None:
        super().__init__(f"closed through {closed_through}")
        self.closed_through = closed_through


@dataclass(frozen=True)
class Checkpoint:
    """A row of checkpoints. *unranged*: the last records were quarantined without telling what they covered."""

    position: Position
    state: str
    unranged: bool


def connect_options(url: str, *, postgres_ms_max: int, connect_ms_max: int, session: Mapping[str, str]) -> str:
    """
    A conninfo that takes the reconciler's role and bounds every wait.

    Units: milliseconds; a statement may take *postgres_ms_max*. *session* adds or overrides run-time parameters.
    """
    given = conninfo_to_dict(url)
    parameters = {
        "role": "fairclaim_reconciler",
        "statement_timeout": str(postgres_ms_max),
        "lock_timeout": str(postgres_ms_max),
        **session,
    }
    options = " ".join([str(given.get("options") or ""), *(f"-c {name}={value}" for name, value in parameters.items())])
    seconds = max(1, -(-connect_ms_max // 1000))
    return make_conninfo(url, options=options.strip(), application_name=APPLICATION, connect_timeout=seconds)


class Ledger:
    """One connection to the books, opened when it is first needed. Errors: psycopg.Error from every method."""

    def __init__(self, url: str, *, postgres_ms_max: int, connect_ms_max: int, passing: Passing = unobserved) -> None:
        self._url = url
        commit_ms_max = postgres_ms_max * COMMIT_MS_FACTOR
        self._conninfo = connect_options(
            url,
            postgres_ms_max=commit_ms_max,
            connect_ms_max=connect_ms_max,
            # A reconciler that is stopped inside a transaction must not hold a shard for longer than this.
            session={"idle_in_transaction_session_timeout": str(postgres_ms_max)},
        )
        self._connect_s_max = connect_ms_max / 1000
        self._answer_s_max = commit_ms_max / 1000 * 2
        self._passing = passing
        self._connection: AsyncConnection | None = None

    async def checkpoints(self, shards: Sequence[str]) -> dict[str, Checkpoint]:
        """Where the books stand with *shards*; those without a row are left out."""
        async with self._session() as connection:
            cursor = await connection.execute(QUERIES["load_checkpoints"], {"shards": list(shards)})
            rows = await cursor.fetchall()
        return {
            shard: Checkpoint(Position(epoch, seq, entry_id, head), state, unranged)
            for shard, epoch, seq, entry_id, head, state, unranged in rows
        }

    async def terms(self, campaign: CampaignId, versions: Sequence[int]) -> dict[int, Terms]:
        """The terms of each version of a campaign; for a version that is not there UTC, and no money."""
        async with self._session() as connection:
            cursor = await connection.execute(QUERIES["load_terms"], {"campaign": campaign, "versions": list(versions)})
            found = {version: terms_of(*told) for version, *told in await cursor.fetchall()}
        return {version: found.get(version, Terms()) for version in versions}

    async def commit(self, shard: Shard, before: Position, batch: Batch, booking: Booking) -> Position:
        """
        Put *batch*, as *booking* has it, into the books and return the position after it.

        Errors: Fenced, ClosedMeanwhile, and nothing was written; ROWS_REFUSED when a constraint refused a row, and
        nothing was written; any other psycopg.Error leaves open whether it was (the next load tells).
        """
        name, sealed = str(shard), seal(before.head, booking.journals)
        after = Position(before.epoch, batch.seq, batch.entry_id, sealed[-1].hash if sealed else before.head)
        async with self._session() as connection, connection.transaction():
            await self._advance(connection, name, before, after, booking.closed_through)
            self._passing(Step.AFTER_FENCE)
            for query in COPIES:
                await _copy(connection, query, booking.rows.text(query))
            self._passing(Step.AFTER_COPY)
            await _change(connection, shard, booking.rows)
            if sealed:
                await connection.execute(QUERIES["insert_journals"], journal_values(name, sealed))
            if batch.earlier_range is not None:
                first_seq, count = batch.earlier_range
                values = {"shard": name, "first_seq": first_seq, "count": count}
                await connection.execute(QUERIES["settle_quarantine"], values)
            for bad in booking.quarantined:
                values = {**vars(bad), "shard": name, "fields": json.dumps(bad.fields)}
                await connection.execute(QUERIES["insert_quarantine"], values)
            self._passing(Step.BEFORE_COMMIT)
        return after

    async def stop_shard(self, shard: str, at: Position, break_: Break) -> None:
        """Record *break_* and mark the shard stopped. Errors: Fenced."""
        async with self._session() as connection, connection.transaction():
            await _fence(connection, "stop_shard", shard, at)
            values = {
                "shard": shard,
                "kind": break_.kind,
                "expected": json.dumps(break_.expected),
                "found": json.dumps(break_.found),
            }
            await connection.execute(QUERIES["insert_break"], values)

    async def resume_shard(self, shard: str, at: Position) -> None:
        """Mark the shard running and its breaks resolved. Errors: Fenced."""
        async with self._session() as connection, connection.transaction():
            await _fence(connection, "resume_shard", shard, at)
            await connection.execute(QUERIES["resolve_breaks"], {"shard": shard})

    async def journals(self, shard: str) -> list[SealedJournal]:
        """Every journal of a shard in chain order, as broken_link() checks them."""
        async with self._session() as connection:
            cursor = await connection.execute(QUERIES["load_journals"], {"shard": shard})
            return [sealed_row(shard, *row) for _, *row in await cursor.fetchall()]

    async def close(self) -> None:
        """Drop the connection; an open transaction is rolled back by the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncConnection]:
        """The connection, made anew where needed; it does not outlive an error."""
        if self._connection is None:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            async with asyncio.timeout(self._answer_s_max):
                yield self._connection
        except TimeoutError:
            await self.close()
            raise psycopg.OperationalError(f"no answer in {self._answer_s_max:.0f} s") from None
        except (Fenced, ClosedMeanwhile, *ROWS_REFUSED):
            raise
        except BaseException:
            await self.close()
            raise

    async def _advance(
        self, connection: AsyncConnection, shard: str, before: Position, after: Position, closed_through: ClosedThrough
    ) -> None:
        """
        Move the position, and keep closed what is.

        Whoever blocks it is evicted, because only a reconciler that is stuck holds it for long.
        """
        evictor = asyncio.create_task(self._evict(connection.info.backend_pid))
        try:
            new = {"new_seq": after.seq, "new_entry_id": after.entry_id, "new_head": after.head}
            await _fence(connection, "advance", shard, before, **new)
            if closed_through:
                await _keep_closed(connection, closed_through)
        finally:
            evictor.cancel()
            await asyncio.gather(evictor, return_exceptions=True)

    async def _evict(self, pid: int) -> None:
        await asyncio.sleep(BLOCKED_S_MAX)
        # As the login user and not as the role: a backend may be ended only by the user it belongs to.
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(QUERIES["evict"], {"pid": pid, "application": APPLICATION})


async def _fence(connection: AsyncConnection, query: str, shard: str, at: Position, **new: object) -> None:
    cursor = await connection.execute(QUERIES[query], {"shard": shard, **vars(at), **new})
    if cursor.rowcount != 1:
        raise Fenced(f"{shard} is no longer at seq {at.seq}, entry {at.entry_id}, epoch {at.epoch}")


async def _keep_closed(connection: AsyncConnection, assumed: ClosedThrough) -> None:
    """Have no period of the entities closed or opened before this commits. Errors: ClosedMeanwhile."""
    cursor = await connection.execute(QUERIES["hold_entities"], {"entities": list(assumed)})
    now: dict[str, date | None] = dict.fromkeys(assumed) | dict(await cursor.fetchall())
    if now != assumed:
        raise ClosedMeanwhile(now)


async def _change(connection: AsyncConnection, shard: Shard, rows: Rows) -> None:
    """Bring coupons and redemptions to where the steps leave them, and sum what was moved."""
    channels: dict[str, str] = {}
    stores: dict[str, str | None] = {}
    if rows.changes:
        values = {"shard": str(shard), **rows.changed_values()}
        cursor = await connection.execute(QUERIES["change_coupons"], values)
        channels = dict(await cursor.fetchall())
    if rows.rolled_back:
        cursor = await connection.execute(QUERIES["sum_rollbacks"], {"redemptions": list(rows.rolled_back)})
        stores = dict(await cursor.fetchall())
    totals = rows.movements.totals(channels, stores)
    if totals:
        await connection.execute(QUERIES["add_movements"], movement_values(shard, totals))


async def _copy(connection: AsyncConnection, query: str, text: str) -> None:
    if text:
        async with connection.cursor() as cursor, cursor.copy(QUERIES[query]) as copy:
            await copy.write(text)


def journal_values(shard: str, sealed: Sequence[SealedJournal]) -> dict[str, object]:
    """What insert_journals takes."""
    journals = [link.journal for link in sealed]
    moves = [(link.hash, line, move) for link in sealed for line, move in enumerate(link.journal.postings, start=1)]
    return {
        "shard": shard,
        "verbs": [journal.verb for journal in journals],
        "first_seqs": [journal.first_seq for journal in journals],
        "last_seqs": [journal.last_seq for journal in journals],
        "occurred": [timestamp(journal.occurred_ms) for journal in journals],
        "dates": [journal.effective_date for journal in journals],
        "entities": [journal.entity for journal in journals],
        "original_dates": [journal.original_date for journal in journals],
        "abouts": [journal.about for journal in journals],
        "refs": [journal.ref for journal in journals],
        "reasons": [journal.reason for journal in journals],
        "reverses": [journal.reverses for journal in journals],
        "previous": [link.previous_hash for link in sealed],
        "hashes": [link.hash for link in sealed],
        "of": [of for of, _, _ in moves],
        "lines": [line for _, line, _ in moves],
        "sources": [move.source for _, _, move in moves],
        "destinations": [move.destination for _, _, move in moves],
        "commodities": [move.commodity for _, _, move in moves],
        "amounts": [move.amount for _, _, move in moves],
    }


def sealed_row(shard: str, *row: object) -> SealedJournal:
    """A journal from what load_journals gives after its id."""
    verb, first_seq, last_seq, occurred_at, effective_date, *further = row[:11]
    previous, digest, *columns = row[11:]
    assert isinstance(occurred_at, datetime)
    since = occurred_at - datetime(1970, 1, 1, tzinfo=UTC)
    occurred_ms = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    postings = tuple(
        Posting(source, destination, commodity, int(amount))
        for source, destination, commodity, amount in zip(*columns, strict=True)
    )
    told: Any = (verb, first_seq, last_seq, occurred_ms, effective_date, postings, *further)
    journal = Journal(shard, *told)
    return SealedJournal(journal, previous, digest)  # type: ignore[arg-type]
