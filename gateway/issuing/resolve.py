"""
A code as somebody typed it → the shard it is on, whichever kind it is.

A code made here says so itself: its campaign's number and its shard. A named one is looked up in Postgres, and once it
is issued it stays where it is, so it is remembered.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

from gateway.catalog import Catalog
from gateway.codes import fold_code, parse_code
from gateway.sql import load_queries, postgres, row
from lua.keys import CampaignId, CouponCode, Shard

KNOWN_MAX = 10_000
_QUERIES = load_queries("issuing")


class Resolved(NamedTuple):
    """A code as Redis and the books have it, and where."""

    code: CouponCode
    shard: Shard


class Resolver:
    """One worker's knowledge of where codes are. Bounded; what was learnt first is forgotten first."""

    def __init__(self, pool: AsyncConnectionPool[Any], catalog: Catalog) -> None:
        self._pool, self._catalog = pool, catalog
        self._named: OrderedDict[CouponCode, Resolved] = OrderedDict()

    async def resolve(self, text: str) -> Resolved | None:
        """
        Where the code is that *text* may be; None for none of ours. Whether there is such a coupon, Redis knows.

        Errors: Refusal("not_ready") when Postgres has to be asked and can't be.
        """
        parsed = parse_code(text)
        if parsed is not None:
            campaign = await self._catalog.by_number(parsed.campaign_number)
            if campaign is None or parsed.shard_number >= campaign.shards:
                return None
            return Resolved(parsed.code, Shard(campaign.id, parsed.shard_number))
        code = fold_code(text)
        if code is None:
            return None
        return self._named.get(code) or await self._look_up(code)

    async def _look_up(self, code: CouponCode) -> Resolved | None:
        async with postgres(self._pool) as connection:
            found = await row(connection, _QUERIES["named_code"], code=code)
        if found is None:
            return None
        resolved = Resolved(code, Shard(CampaignId(found["campaign"]), found["shard"]))
        if found["state"] == "issued":
            self._named[code] = resolved
            while len(self._named) > KNOWN_MAX:
                self._named.popitem(last=False)
        return resolved
