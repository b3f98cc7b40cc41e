"""
Of each kind of proposal: what it would change now, checked in full as when it is done, and how it is done once.

What is done goes through the services that the direct routes use. A process may die at any point: done again, a
campaign finds the version that it made by its actor, stock and a revocation find theirs by the key, and a period is
reopened in the transaction that notes it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.life import State
from gateway.campaigns.patch import DefinitionPatch, given
from gateway.campaigns.service import Campaigns
from gateway.campaigns.stock import Stock, StockBody
from gateway.errors import Refusal
from gateway.finance.reopening import named, plan_reopening, reopen_within
from gateway.issuing.asked import refuse
from gateway.issuing.revocations import RevocationBody, Revocations
from gateway.proposals.asked import (
    CampaignChange,
    Kept,
    MassRevocation,
    PeriodReopening,
    StockAdjustment,
    check_form,
    subject_of,
)
from gateway.proposals.store import Connection, Proposal, plain
from gateway.sql import postgres
from lua.door import Door
from lua.keys import CampaignId

RESTS_ON: Mapping[type[Kept], tuple[str, ...]] = {
    CampaignChange: ("version",),
    StockAdjustment: ("value", "currency"),
    MassRevocation: (),
    PeriodReopening: ("state", "closes"),
}
"""Kind → the members of *before* that have to be the same when it is approved."""

Note = Callable[[Connection, Mapping[str, Any]], Awaitable[Proposal | None]]
"""Notes in a transaction that it is done, with its outcome; None where it was noted before."""


class Planned(NamedTuple):
    """What a proposal is about, and what it would change, as it is now."""

    subject: str
    before: dict[str, Any]


class Acts:
    """What proposals ask for."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool = pool
        self._campaigns, self._stock = Campaigns(pool, door), Stock(pool, door)
        self._revocations = Revocations(pool, door)

    async def plan(self, asked: Kept) -> Planned:
        """
        Check *asked* as if it were done now, and say what it would change; nothing is changed.

        Errors: Refusal, as the direct routes; bad_request and invalid_state for a change that needs no second person.
        """
        check_form(asked)
        match asked:
            case CampaignChange():
                return Planned(subject_of(asked), await self._plan_change(asked))
            case StockAdjustment(campaign=campaign, delta=delta, reason=reason):
                here, stock = await self._stock.plan(CampaignId(campaign), StockBody(delta, reason))
                told = msgspec.to_builtins(here.definition)
                worth = {"value": told["value"], "currency": told["currency"]}
                return Planned(subject_of(asked), {"stock": stock, **worth})
            case MassRevocation(reason=reason, campaign=of, holder=holder):
                coupons = await self._revocations.plan(RevocationBody(reason, of, holder))
                return Planned(subject_of(asked), {"coupons": coupons})
            case PeriodReopening(period=of_books):
                period = named(of_books.entity, of_books.kind, of_books.starts)
                before = await plan_reopening(self._pool, period)
                return Planned(subject_of(asked, f"{period.entity}/{period.label}"), before)

    async def _plan_change(self, asked: CampaignChange) -> dict[str, Any]:
        seen, new = await self._campaigns.plan(CampaignId(asked.campaign), asked.change)
        if seen.effective is State.DRAFT:
            raise Refusal("invalid_state", "A draft is changed directly: nothing is sold yet.")
        if new == seen.definition:
            raise refuse("change", "something that is not so already")
        told = msgspec.to_builtins(seen.definition)
        return {"version": seen.version, "state": seen.effective, **{name: told[name] for name in given(asked.change)}}

    async def do(self, here: Proposal, note: Note) -> Proposal | None:
        """
        Do what an approved proposal asks for, once however often it is called, and note it.

        Errors: Refusal, as the direct routes: below 429 it can't be done and nothing is changed; else it may be later.
        """
        match here.of_kind:
            case CampaignChange(campaign=campaign, change=change):
                outcome = await self._change(here, CampaignId(campaign), change)
            case StockAdjustment(campaign=campaign, delta=delta, reason=reason):
                body = StockBody(delta, reason)
                moved, _ = await self._stock.adjust(CampaignId(campaign), here.key, body, here.actor, once=True)
                outcome = msgspec.to_builtins(moved)
            case MassRevocation(reason=reason, campaign=of, holder=holder):
                body_ = RevocationBody(reason, of, holder)
                revocation, _ = await self._revocations.ask(here.key, body_, here.actor)
                outcome = {"revocation": revocation.id}
            case PeriodReopening(period=of_books, reason=reason):
                period = named(of_books.entity, of_books.kind, of_books.starts)
                async with postgres(self._pool) as connection, connection.transaction():
                    done = await note(connection, {"state": "open"})
                    if done is not None:
                        closed = here.before["state"] == "closed"
                        await reopen_within(connection, period, here.actor, reason, may_reopen=closed)
                return done
        async with postgres(self._pool) as connection, connection.transaction():
            return await note(connection, outcome)

    async def _change(self, here: Proposal, campaign: CampaignId, change: DefinitionPatch) -> dict[str, Any]:
        patch = replace(change, version=here.before["version"])
        seen = await self._campaigns.patch(campaign, patch, here.actor, once=True)
        told = msgspec.to_builtins(seen.definition)
        return {"version": seen.version, **{name: told[name] for name in given(change)}}


def moved_on(asked: Kept, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What *asked* rests on and is not as it was *before*, in words; empty where nothing is."""
    names = [name for name in RESTS_ON[type(asked)] if before[name] != plain(now[name])]
    return ", ".join(f"{name} was {_shown(before[name])} and is {_shown(now[name])}" for name in names)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
