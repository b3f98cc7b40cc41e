"""
Ask for codes, see how they come along, cancel what is missing.

What is asked is written down, the named codes of it reserved, and that is all: a worker makes them (making.py).
"""

import asyncio
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, NamedTuple

from msgspec.structs import replace
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.definition import DAY_MS, Balance, Definition, must_parse_ms
from gateway.campaigns.life import State, state_at
from gateway.campaigns.service import Campaigns, Seen
from gateway.campaigns.shards import all_ready
from gateway.errors import Refusal
from gateway.issuing import store
from gateway.issuing.asked import CodesBody, SharedCode, SingleCodes, check_codes, check_expiry, digest, refuse
from gateway.issuing.batch import Batch, Kind, Part
from gateway.issuing.csv_lines import BadLine, GoodLine, Lines, read_lines
from gateway.sql import postgres
from lua.door import Door
from lua.keys import CampaignId

REPORTED_MAX = 1000
"""Refused lines that the answer to an import names; lines.csv has all."""


class Imported(NamedTuple):
    """What an import came to. *batch* is None for a dry run; *bad* are the first refused lines."""

    batch: Batch | None
    replayed: bool
    ok: int
    refused: int
    bad: list[BadLine]


class CodeBatches:
    """What the staff does with codes."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool = pool
        self._campaigns = Campaigns(pool, door)

    async def ask(self, campaign: CampaignId, key: str, body: CodesBody, actor: str) -> tuple[Batch, bool]:
        """
        A new batch, or the one that *key* asked for before, and then True.

        Errors: Refusal bad_request; campaign_not_found; invalid_state for a campaign that takes none; stock_floor with
        what is left; code_taken; idempotency_key_reused; not_ready.
        """
        code, asked = check_codes(body), digest(type(body).__name__, body)
        async with postgres(self._pool) as connection:
            known = await store.batch_by_key(connection, campaign, key)
        if known is not None:
            return _same(known, asked), True
        seen = await self._open(campaign)
        expires_ms = check_expiry(body.expires_at, seen.now_ms, _expiry_ms(seen.definition, seen.now_ms))
        match body:
            case SingleCodes(count=count):
                kind, units = Kind.SINGLE, 1
            case SharedCode(uses=uses):
                kind, count, units = Kind.SHARED, 1, uses
                if isinstance(seen.definition.value, Balance):
                    raise refuse("kind", "single, for a campaign of balances: nobody shares what is left of one")
        _check_stock(seen, count, units)
        batch = _new(seen, key, asked, kind, count, units, expires_ms, actor)
        if isinstance(body, SharedCode):
            batch = replace(batch, code=body.code.upper())
        async with postgres(self._pool) as connection, connection.transaction():
            added = await store.add_batch(connection, batch)
            if added is not None:
                if isinstance(body, SharedCode):
                    assert code is not None
                    shown = [GoodLine(0, code, body.code.upper())]
                    if await store.add_named(connection, campaign, batch.id, shown):
                        raise Refusal("code_taken", f"There is a code {body.code.upper()} already.", field="code")
                await _note(connection, added, "codes.requested")
                return added, False
        return await self._again(campaign, key, asked), True

    async def bring(
        self, campaign: CampaignId, key: str, data: bytes, expires_at: str | None, actor: str, *, dry_run: bool
    ) -> Imported:
        """
        Import the codes of a CSV: reserve those that nobody has, report the others. A dry run only reports.

        Errors: as ask(), and too_large for more lines than a file may have.
        """
        asked = digest("import", data, expires_at)
        async with postgres(self._pool) as connection:
            known = await store.batch_by_key(connection, campaign, key)
        if known is not None and not dry_run:
            return await self._imported(_same(known, asked))
        seen = await self._open(campaign)
        expires_ms = check_expiry(expires_at, seen.now_ms, _expiry_ms(seen.definition, seen.now_ms))
        lines = await asyncio.to_thread(read_lines, data)
        if dry_run:
            async with postgres(self._pool) as connection:
                bad = _all_bad(lines, await store.named_taken(connection, lines.good))
            ok = len(lines.good) + len(lines.bad) - len(bad)
            _check_stock(seen, ok, 1)
            return Imported(None, False, ok, len(bad), bad[:REPORTED_MAX])
        batch = _new(seen, key, asked, Kind.IMPORTED, len(lines.good), 1, expires_ms, actor)
        async with postgres(self._pool) as connection, connection.transaction():
            added = await store.add_batch(connection, batch)
            if added is not None:
                bad = _all_bad(lines, await store.add_named(connection, campaign, batch.id, lines.good))
                ok = len(lines.good) + len(lines.bad) - len(bad)
                _check_stock(seen, ok, 1)
                await store.add_refusals(connection, batch.id, bad)
                added = await store.set_counts(connection, batch.id, ok, len(bad))
                await _note(connection, added, "codes.imported")
                return Imported(added, False, ok, len(bad), bad[:REPORTED_MAX])
        return await self._imported(await self._again(campaign, key, asked))

    async def see(self, campaign: CampaignId, batch: str) -> Batch:
        """The batch as it is now. Errors: Refusal code_batch_not_found, not_ready."""
        async with postgres(self._pool) as connection:
            return await store.read_batch(connection, campaign, batch)

    async def page(self, campaign: CampaignId, after: tuple[datetime, str] | None, limit: int) -> list[Batch]:
        """At most *limit* batches, newest first, from after the place given. Errors: Refusal as see() of a campaign."""
        await self._campaigns.see(campaign)
        requested_at, batch = after or (datetime(9999, 12, 31, tzinfo=UTC), "")
        async with postgres(self._pool) as connection:
            return await store.list_batches(connection, campaign, requested_at, batch, limit)

    async def cancel(self, campaign: CampaignId, batch: str, actor: str) -> Batch:
        """
        Have no more codes made; what is issued stays. A batch that is over stays as it is.

        Errors: Refusal code_batch_not_found, not_ready.
        """
        async with postgres(self._pool) as connection, connection.transaction():
            found = await store.cancel_batch(connection, campaign, batch, actor)
            if found is not None:
                await _note(connection, found, "codes.cancelled", actor)
                return found
            return await store.read_batch(connection, campaign, batch)

    async def _open(self, campaign: CampaignId) -> Seen:
        """The campaign, which takes codes, and all of its shards."""
        seen = await self._campaigns.see(campaign)
        definition = seen.definition
        state = state_at(seen.state, definition.starts_ms, definition.ends_ms, seen.now_ms)
        if state not in (State.SCHEDULED, State.ACTIVE, State.PAUSED):
            raise Refusal("invalid_state", f"A campaign that is {state} takes no codes.")
        all_ready(campaign, seen.looks)
        return seen

    async def _again(self, campaign: CampaignId, key: str, asked: bytes) -> Batch:
        """The batch that the same key asked for at the same time."""
        async with postgres(self._pool) as connection:
            known = await store.batch_by_key(connection, campaign, key)
        assert known is not None, "the key was in the way, and no batch is ever removed"
        return _same(known, asked)

    async def _imported(self, batch: Batch) -> Imported:
        async with postgres(self._pool) as connection:
            bad = await store.list_refusals(connection, batch.id, REPORTED_MAX)
        return Imported(batch, True, batch.count, batch.refused, bad)


def _same(known: Batch, asked: bytes) -> Batch:
    if known.asked != asked:
        raise Refusal("idempotency_key_reused", "This Idempotency-Key came with another request for codes.")
    return known


def _new(seen: Seen, key: str, asked: bytes, kind: Kind, count: int, units: int, expires_ms: int, actor: str) -> Batch:
    return Batch(
        id=f"cb_{token_hex(8)}",
        campaign=seen.id,
        key=key,
        asked=asked,
        kind=kind,
        count=count,
        units=units,
        expires_at=datetime.fromtimestamp(expires_ms / 1000, UTC),
        actor=actor,
        parts=[Part()] * seen.definition.shards,
        requested_at=datetime.fromtimestamp(seen.now_ms / 1000, UTC),
    )


def _expiry_ms(definition: Definition, now_ms: int) -> int:
    """When a coupon that is claimed now expires."""
    validity = definition.validity
    if validity.until is not None:
        return must_parse_ms(validity.until)
    assert validity.days is not None
    return now_ms + validity.days * DAY_MS


def _check_stock(seen: Seen, count: int, units: int) -> None:
    """Errors: Refusal("stock_floor") with what is left."""
    stocks = [look.stock for look in seen.looks]
    if sum(stocks) < count * units:
        left = sum(stocks)
        raise Refusal("stock_floor", f"Only {left} coupons are left, {count * units} are needed.", stock=left)
    if max(stocks) < units:
        most = max(stocks)
        detail = f"A shared code is on one of {len(stocks)} shards, and the fullest has {most} coupons."
        raise Refusal("stock_floor", detail, stock=most)


def _all_bad(lines: Lines, taken: list[GoodLine]) -> list[BadLine]:
    """Every line without a code, in the order of the file."""
    return sorted([*lines.bad, *(BadLine(line.line, line.shown, "exists") for line in taken)])


async def _note(connection: store.Connection, batch: Batch, action: str, actor: str | None = None) -> None:
    detail = {"batch": batch.id, "kind": batch.kind, "count": batch.count, "units": batch.units}
    await store.audit(connection, actor or batch.actor, action, f"campaign:{batch.campaign}", detail)
