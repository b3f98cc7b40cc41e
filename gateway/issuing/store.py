"""Rows of code batches and named codes. Every function takes a connection; who calls it owns the transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection

from gateway.errors import Refusal
from gateway.issuing.batch import Batch, BatchState, Flight
from gateway.issuing.csv_lines import BadLine, GoodLine
from gateway.sql import load_queries, row, rows
from lua.keys import CampaignId, CouponCode

QUERIES = load_queries("issuing")
SLICE = 5_000
"""Rows written by one statement."""

Connection = AsyncConnection[Any]


def _batch(found: dict[str, Any] | None) -> Batch | None:
    return None if found is None else msgspec.convert(found, Batch)


async def read_batch(connection: Connection, campaign: CampaignId, batch: str) -> Batch:
    """The batch as last written down. Errors: Refusal("code_batch_not_found")."""
    found = _batch(await row(connection, QUERIES["batch"], campaign=campaign, id=batch))
    if found is None:
        raise Refusal("code_batch_not_found")
    return found


async def batch_by_key(connection: Connection, campaign: CampaignId, key: str) -> Batch | None:
    """The batch of an Idempotency-Key."""
    return _batch(await row(connection, QUERIES["batch_by_key"], campaign=campaign, key=key))


async def list_batches(
    connection: Connection, campaign: CampaignId, requested_at: datetime, batch: str, limit: int
) -> list[Batch]:
    """At most *limit* batches, newest first, from after the place given."""
    found = await rows(
        connection, QUERIES["list_batches"], campaign=campaign, requested_at=requested_at, id=batch, limit=limit
    )
    return msgspec.convert(found, list[Batch])


async def add_batch(connection: Connection, batch: Batch) -> Batch | None:
    """Write down what was asked for; None when its key has a batch already."""
    found = await row(
        connection,
        QUERIES["add_batch"],
        id=batch.id,
        campaign=batch.campaign,
        key=batch.key,
        asked=batch.asked,
        kind=batch.kind.value,
        code=batch.code,
        count=batch.count,
        units=batch.units,
        expires_at=batch.expires_at,
        actor=batch.actor,
        parts=_json(batch.parts),
        refused=batch.refused,
    )
    return _batch(found)


async def set_counts(connection: Connection, batch: str, count: int, refused: int) -> Batch:
    """Note what an import came to."""
    return msgspec.convert(await row(connection, QUERIES["set_counts"], id=batch, count=count, refused=refused), Batch)


async def cancel_batch(connection: Connection, campaign: CampaignId, batch: str, actor: str) -> Batch | None:
    """Ask the worker to stop; None when there is nothing to stop."""
    return _batch(await row(connection, QUERIES["cancel_batch"], campaign=campaign, id=batch, actor=actor))


async def take_batch(connection: Connection, worker: str, lease_s: float) -> Batch | None:
    """An open batch that is nobody's; it is *worker*'s for *lease_s* seconds from each advance()."""
    return _batch(await row(connection, QUERIES["take_batch"], worker=worker, lease_s=lease_s))


async def lock_batch(connection: Connection, batch: str, worker: str) -> Batch | None:
    """The batch, its row locked; None when another worker has taken it."""
    return _batch(await row(connection, QUERIES["lock_batch"], id=batch, worker=worker))


async def advance(connection: Connection, batch: Batch, lease_s: float, *, keep: bool) -> None:
    """Write down how far *batch* is; without *keep* it is nobody's any more, and rests for *lease_s* seconds."""
    await rows(
        connection,
        QUERIES["advance_batch"],
        id=batch.id,
        parts=_json(batch.parts),
        flight=None if batch.flight is None else _json(batch.flight),
        done=batch.done,
        rate=batch.rate,
        reason=batch.reason,
        state=batch.state.value,
        lease_s=lease_s,
        keep=keep,
    )
    if batch.state in (BatchState.CANCELLED, BatchState.STOPPED):
        await rows(connection, QUERIES["free_named"], batch=batch.id)


async def add_named(
    connection: Connection, campaign: CampaignId, batch: str, lines: Sequence[GoodLine]
) -> list[GoodLine]:
    """Reserve codes for *batch*; those of *lines* that are somebody's already."""
    ours: set[str] = set()
    for at in range(0, len(lines), SLICE):
        part = lines[at : at + SLICE]
        found = await rows(
            connection,
            QUERIES["add_named"],
            campaign=campaign,
            batch=batch,
            codes=[line.code for line in part],
            shown=[line.shown for line in part],
            lines=[line.line for line in part],
        )
        ours.update(each["code"] for each in found)
    return [line for line in lines if line.code not in ours]


async def named_taken(connection: Connection, lines: Sequence[GoodLine]) -> list[GoodLine]:
    """Those of *lines* that are somebody's already; nothing is written."""
    taken: set[str] = set()
    for at in range(0, len(lines), SLICE):
        codes = [line.code for line in lines[at : at + SLICE]]
        taken.update(each["code"] for each in await rows(connection, QUERIES["named_taken"], codes=codes))
    return [line for line in lines if line.code in taken]


async def add_refusals(connection: Connection, batch: str, lines: Sequence[BadLine]) -> None:
    """Keep the lines that gave no code, for the report."""
    for at in range(0, len(lines), SLICE):
        part = lines[at : at + SLICE]
        await rows(
            connection,
            QUERIES["add_refusals"],
            batch=batch,
            lines=[line.line for line in part],
            codes=[line.text for line in part],
            problems=[line.problem for line in part],
        )


async def list_refusals(connection: Connection, batch: str, limit: int) -> list[BadLine]:
    """The first *limit* lines that gave no code."""
    found = await rows(connection, QUERIES["list_refusals"], batch=batch, after=0, limit=limit)
    return [BadLine(each["line"], each["code"], each["problem"]) for each in found]


async def named_left(connection: Connection, batch: str) -> int:
    """How many codes wait for a chunk."""
    found = await row(connection, QUERIES["named_left"], batch=batch)
    assert found is not None
    return int(found["count"])


async def board(connection: Connection, batch: str, flight: Flight) -> None:
    """Put the next codes into the flight."""
    await rows(
        connection, QUERIES["board_named"], batch=batch, shard=flight.shard, chunk=flight.chunk, count=flight.count
    )


async def aboard(connection: Connection, batch: str, flight: Flight) -> list[CouponCode]:
    """The codes of the flight."""
    found = await rows(connection, QUERIES["aboard"], batch=batch, shard=flight.shard, chunk=flight.chunk)
    return [CouponCode(each["code"]) for each in found]


async def named_issued(connection: Connection, batch: str, flight: Flight) -> None:
    """The codes of the flight are in Redis."""
    await rows(connection, QUERIES["named_issued"], batch=batch, shard=flight.shard, chunk=flight.chunk)


async def unboard(connection: Connection, batch: str, shard: int, chunk: int) -> None:
    """The codes of the shard's chunks from *chunk* on are not in Redis."""
    await rows(connection, QUERIES["unboard_named"], batch=batch, shard=shard, chunk=chunk)


async def take_named(connection: Connection, batch: str, codes: list[CouponCode]) -> None:
    """Redis has the codes already."""
    await rows(connection, QUERIES["take_named"], batch=batch, codes=codes)


async def audit(connection: Connection, actor: str, action: str, subject: str, detail: dict[str, Any]) -> None:
    """Who did what."""
    await rows(connection, QUERIES["audit"], actor=actor, action=action, subject=subject, detail=_json(detail))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
