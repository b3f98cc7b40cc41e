"""Campaigns as they are looked up by people: filtered and sorted by their true state, their versions, their books."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.broken import Broken
from gateway.campaigns.check import ENTITY_RULE
from gateway.campaigns.definition import Definition
from gateway.campaigns.life import State, Stored
from gateway.campaigns.shards import Look, Shards
from gateway.campaigns.store import Adjustment, Campaign
from gateway.errors import Refusal
from gateway.sql import load_queries, postgres, row, rows
from lua.door import Door
from lua.keys import CampaignId, Shard

_QUERIES = load_queries("campaign_register")

ID_TAKEN_RULE = "an id that no other campaign has"
JOURNALS_MAX = 10_000
"""So many journals are summed up for a curve; of more, the sums of days are."""

HELD_MAX = 1000
"""Coupons of one holder are counted up to here."""

_MOVING = ["restock", "withdraw", "claim", "issue", "rollback", "expire", "revoke"]
"""Verbs of journals that may move stock."""

_SPAN = 2000
"""So many state changes are looked through for claims, before journals are asked where there are more."""

Sort = Literal["id", "name", "starts", "ends", "changed"]


class Listed(Campaign, frozen=True):
    """A campaign, its state by Redis' clock, and what it is sorted by."""

    effective: State
    key: str


class Past(msgspec.Struct, frozen=True):
    """A version as it was decided, by whom and when."""

    version: int
    state: Stored
    definition: Definition
    changed_by: str
    changed_at: datetime


class Change(Past, frozen=True):
    """A version, and the *old* one that it came after; None of the first."""

    old: Past | None


class Moved(msgspec.Struct, frozen=True):
    """What went in (> 0) or out (< 0) of stock until *at*, since the one before; *part* as the statement tells them."""

    at: datetime
    delta: int
    part: int = 1


class Channel(msgspec.Struct, frozen=True):
    """Coupons claimed in a channel, redemptions of them, and what was given away for good, minor units."""

    channel: str
    claimed: int
    redeemed: int
    minor: int


class Claim(msgspec.Struct, frozen=True):
    """A claim as the books have it: the state change *seq* of *shard*."""

    shard: str
    seq: int
    at: datetime
    holder: str
    channel: str
    code: str


class Held(msgspec.Struct, frozen=True):
    """How a coupon is now, and how many its holder has claimed of the campaign, HELD_MAX at most."""

    code: str
    state: str
    count: int


class Adjusted(Adjustment, frozen=True, kw_only=True):
    """A stock adjustment that is over, and when it was asked for."""

    requested_at: datetime


class Called(NamedTuple):
    """What a campaign is called, and what its money is in."""

    name: str
    currency: str


