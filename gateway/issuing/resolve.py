"""
A code as somebody typed it → the shard it is on, whichever kind it is.

A code made here says so itself: its campaign's number and its shard. A named one is looked up in Postgres, and once it
is issued it is remembered, until it turns out to be there no longer.
"""

import logging
from collections import OrderedDict
from typing import Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

from gateway.catalog import Catalog
from gateway.codes import DECOY, fold_code, parse_code
from gateway.errors import Refusal
from gateway.sql import load_queries, postgres, row
from lua.keys import CampaignId, CouponCode, Shard

log = logging.getLogger("fairclaim.resolve")

KNOWN_MAX = 10_000
_QUERIES = load_queries("issuing")


class Resolved(NamedTuple):
    """A code as Redis and the books have it, and where."""

    code: CouponCode
    shard: Shard


class Placed(NamedTuple):
    """*resolved* is None for none of ours; *asked* says whether Postgres had to be asked."""

    resolved: Resolved | None
    asked: bool


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
        return (await self.place(text)).resolved

    async def place(self, text: str) -> Placed:
        """As resolve(), and whether Postgres was asked."""
        parsed = parse_code(text)
        if parsed is not None:
            asked = not self._catalog.knows_number(parsed.campaign_number)
            campaign = await self._catalog.by_number(parsed.campaign_number)
            if campaign is None or parsed.shard_number >= campaign.shards:
                return Placed(None, asked)
            return Placed(Resolved(parsed.code, Shard(campaign.id, parsed.shard_number)), asked)
        code = fold_code(text)
        known = None if code is None else self._named.get(code)
        if code is None or known is not None:
            return Placed(known, asked=False)
        return Placed(await self._look_up(code), asked=True)

    async def look_again(self, text: str) -> Resolved | None:
        """
        The look-up that place() did without, for a code that is not where it should be.

        A named one may have moved: a batch makes up elsewhere for what Redis has lost. None where it is nowhere; for a
        code that says itself where it is it is in vain, so that none that is not there is told sooner than another.
        """
        code = None if parse_code(text) is not None else fold_code(text)
        try:
            found = await self._look_up(code or DECOY)
        except Refusal as refusal:
            log.debug("nothing was looked up", extra={"reason": refusal.detail})
            return None
        if found is None and code is not None:
            self._named.pop(code, None)
        return found

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
