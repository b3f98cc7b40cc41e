"""
The drain: read the streams of the shards held, commit each batch with its position, trim behind it.

One task, one turn after the other: take over shards, look at those that are due, read, commit, trim.
While there is something to read there is no pause; while there is not, the read blocks in Redis.
Any trouble with a server drops what is in memory; the next turn begins from the checkpoints.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from time import monotonic

import psycopg

from lua.keys import Shard
from reconciler.booking import book
from reconciler.deadlines import Deadlines
from reconciler.ledger import ROWS_REFUSED, ClosedMeanwhile, Fenced, Ledger
from reconciler.money import Terms
from reconciler.options import DrainOptions
from reconciler.outages import Outage
from reconciler.ownership import Ownership
from reconciler.poster import Poster
from reconciler.shard import Batch, Break, Position, QuarantinedRecord, Record, read_batch
from reconciler.steps import Passing, Step, unobserved
from reconciler.streams import Streams, StreamsAway
from reconciler.sweeper import Sweeper
from reconciler.tasks import end
from reconciler.timekeeper import Timekeeper

log = logging.getLogger("fairclaim.reconciler")

EXAMINE_S = 3.0  # how often a shard is compared with the books, stopped or not
EXAMINED_A_TURN = 128  # at most, so that thousands of quiet shards do not keep the busy ones waiting


@dataclass
class Owned:
    """A shard in memory: where it stands, and whether it is drained."""

    shard: Shard
    position: Position
    running: bool
    unranged: bool
    examine_at: float = 0.0
    server: str = ""
    break_: Break | None = None
    terms: dict[int, Terms] = field(default_factory=dict)


async def run(options: DrainOptions, stop: asyncio.Event, passing: Passing = unobserved) -> None:
    """
    Drain until *stop* is set, then drain the streams to their tails and return.

    Errors: none while a server is away; that is waited out.
    """
    await Drain(options, stop, passing).run()


class Drain:
    """One reconciler."""

    def __init__(self, options: DrainOptions, stop: asyncio.Event, passing: Passing = unobserved) -> None:
        self._options, self._stop, self._passing = options, stop, passing
        bounds = {"postgres_ms_max": options.postgres_ms_max, "connect_ms_max": options.connect_ms_max}
        self._ledger = Ledger(options.postgres_url, **bounds, passing=passing)
        self._ownership = Ownership(
            options.postgres_url, shards_max=options.shards_max, retry_ms_max=options.retry_ms_max, **bounds
        )
        self._streams = Streams(
            options.redis_url,
            call_ms_max=options.call_ms_max,
            connect_ms_max=options.connect_ms_max,
            block_ms=options.block_ms,
        )
        deadlines = Deadlines(options.postgres_url, **bounds)
        timekeeper = Timekeeper(
            options.redis_url, call_ms_max=options.call_ms_max, connect_ms_max=options.connect_ms_max
        )
        self._poster = Poster(options.postgres_url, **bounds, retry_ms_max=options.retry_ms_max)
        self._sweeper = Sweeper(options.sweeper, deadlines, timekeeper, self._drained, options.retry_ms_max)
        self._redis_outage = Outage("Redis", options.retry_ms_max)
        self._books_outage = Outage("PostgreSQL (books)", options.retry_ms_max)
        self._entries_max = options.entries_max
        self._owned: dict[str, Owned] = {}
        self._closed_through: dict[str, date | None] = {}

    async def run(self) -> None:
        """Drain, sweep and post until stop, then drain to the tails."""
        holding = asyncio.create_task(self._ownership.run())
        beside = [asyncio.create_task(self._sweeper.run()), asyncio.create_task(self._poster.run())]
        try:
            while not self._stop.is_set():
                await self._try_turn(self._options.block_ms)
                for task in beside:
                    if task.done():  # it never ends by itself, so this is a defect, and it has to be heard of
                        task.result()
            for task in beside:
                task.cancel()
            await self._finish()
        finally:
            for task in (*beside, holding):
                await end(task)
            await self._ledger.close()
            await self._streams.close()

    def _drained(self) -> dict[Shard, int]:
        """The shards that are drained on the Redis of now, and the last seq the books have of each."""
        return {each.shard: each.position.seq for each in self._owned.values() if each.running and each.server}

    async def _finish(self) -> None:
        """Drain what is on the streams, for at most stop_ms_max."""
        until = monotonic() + self._options.stop_ms_max / 1000
        looked = self._ownership.looked
        while (left_s := until - monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                # Stopped as soon as it was started, or after it was asleep, it drains what it finds all the same.
                await asyncio.wait_for(looked.wait(), left_s)
            if await self._try_turn(None) == 0 and looked.is_set():
                log.info("drained to the tail of %d shards", len(self._owned))
                return
        log.error("stopped before the tail; the next start goes on from there", extra={"shards": len(self._owned)})

    async def _try_turn(self, block_ms: int | None) -> int | None:
        """One turn; None when a server is away, after the pause that asks for."""
        try:
            entries = await self._turn(block_ms)
        except StreamsAway as error:
            pause_s = self._redis_outage.failed(str(error))
            for owned in self._owned.values():
                owned.examine_at = 0.0
        except (psycopg.Error, OSError) as error:
            if isinstance(error, psycopg.errors.QueryCanceled):
                # A batch that takes too long would do so for ever: try half of it.
                self._entries_max = max(1, self._entries_max // 2)
            pause_s = self._books_outage.failed(" ".join(str(error).split()) or type(error).__name__)
            self._owned.clear()
        else:
            return entries
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause_s) if block_ms else await asyncio.sleep(pause_s)
        return None

    async def _turn(self, block_ms: int | None) -> int:
        """Take over, examine, read, commit, trim. Returns the stream records read."""
        await self._take_over()
        await self._examine_due()
        running = {owned.shard: owned.position.entry_id for owned in self._owned.values() if owned.running}
        if not running:
            await self._wait(block_ms)
            return 0
        self._passing(Step.BEFORE_READ)
        found = await self._streams.read(running, entries_max=self._entries_max, block_ms=block_ms)
        self._redis_outage.answered()
        self._passing(Step.AFTER_READ)
        for shard, records in found:
            owned = self._owned.get(str(shard))
            if owned is not None:
                await self._drain(owned, records)
        return sum(len(records) for _, records in found)

    async def _wait(self, block_ms: int | None) -> None:
        """With nothing to read: until shards come or a moment has passed."""
        if block_ms is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ownership.changed.wait(), block_ms / 1000)

    async def _take_over(self) -> None:
        """Bring the shards in memory in line with the locks held."""
        self._ownership.changed.clear()
        held = self._ownership.owned
        for name in self._owned.keys() - held:
            del self._owned[name]
        new = sorted(held - self._owned.keys())
        if not new:
            return
        checkpoints = await self._ledger.checkpoints(new)
        self._books_outage.answered()
        for name, checkpoint in checkpoints.items():
            self._owned[name] = Owned(
                Shard.parse(name), checkpoint.position, checkpoint.state == "running", checkpoint.unranged
            )

    async def _examine_due(self) -> None:
        """Compare the shards that are due, or that were last compared on another Redis, with the books."""
        now, server = monotonic(), self._streams.server
        unknown = [owned for owned in self._owned.values() if owned.running and owned.server != server]
        known = [o for o in self._owned.values() if o.examine_at <= now and not (o.running and o.server != server)]
        due = unknown + sorted(known, key=lambda owned: owned.examine_at)[:EXAMINED_A_TURN]
        if not due:
            return
        # Fresh from the books: a reconciler that was asleep must not open a shard by what it remembers.
        checkpoints = await self._ledger.checkpoints([str(owned.shard) for owned in due])
        self._books_outage.answered()
        for owned in due:
            name = str(owned.shard)
            if name not in checkpoints or checkpoints[name].position != owned.position:
                self._drop(owned, "the checkpoint has moved")
                continue
            break_ = await self._examine(owned)
            owned.examine_at, owned.server = now + EXAMINE_S, self._streams.server
            await self._settle(owned, break_)

    async def _examine(self, owned: Owned) -> Break | None:
        """What keeps the shard from being drained; None when Redis holds exactly what the books expect next."""
        attached = await self._streams.attach(owned.shard, owned.position)
        if isinstance(attached, Break):
            return attached
        if attached.seq <= owned.position.seq or owned.unranged:
            return None
        record = await self._streams.next_record(owned.shard, owned.position.entry_id)
        if record is None:
            expected = {"seq": owned.position.seq + 1, "after": owned.position.entry_id}
            return Break("seq_gap", expected, {"seq": None, "last_seq": attached.seq})
        return read_batch(owned.position, [record], unranged=False).break_

    async def _settle(self, owned: Owned, break_: Break | None) -> None:
        """Stop or resume the shard as *break_* says."""
        try:
            if break_ is not None:
                await self._stop_shard(owned, break_)
            elif not owned.running and not (owned.break_ and owned.break_.kind == "rows_refused"):
                # Rows that a constraint refused would be refused again: only a restart or another owner retries them.
                await self._ledger.resume_shard(str(owned.shard), owned.position)
                owned.running, owned.break_ = True, None
                log.warning("shard %s resumes", owned.shard, extra={"shard": str(owned.shard)})
        except Fenced as error:
            self._drop(owned, str(error))

    async def _drain(self, owned: Owned, records: Sequence[Record]) -> None:
        """Commit one batch of a shard and trim behind it."""
        batch = read_batch(owned.position, records, unranged=owned.unranged)
        try:
            if batch.entry_id != owned.position.entry_id:
                quarantined = await self._commit(owned, batch)
                self._books_outage.answered()
                owned.unranged = batch.still_unranged(owned.unranged)
                self._passing(Step.AFTER_COMMIT)
                self._log_quarantined(owned, [bad.entry_id for bad in quarantined])
                await self._streams.trim(owned.shard, owned.position.entry_id)
                self._passing(Step.AFTER_TRIM)
            if batch.break_ is not None:
                await self._stop_shard(owned, batch.break_)
            self._entries_max = min(self._options.entries_max, self._entries_max + 1)
        except Fenced as error:
            self._drop(owned, str(error))
        except ROWS_REFUSED as error:
            expected = {"seq": owned.position.seq + 1, "after": owned.position.entry_id}
            found = {"constraint": error.diag.constraint_name, "error": error.diag.message_primary, "until": batch.seq}
            await self._settle(owned, Break("rows_refused", expected, found))

    async def _commit(self, owned: Owned, batch: Batch) -> list[QuarantinedRecord]:
        """Book *batch* on dates that are open, and move on; what went into quarantine."""
        unknown = sorted({entry.version for entry in batch.entries} - owned.terms.keys())
        if unknown:
            owned.terms.update(await self._ledger.terms(owned.shard.campaign, unknown))
        while True:
            booking = book(owned.shard, batch, owned.terms.__getitem__, self._closed_through)
            try:
                owned.position = await self._ledger.commit(owned.shard, owned.position, batch, booking)
            except ClosedMeanwhile as error:
                self._closed_through.update(error.closed_through)
            else:
                return booking.quarantined

    async def _stop_shard(self, owned: Owned, break_: Break) -> None:
        if break_ == owned.break_ and not owned.running:
            return
        await self._ledger.stop_shard(str(owned.shard), owned.position, break_)
        owned.running, owned.break_ = False, break_
        owned.examine_at = monotonic() + EXAMINE_S
        told = {"shard": str(owned.shard), "break": break_.kind, "expected": break_.expected, "found": break_.found}
        log.error("shard %s stopped: %s", owned.shard, break_.kind, extra=told)

    def _log_quarantined(self, owned: Owned, entry_ids: Sequence[str]) -> None:
        if entry_ids:
            told = {"shard": str(owned.shard), "entry_ids": list(entry_ids)}
            log.error("%d records of %s are quarantined", len(entry_ids), owned.shard, extra=told)

    def _drop(self, owned: Owned, why: str) -> None:
        """Forget the shard: if its lock is still held, the next turn takes it over from its checkpoint."""
        log.warning("shard %s is reloaded: %s", owned.shard, why, extra={"shard": str(owned.shard)})
        self._owned.pop(str(owned.shard), None)
