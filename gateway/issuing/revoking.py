"""
Revokes many coupons: passes through the books, until one finds nothing left to revoke.

    what is out now (seq of each shard) ─► the books are that far ─► a pass ─► once more ─► … ─► done

What is out is asked when the revocation is (revocations.py). The books follow Redis within a second, so a pass begins
when they have what it must see. A coupon that came out later is left alone, or a sale in full swing would keep a
revocation from ever ending. Any process may die at any point: a page that is walked twice finds its coupons revoked
already.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.shards import Shards, not_ready
from gateway.errors import Refusal
from gateway.issuing.cutoff import out_now, seqs
from gateway.issuing.making import LEASE_S, REST_S
from gateway.issuing.revocations import QUERIES, Revocation
from gateway.sql import postgres, row, rows
from gateway.wire import time_ms
from lua.door import Door
from lua.keys import CLAIM_BATCH_MAX, Shard
from lua.outcomes import Outcome

PAGE = CLAIM_BATCH_MAX
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class Revoking:
    """The work of revocations, one of those of background.py."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool, self._shards = pool, Shards(door)

    async def once(self, worker: str) -> bool:
        """Take one open revocation and bring it as far as it goes; False when there is none. Errors: Refusal."""
        async with postgres(self._pool) as connection:
            found = await row(connection, QUERIES["take_revocation"], worker=worker, lease_s=LEASE_S)
        if found is None:
            return False
        here: Revocation | None = replace(msgspec.convert(found, Revocation), waits_for=None)
        while here is not None and here.state == "running" and here.waits_for is None:
            here = await self._advance(worker, await self._step(here))
        return True

    async def _step(self, here: Revocation) -> Revocation:
        """One step further; with waits_for where it can't go on now."""
        try:
            if here.until is None:  # Redis was away when it was asked for
                until = await out_now(self._pool, self._shards, here.campaign, here.holder)
                return replace(here, until=until, books=until, place=None)
            if here.place is None:
                if not await self._books_are_at(here.books or {}):
                    return replace(here, waits_for="books")
                return replace(here, place=[0, 0, 0] if here.holder is None else [0, "", 0])
            return await (self._shard_page(here) if here.holder is None else self._holder_page(here))
        except Refusal as refusal:
            return replace(here, waits_for=refusal.code)

    async def _books_are_at(self, positions: dict[str, int]) -> bool:
        async with postgres(self._pool) as connection:
            found = await rows(connection, QUERIES["positions"], shards=list(positions))
        at = {each["shard"]: each["seq"] for each in found}
        return all(at.get(shard, 0) >= seq for shard, seq in positions.items())

    async def _shard_page(self, here: Revocation) -> Revocation:
        """A page of one shard: *place* is the number of the shard in *until*, and expiry and seq of the last coupon."""
        assert here.until is not None
        assert here.place is not None
        number, expires_ms, seq = map(int, here.place)
        shards = list(here.until)
        if number == len(shards):
            return await self._pass_over(here)
        async with postgres(self._pool) as connection:
            found = await rows(
                connection,
                QUERIES["open_of_shard"],
                shard=shards[number],
                expires_at=datetime.fromtimestamp(expires_ms / 1000, UTC) if expires_ms else _EARLIEST,
                seq=seq,
                limit=PAGE,
            )
        if not found:
            return replace(here, place=[number + 1, 0, 0])
        out = [each["code"] for each in found if each["seq"] <= here.until[shards[number]]]
        revoked = await self._revoke(here, shards[number], out)
        place: list[str | int] = [number, time_ms(found[-1]["expires_at"]), found[-1]["seq"]]
        return _further(here, place, len(out), revoked)

    async def _holder_page(self, here: Revocation) -> Revocation:
        """A page of one holder: *place* has the code of his last coupon in the middle, and at its end 1 at the end."""
        assert here.until is not None
        assert here.place is not None
        _, code, over = here.place
        if over:
            return await self._pass_over(here)
        async with postgres(self._pool) as connection:
            found = await rows(
                connection,
                QUERIES["open_of_holder"],
                holder=here.holder,
                code=code,
                shards=list(here.until),
                limit=PAGE,
            )
        if not found:
            return replace(here, place=[0, code, 1])
        revoked = looked_at = 0
        for shard in dict.fromkeys(each["shard"] for each in found):
            out = [each["code"] for each in found if each["shard"] == shard and each["seq"] <= here.until[shard]]
            looked_at += len(out)
            revoked += await self._revoke(here, shard, out)
        return _further(here, [0, found[-1]["code"], 0], looked_at, revoked)

    async def _revoke(self, here: Revocation, name: str, codes: list[str]) -> int:
        """How many of *codes* were revoked now. Errors: Refusal("not_ready")."""
        if not codes:
            return 0
        shard = Shard.parse(name)
        detail = msgspec.json.encode({"actor": here.actor, "reason": here.reason, "revocation": here.id}).decode()
        replies = await self._shards.revoke(shard, [part for code in codes for part in (code, detail)])
        if Outcome.NOT_READY in replies:
            raise not_ready(shard)
        return sum(isinstance(reply, list) and reply[0] == Outcome.DONE for reply in replies)

    async def _pass_over(self, here: Revocation) -> Revocation:
        """Done, when this pass found nothing; else another one, once the books have what this one did."""
        assert here.until is not None
        if here.pass_revoked == 0:
            return replace(here, state="done")
        books = await seqs(self._shards, [Shard.parse(name) for name in here.until])
        return replace(here, books=books, place=None, pass_=here.pass_ + 1, pass_revoked=0)

    async def _advance(self, worker: str, here: Revocation) -> Revocation | None:
        """Write down how far it is; None when it is another worker's now."""
        keep = here.state == "running" and here.waits_for is None
        async with postgres(self._pool) as connection:
            found = await row(
                connection,
                QUERIES["advance_revocation"],
                id=here.id,
                worker=worker,
                until=_json(here.until),
                books=_json(here.books),
                place=_json(here.place),
                **{"pass": here.pass_},
                pass_revoked=here.pass_revoked,
                looked_at=here.looked_at,
                revoked=here.revoked,
                waits_for=here.waits_for,
                state=here.state,
                lease_s=LEASE_S if keep else REST_S,
                keep=keep,
            )
        return here if found is not None else None


def _further(here: Revocation, place: list[str | int], looked_at: int, revoked: int) -> Revocation:
    return replace(
        here,
        place=place,
        looked_at=here.looked_at + looked_at,
        revoked=here.revoked + revoked,
        pass_revoked=here.pass_revoked + revoked,
    )


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
