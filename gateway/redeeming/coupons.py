"""
A code as somebody typed it → the coupon as it is, its terms, and whether he may know of it.

Whoever may not is told the same as of a code that is not there, after the same work (gateway/guessing.py).
"""

from collections import OrderedDict
from typing import NamedTuple

from gateway.addresses import Address
from gateway.callers import Caller
from gateway.codes import DECOY, parse_code
from gateway.errors import Refusal
from gateway.guessing import Guessing
from gateway.issuing.resolve import Resolved, Resolver
from gateway.redeeming.calls import Calls
from gateway.redeeming.records import Inspection, Looked
from gateway.worth.terms import Terms, read_terms
from lua.keys import CampaignId, CouponCode, Shard

DECOY_SHARD = Shard(CampaignId("-"), 0)
"""Where a code is looked for that no campaign can have given out: no id begins with a hyphen, so nothing is there."""
TERMS_KEPT_MAX = 10_000


class Asker(NamedTuple):
    """
    Who asks about codes.

    *holder* has to own a coupon for it to be his; it is empty for staff, who may have anybody's. *actor* is who it is,
    as entries and the books name him. *who* and *address* are None where nobody asks: where a crash is mended. *early*
    are the failures of this request that were counted before the look and have not been told yet.
    """

    holder: str
    actor: str
    who: Caller | None = None
    address: Address | None = None
    early: list[bool] | None = None

    @classmethod
    def of(cls, who: Caller, address: Address) -> "Asker":
        """Whoever sent a request."""
        actor = f"holder:{who.holder}" if who.key is None else who.key.actor
        return cls(who.holder or "", actor, who, address, [])


class Kept(NamedTuple):
    """Terms, and their digest."""

    frozen: str
    terms: Terms


class Spot(NamedTuple):
    """Where a coupon may be, and its terms: all that is to be known of it without a look."""

    code: CouponCode
    shard: Shard
    frozen: str
    terms: Terms


class Found(NamedTuple):
    """A coupon that its asker may know of."""

    code: CouponCode
    shard: Shard
    now_ms: int
    frozen: str
    terms: Terms
    looked: Looked


class Coupons:
    """Coupons as one worker sees them."""

    def __init__(self, calls: Calls, resolver: Resolver, guessing: Guessing) -> None:
        self.calls, self.guessing = calls, guessing
        self._resolver = resolver
        self._terms: OrderedDict[CampaignId, Kept] = OrderedDict()

    async def place(self, text: str) -> tuple[CouponCode, Shard]:
        """Where the code is that *text* may be, if there is one: else a decoy, on which the same work finds nothing."""
        return _somewhere(await self._resolver.resolve(text))

    async def spot(self, text: str) -> Spot | None:
        """
        The coupon's place and terms without a look; None where the terms are not known, or say less than a look.

        What a balance takes off follows from what is left of it, so that has to be looked at.
        """
        code, shard = await self.place(text)
        known = self._terms.get(shard.campaign)
        if known is None or known.terms.kind == "balance":
            return None
        return Spot(code, shard, known.frozen, known.terms)

    async def find(self, text: str, asker: Asker, order: str = "") -> Found | None:
        """
        The coupon, if there is one and *asker* may know of it. Whoever gets None tells guessing.failed().

        What is not there for him costs one question to PostgreSQL and one to Redis, whatever the reason.
        Errors: Refusal rate_limited, not_ready, overloaded.
        """
        who, early = asker.who, None
        if who is not None and asker.early is not None and parse_code(text) is None:
            early = await self.guessing.count_early(who)
        right = True
        try:
            placed = await self._resolver.place(text)
            found = await self._find(*_somewhere(placed.resolved), asker, order, placed.asked, early)
            if found is None and not placed.asked:
                moved = await self._resolver.look_again(text)
                if moved is not None and moved != placed.resolved:
                    found = await self._find(*moved, asker, order, True, early)
            right = found is not None
        finally:
            if early and right and who is not None:
                await self.guessing.give_back(who)
        if early is not None and not right and asker.early is not None:
            asker.early.append(early)
        return found

    async def find_at(self, code: CouponCode, shard: Shard, asker: Asker, order: str) -> Found | None:
        """As find(), for a code whose place() is known: PostgreSQL is not asked."""
        return await self._find(code, shard, asker, order, asked=True, early=None)

    async def _find(
        self, code: CouponCode, shard: Shard, asker: Asker, order: str, asked: bool, early: bool | None
    ) -> Found | None:
        known = self._terms.get(shard.campaign)
        call, looked = await self.calls.inspect(shard, known.frozen if known else "", code, order)
        if not isinstance(looked, Looked):
            if shard is not DECOY_SHARD and not call.ready:
                raise not_ready()
            return None
        if not call.ready:
            raise not_ready()
        kept = self.kept(shard.campaign, call, known)
        if not may_know(asker.holder, looked, kept.terms):
            return None
        if asker.who is not None and looked.holder != asker.holder:
            try:
                if early is None:
                    await self.guessing.admit_unheld(asker.who)
                elif not early:
                    raise await self.guessing.hide(asker.who)
            except Refusal:
                if not asked:
                    await self._resolver.look_again(code)
                raise
        return Found(code, shard, call.now_ms, kept.frozen, kept.terms, looked)

    def kept(self, campaign: CampaignId, call: Inspection, known: Kept | None) -> Kept:
        """The terms of a call, remembered. *known* are those that were known when it was asked."""
        if known is not None and known.frozen == call.frozen:
            return known
        kept = self._terms[campaign] = Kept(call.frozen, read_terms(call.terms))
        self._terms.move_to_end(campaign)
        while len(self._terms) > TERMS_KEPT_MAX:
            self._terms.popitem(last=False)
        return kept

    async def missed(self, asker: Asker, codes: int = 1) -> Refusal:
        """What to raise where there is nothing for *asker*."""
        if asker.who is None or asker.address is None:
            return Refusal("coupon_not_found")
        early = () if asker.early is None else asker.early[:codes]
        if asker.early is not None:
            del asker.early[:codes]
        return await self.guessing.failed(asker.who, asker.address, codes=codes, early=early)

    async def admit(self, asker: Asker) -> None:
        """Let *asker* look codes up. Errors: Refusal("rate_limited")."""
        if asker.who is not None and asker.address is not None:
            await self.guessing.admit(asker.who, asker.address)


def _somewhere(resolved: Resolved | None) -> tuple[CouponCode, Shard]:
    return (DECOY, DECOY_SHARD) if resolved is None else (resolved.code, resolved.shard)


def may_know(holder: str, looked: Looked, terms: Terms) -> bool:
    """
    Whether *holder* may know of a coupon: his own, and one that nobody holds or that may be passed on, while of use.

    Staff (an empty *holder*) may know of every coupon.
    """
    if not holder or looked.holder == holder:
        return True
    return (not looked.holder or terms.transferable) and looked.letter in "cr"


def not_ready() -> Refusal:
    """The refusal of a step on a shard that may not serve."""
    return Refusal("not_ready", "This coupon's shard is being compared with the books; until then nothing changes.")