class Register:
    """Looks up; changes nothing. Errors of all of it: Refusal("not_ready") where the books or Redis are away."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool, self._shards = pool, Shards(door)

    async def listed(
        self, *, text: str, state: str, sort: Sort, down: bool, after: tuple[str, str], limit: int
    ) -> tuple[list[Listed], int]:
        """
        At most *limit* campaigns with *text* in name or id, in *state* (empty: all but the archived), and Redis TIME.

        *after* is the place (key, id) of the last one seen; two empty texts are the beginning.
        """
        now_ms = await self._shards.now_ms(CampaignId("clock"))
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        asked = {"text": text, "state": state, "sort": sort, "down": down, "limit": limit}
        found = await self._rows("listed", now=now, key=after[0], id=after[1], **asked)
        return msgspec.convert(found, list[Listed]), now_ms

    async def looks(self, many: Sequence[Campaign]) -> list[Sequence[Look]]:
        """The shards of each of *many*; none of a draft."""
        counts = [0 if here.state is Stored.DRAFT else here.definition.shards for here in many]
        wanted = [Shard(here.id, n) for here, count in zip(many, counts, strict=True) for n in range(count)]
        looks = iter(await self._shards.look_each(wanted))
        return [list(islice(looks, count)) for count in counts]

    async def called(self, campaigns: Sequence[str]) -> dict[str, Called]:
        """Id of each of *campaigns* that there is → what it is called."""
        if not campaigns:
            return {}
        async with postgres(self._pool) as connection:
            found = await rows(connection, _QUERIES["called"], ids=list(campaigns))
        return {each["id"]: Called(each["name"], each["currency"]) for each in found}

    async def refused(self, new: Definition) -> Iterator[Broken]:
        """The rules that *new* breaks as a new campaign, of those that only the books can tell."""
        async with postgres(self._pool) as connection:
            found = await row(connection, _QUERIES["taken"], id=new.id, entity=new.legal_entity)
        assert found is not None, "the statement has one row"
        broken = [Broken("id", ID_TAKEN_RULE)] if found["is_taken"] else []
        return iter(broken if found["has_books"] else [*broken, Broken("legal_entity", ENTITY_RULE)])

    async def versions(
        self, campaign: CampaignId, limit: int, after: int | None = None, *, down: bool = True
    ) -> list[Change]:
        """At most *limit* versions, from after the number *after*: the newest first, or the other way round."""
        query, none = ("versions_down", None) if down else ("versions", 0)
        found = await self._rows(query, id=campaign, after=none if after is None else after, limit=limit)
        return msgspec.convert(found, list[Change])

    async def version(self, campaign: CampaignId, number: int) -> Past:
        """One version. Errors: Refusal("not_found")."""
        found = await self._rows("version", id=campaign, version=number)
        if not found:
            raise Refusal("not_found")
        return msgspec.convert(found[0], Past)

    async def adjustments(self, campaign: CampaignId, limit: int) -> list[Adjusted]:
        """At most *limit* stock adjustments that are over, the newest first."""
        return msgspec.convert(await self._rows("adjustments", id=campaign, limit=limit), list[Adjusted])

    async def stock_moved(self, here: Campaign, parts: int) -> list[Moved]:
        """
        Stock in and out by the unit book, in order of time.

        Shape: part 0 is what was before the window, 1 to *parts* are of the window, and one more is what came after it.
        Of more than JOURNALS_MAX journals there is a part 1 for each day.
        """
        asked: dict[str, Any] = {"shards": _names(here), "verbs": _MOVING}
        [counted] = await self._rows("stock_journals", most=JOURNALS_MAX + 1, **asked)
        what = here.definition
        if counted["count"] > JOURNALS_MAX:
            found = await self._rows("stock_days", shards=_names(here), id=here.id, zone=what.timezone)
        else:
            starts, ends = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (what.starts_ms, what.ends_ms))
            found = await self._rows(
                "stock_moved", id=here.id, entity=what.legal_entity, parts=parts, starts=starts, ends=ends, **asked
            )
        return msgspec.convert(found, list[Moved])

    async def channels(self, here: Campaign) -> list[Channel]:
        """Each channel that something was claimed in, the busiest first."""
        return msgspec.convert(await self._rows("channels", shards=_names(here)), list[Channel])

    async def places(self, here: Campaign) -> dict[str, int]:
        """Shard → the seq after its last state change: where claims() begins."""
        found = await self._rows("claim_places", shards=_names(here))
        return {each["shard"]: each["seq"] for each in found}

    async def claims(self, places: Mapping[str, int], limit: int) -> list[Claim]:
        """At most *limit* claims, the newest first; *places* has, of each shard, the seq of the last one seen."""
        found = await self._claims("last_claims", places, limit, span=_SPAN)
        few = Counter(each.shard for each in found)
        rest = {shard: seq for shard, seq in places.items() if few[shard] < limit and seq > _SPAN}
        found = await self._further("claims_by_journal", found, rest, limit)
        return sorted(found, key=_in_time, reverse=True)[:limit]

    async def first_claims(self, here: Campaign, places: Mapping[str, int], limit: int) -> list[Claim]:
        """The same, the first one first, from 0 on."""
        ends = await self.places(here)
        found = await self._claims("first_claims", places, limit, span=_SPAN)
        few = Counter(each.shard for each in found)
        rest = {shard: seq for shard, seq in places.items() if few[shard] < limit and seq + _SPAN < ends.get(shard, 0)}
        found = await self._further("first_claims_by_journal", found, rest, limit)
        return sorted(found, key=_in_time)[:limit]

    async def _further(self, query: str, found: list[Claim], rest: Mapping[str, int], limit: int) -> list[Claim]:
        """*found*, with the claims of *rest*, of which more was to be looked through, found by their journals."""
        if not rest:
            return found
        return [each for each in found if each.shard not in rest] + await self._claims(query, rest, limit)

    async def _claims(self, query: str, places: Mapping[str, int], limit: int, **asked: int) -> list[Claim]:
        """*limit* of each shard at most."""
        shards, seqs = list(places), list(places.values())
        return msgspec.convert(await self._rows(query, shards=shards, places=seqs, limit=limit, **asked), list[Claim])

    async def claims_of(
        self, here: Campaign, holder: str, limit: int, after: tuple[datetime, str] | None, *, down: bool = True
    ) -> list[Claim]:
        """
        At most *limit* claims of *holder*, from after the place *after* (at, code): the newest first, or the other way.
        """
        at, code = after or (None, "")
        asked = {"id": here.id, "holder": holder, "limit": limit, "at": at, "code": code}
        return msgspec.convert(await self._rows("claims_of_down" if down else "claims_of", **asked), list[Claim])

    async def held(self, here: Campaign, codes: Sequence[str]) -> dict[str, Held]:
        """Code → how that coupon is, as far as the books have it."""
        found = await self._rows("held", id=here.id, codes=list(codes), most=HELD_MAX)
        return {each.code: each for each in msgspec.convert(found, list[Held])}

    async def _rows(self, query: str, **asked: Any) -> list[dict[str, Any]]:
        async with postgres(self._pool) as connection:
            return await rows(connection, _QUERIES[query], **asked)


def _in_time(claim: Claim) -> tuple[datetime, str, int]:
    return claim.at, claim.shard, claim.seq


def _names(here: Campaign) -> list[str]:
    return [str(Shard(here.id, number)) for number in range(here.definition.shards)]
