"""
A code batch as a value: what was asked, how far each shard is, and the one chunk that may be on its way. Pure.

    flight written down ─► issue.lua ─► landed: the shard's part as the answer says it is

The answer of issue.lua says how many codes of the batch its shard has, whatever was asked. So the count of
a batch is the sum of what its shards said last, and neither a lost answer nor a repetition can falsify it.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from lua.keys import CampaignId
from lua.outcomes import Outcome

CHUNK_CODES = 500
"""Codes in one call of issue.lua: a millisecond of Redis, in which no claim is decided. A thousand take 2.5."""


class Kind(StrEnum):
    """Where the codes come from."""

    SINGLE = "single"
    SHARED = "shared"
    IMPORTED = "imported"


class BatchState(StrEnum):
    """PENDING: nobody has begun. STOPPED: what is missing can't be issued any more."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


OPEN = (BatchState.PENDING, BatchState.RUNNING)


class Part(msgspec.Struct, frozen=True):
    """A shard's part: the chunk it takes next, and how many codes of the batch it has."""

    next: int = 0
    issued: int = 0


class Flight(msgspec.Struct, frozen=True):
    """A chunk that may be on its way to Redis, or there already."""

    shard: int
    chunk: int
    count: int


class Batch(msgspec.Struct, frozen=True):
    """A row of code_batches."""

    id: str
    campaign: CampaignId
    key: str
    asked: bytes
    kind: Kind
    count: int
    units: int
    expires_at: datetime
    actor: str
    parts: list[Part]
    requested_at: datetime
    code: str | None = None
    state: BatchState = BatchState.PENDING
    reason: str | None = None
    flight: Flight | None = None
    done: int = 0
    refused: int = 0
    rate: float = 0.0
    cancelled_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """More may come of it."""
        return self.state in OPEN


class Reply(NamedTuple):
    """What issue.lua says: its outcome, the shard's part, the stock left, and which places of the codes are taken."""

    outcome: Outcome
    part: Part
    stock: int
    taken: tuple[int, ...] = ()


def landed(batch: Batch, reply: Reply) -> Batch:
    """The batch after its flight: the shard's part is what the answer says."""
    assert batch.flight is not None
    parts = list(batch.parts)
    parts[batch.flight.shard] = reply.part
    return replace(batch, parts=parts, flight=None, done=min(batch.count, sum(part.issued for part in parts)))


def next_flight(batch: Batch, remaining: int, stocks: list[int]) -> Flight | None:
    """The next chunk, for the shard with most stock; None when no shard has what one code needs."""
    assert batch.flight is None
    shard = max(range(len(stocks)), key=lambda number: stocks[number])
    count = min(remaining, CHUNK_CODES, stocks[shard] // batch.units)
    return Flight(shard, batch.parts[shard].next, count) if count > 0 else None
