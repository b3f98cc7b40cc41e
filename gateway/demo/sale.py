"""
The campaign that /demo shows, and the tickets its visitors claim with.

Anybody may have a ticket, so a ticket is all there is to have: it is good for a claim from this campaign and for
nothing else, for a short time, and an address gets only so many a minute. The browser names its holder itself, as 128
random bits: nobody else's can be guessed, and none is a holder of any other door, for they all begin with ``demo:``.
"""

import asyncio
import re
import time
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from gateway.addresses import Address
from gateway.campaigns.shards import Shards, all_ready
from gateway.campaigns.view import holder_view
from gateway.catalog import Catalog
from gateway.credentials import Credentials
from gateway.errors import Refusal
from gateway.limiter import WINDOW_S, Limit, Limiter
from gateway.settings import Settings
from gateway.wire import rfc3339
from lua.door import Door
from lua.keys import CampaignId, HolderId

TICKET_S = 600
"""How long a ticket of the demo is good; a page that waits for the start gets itself another one."""
LOOKED_S = 0.5
"""How old the stock may be that a page is told: however many look, Redis is asked twice a second and worker."""
FOUND_S = 5.0
"""How long a page believes which campaign it is about."""
FOLLOWED = "demo"
"""
The campaign of `fairclaim up`, the only one that has followers, which it makes itself. Of another one a campaign that
is only called alike, spring-2 after spring, would be given away to anybody.
"""
FOLLOWERS_MAX = 100
AWAY = "The campaign can't be looked at at the moment."
_VISITOR = re.compile(r"[0-9a-f]{32}")


class _Looked(NamedTuple):
    """What a visitor sees of the campaign, the clock of Redis then, and when that was here."""

    view: dict[str, Any]
    now_ms: int
    at_s: float


class Demo:
    """The demo as one worker sees it."""

    def __init__(
        self, settings: Settings, catalog: Catalog, door: Door, credentials: Credentials, limiter: Limiter
    ) -> None:
        self._first, self._limiter_s_max = settings.demo_campaign, settings.code_limiter_ms_max / 1000
        self._catalog, self._shards, self._credentials = catalog, Shards(door), credentials
        self._limiter = limiter
        self._tickets = Limit("demo-ticket", settings.demo_tickets_max, WINDOW_S)
        self._pictures = Limit("demo-picture", settings.demo_tickets_max, WINDOW_S)
        self._found, self._found_at_s = CampaignId(""), 0.0
        self._looked: _Looked | None = None
        self._away_at_s = float("-inf")
        self._looking = asyncio.Lock()

    async def campaign(self) -> CampaignId:
        """
        The campaign of the setting; of demo the last of those made after it: demo-2, demo-3, …

        Errors: Refusal campaign_not_found, not_ready.
        """
        if not self._found or time.monotonic() - self._found_at_s > FOUND_S:
            last = CampaignId(self._first)
            await self._catalog.published(last)
            for number in range(2, FOLLOWERS_MAX if last == FOLLOWED else 2):
                following = CampaignId(f"{self._first}-{number}")
                try:
                    await self._catalog.published(following)
                except Refusal as refusal:
                    if refusal.code != "campaign_not_found":
                        raise
                    break
                last = following
            if last != self._found:
                self._looked = None
            self._found, self._found_at_s = last, time.monotonic()
        return self._found

    async def view(self) -> dict[str, Any]:
        """The campaign as GET /v1/campaigns/{id} shows it to a holder. Errors: as campaign()."""
        async with self._looking:  # a rush looks once
            if time.monotonic() - self._away_at_s < LOOKED_S:  # nor waits for Redis one by one while it is away
                raise Refusal("not_ready", AWAY)
            try:
                looked = await self._look()
            except Refusal as refusal:
                if refusal.code == "not_ready":
                    self._away_at_s = time.monotonic()
                raise
        now_ms = looked.now_ms + round((time.monotonic() - looked.at_s) * 1000)
        return {**looked.view, "server_time": rfc3339(now_ms)}

    async def _look(self) -> _Looked:
        """What there is to see, LOOKED_S old at most. Errors: as campaign()."""
        campaign = await self.campaign()
        looked = self._looked
        if looked is None or time.monotonic() - looked.at_s > LOOKED_S:
            looks = await self._shards.look_all(campaign, await self._catalog.shards(campaign))
            all_ready(campaign, looks)
            looked = self._looked = _Looked(holder_view(campaign, looks), looks[0].now_ms, time.monotonic())
        return looked

    async def ticket(self, visitor: str, address: Address) -> dict[str, str]:
        """
        A ticket for the holder of *visitor*, 128 bits as 32 hexadecimal digits.

        Errors: Refusal bad_request; rate_limited; not_ready where it can't be counted; as campaign().
        """
        if not _VISITOR.fullmatch(visitor):
            raise Refusal("bad_request", "visitor: 32 hexadecimal digits, drawn by the browser.", field="visitor")
        await self._admit(self._tickets, address)
        campaign = await self.campaign()
        now_s = time.time()
        made = self._credentials.tickets.mint(HolderId(f"demo:{visitor}"), campaign, now_s, now_s + TICKET_S)
        return {"ticket": made, "campaign": campaign, "expires_at": rfc3339(round((now_s + TICKET_S) * 1000))}

    async def admit_picture(self, address: Address) -> None:
        """Let *address* have a code drawn. Errors: Refusal rate_limited; not_ready where it can't be counted."""
        await self._admit(self._pictures, address)

    async def _admit(self, limit: Limit, address: Address) -> None:
        try:
            async with asyncio.timeout(self._limiter_s_max):
                if await self._limiter.count(limit, address):
                    return
                left = await self._limiter.left(limit, address)
        except (RedisError, OSError) as error:  # a timeout is an OSError
            raise Refusal("not_ready", "Who asks can't be counted at the moment.") from error
        raise Refusal("rate_limited", "Too many requests of this address.", retry_after_s=left.again_in_s)
