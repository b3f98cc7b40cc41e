"""
Proposals are made, approved, rejected, withdrawn and seen.

Maker and checker are two people, told by name; the checker may do the thing himself. A proposal is checked in full when
it is made, and again when it is approved: what it rests on has to be as it was.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.broken import is_text
from gateway.errors import Refusal
from gateway.finance.drafted import read
from gateway.finance.making import ManualJournals
from gateway.proposals import store
from gateway.proposals.applying import LATER, Applying, why
from gateway.proposals.asked import (
    Asked,
    Kept,
    Kind,
    ManualJournalDraft,
    State,
    check_said,
    kind_of,
    kinds_seen,
    may_check,
    may_make,
)
from gateway.proposals.kinds import Acts, Planned, moved_on
from gateway.proposals.manuals import PREFIX, as_proposal
from gateway.proposals.store import QUERIES, Proposal
from gateway.settings import Settings
from gateway.somebody import Somebody, fold_name
from gateway.sql import ordered, postgres, row, rows
from lua.door import Door


class Proposals:
    """What the staff does with proposals."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._acts, self._applying = Acts(pool, door), Applying(pool, door)
        self._manuals = ManualJournals(pool)

    async def make(self, key: str, asked: Asked, who: Somebody) -> tuple[Proposal, bool]:
        """
        A new proposal, or the one that *who* made with *key* before, and then True.

        Errors: Refusal forbidden; those of the direct route of its kind; proposal_pending with the one that waits;
        rate_limited; idempotency_key_reused; not_ready.
        """
        kind = kind_of(asked)
        if not may_make(who, kind):
            raise Refusal("forbidden", f"Your role may not propose a {kind}.")
        if isinstance(asked, ManualJournalDraft):
            manual, replayed = await self._manuals.draft(key, asked.journal, who)
            return as_proposal(manual), replayed
        number = f"pr_{sha256(f'{fold_name(who.name)} {key}'.encode()).hexdigest()[:24]}"
        async with postgres(self._pool) as connection:
            await store.expire(connection)
            known = await store.see(connection, number)
        if known is None:
            planned = await self._acts.plan(asked)
            known = await self._add(number, asked, planned, who)
            if known is not None:
                return known, False
            known = await self._clash(number, kind, planned.subject)
        if known.asked != store.plain(asked):
            raise Refusal("idempotency_key_reused", "This Idempotency-Key came with another proposal.")
        return known, True

    async def see(self, number: str, who: Somebody) -> Proposal:
        """The proposal as it is now. Errors: Refusal proposal_not_found, forbidden, not_ready."""
        here = await self._found(number)
        if here.kind not in kinds_seen(who):
            raise Refusal("forbidden", f"Your role may not see a {here.kind}.")
        return here

    async def waiting_about(self, subject: str, who: Somebody) -> list[Proposal]:
        """What waits of *subject* and *who* may see, the last made first. Errors: Refusal("not_ready")."""
        async with postgres(self._pool) as connection:
            await store.expire(connection)
            found = await rows(connection, QUERIES["waiting_about"], kinds=kinds_seen(who), subject=subject)
        return msgspec.convert(found, list[Proposal])

    async def count_waiting(self, who: Somebody) -> int:
        """How many *who* may approve or reject now. Errors: Refusal("not_ready")."""
        checked = [each for each in kinds_seen(who) if may_make(who, each)]
        if not checked:
            return 0
        his = {"name": fold_name(who.name), "checked": checked, "admin": "admin" in who.roles}
        async with postgres(self._pool) as connection:
            found = await rows(connection, QUERIES["count_waiting"], **his)
        return int(found[0]["waiting"])

    async def list(
        self,
        who: Somebody,
        limit: int,
        state: str | None,
        after: tuple[datetime, str] | None,
        *,
        waiting: bool = False,
        mine: bool = False,
        kind: Kind | None = None,
        down: bool = True,
    ) -> list[Proposal]:
        """
        At most *limit* that *who* may see, by when they were made, the last first, from after the place *after*.

        *waiting* are those that he may approve or reject now, *mine* those that he made. Errors: Refusal("not_ready").
        """
        seen = kinds_seen(who)
        query = ordered(QUERIES["proposals"], "made_at", "id", down=down, begins=after is None)
        place = dict(zip(("key", "tie"), after or (), strict=False))
        async with postgres(self._pool) as connection:
            await store.expire(connection)
            found = await rows(
                connection,
                query,
                kinds=[each for each in seen if kind in (None, each)],
                state=state,
                waits_for=fold_name(who.name) if waiting else None,
                made_by=fold_name(who.name) if mine else None,
                checked=[each for each in seen if may_make(who, each)],
                admin="admin" in who.roles,
                limit=limit,
                **place,
            )
            by_hand = [each["id"] for each in found if each["kind"] == "manual_journal"]
            manuals = await rows(connection, QUERIES["manuals_of"], ids=by_hand) if by_hand else []
        told = {each["id"]: as_proposal(read(each)) for each in manuals}
        return [told.get(each["id"]) or msgspec.convert(each, Proposal) for each in found]

    async def approve(self, number: str, said: str | None, who: Somebody) -> Proposal:
        """
        Let it be done, and do it; what *who* approved before is only given again.

        Errors: Refusal forbidden for its maker and who may not do the thing; invalid_state; proposal_failed with
        reason, the code of why: then nothing was changed; not_ready, after which what is approved is done by itself.
        """
        check_said(said, needed=False)
        here = await self._to_check(number, who)
        if here.kind == "manual_journal":
            return as_proposal(await self._manuals.approve(number, who))
        if here.state == "pending":
            here = await self._approve(here, said, who)
        if here.state == "approved":
            here = await self._applying.apply(here)
        if not here.is_checked_by(who) or here.state not in ("applied", "failed"):
            raise _decided(here, "approved")
        if here.state == "failed":
            raise _failed(here)
        return here

    async def reject(self, number: str, said: str, who: Somebody) -> Proposal:
        """Refuse it for good. Errors: Refusal bad_request, forbidden, invalid_state, proposal_not_found, not_ready."""
        check_said(said, needed=True)
        here = await self._to_check(number, who)
        if here.kind == "manual_journal":
            return as_proposal(await self._manuals.reject(number, said, who))
        return await self._decided(here, "rejected", said, who)

    async def withdraw(self, number: str, said: str | None, who: Somebody) -> Proposal:
        """Take one's own back. Errors: Refusal bad_request, forbidden, invalid_state, proposal_not_found, not_ready."""
        check_said(said, needed=False)
        here = await self._found(number)
        if not here.is_of(who):
            raise Refusal("forbidden", "Only whoever made it takes it back; somebody else rejects it.")
        if here.kind == "manual_journal":
            return as_proposal(await self._manuals.reject(number, said or "Taken back", who))
        return await self._decided(here, "withdrawn", said, who)

    async def _add(self, number: str, asked: Kept, planned: Planned, who: Somebody) -> Proposal | None:
        async with postgres(self._pool) as connection, connection.transaction():
            return await store.add(
                connection,
                who,
                id=number,
                kind=kind_of(asked),
                subject=planned.subject,
                asked=asked,
                before=planned.before,
                reason=asked.reason,
                days=self._settings.proposal_days,
                open_max=self._settings.proposals_open_max,
                of_one_max=self._settings.proposals_of_one_max,
            )

    async def _clash(self, number: str, kind: str, subject: str) -> Proposal:
        """The one that came with the same key at the same time. Errors: Refusal for what else was in the way."""
        async with postgres(self._pool) as connection:
            known = await store.see(connection, number)
            if known is not None:
                return known
            waits = await row(connection, QUERIES["waiting_of"], kind=kind, subject=subject)
            all_open = (await rows(connection, QUERIES["open_proposals"]))[0]["open"]
        if waits is not None:
            detail = f"{waits['id']} waits for the same: it has to be decided or withdrawn first."
            raise Refusal("proposal_pending", detail, proposal=waits["id"])
        if all_open < (most := self._settings.proposals_open_max):
            mine = self._settings.proposals_of_one_max
            raise Refusal(
                "rate_limited", f"{mine} proposals of yours wait already: have some decided, or withdraw them."
            )
        raise Refusal("rate_limited", f"{most} proposals wait already.")

    async def _found(self, number: str) -> Proposal:
        if number.startswith(PREFIX):
            try:
                return as_proposal(await self._manuals.see(number))
            except Refusal as refusal:
                if refusal.code != "not_found":
                    raise
                raise Refusal("proposal_not_found") from None
        found = None
        if is_text(number, 64):
            async with postgres(self._pool) as connection:
                await store.expire(connection)
                found = await store.see(connection, number)
        if found is None:
            raise Refusal("proposal_not_found")
        return found

    async def _to_check(self, number: str, who: Somebody) -> Proposal:
        """The one that *who* may decide. Errors: Refusal("forbidden")."""
        here = await self._found(number)
        if here.is_of(who):
            raise Refusal("forbidden", "Whoever made a proposal can't decide it: somebody else has to.")
        if not may_check(who, here.kind, here.before):
            if may_make(who, here.kind):
                raise Refusal("forbidden", "Only an admin decides on what is closed.")
            raise Refusal("forbidden", f"Your role may not decide a {here.kind}.")
        return here

    async def _approve(self, here: Proposal, said: str | None, who: Somebody) -> Proposal:
        """It approved, or failed because it can't be done any more; as somebody else decided it meanwhile."""
        failed = None
        try:
            moved = moved_on(here.of_kind, here.before, (await self._acts.plan(here.of_kind)).before)
            if moved:
                failed = {"code": "version_conflict", "detail": f"It has changed since it was proposed: {moved}."}
        except Refusal as refusal:
            if refusal.status >= LATER:
                raise
            failed = why(refusal)
        async with postgres(self._pool) as connection, connection.transaction():
            state: State = "approved" if failed is None else "failed"
            done = await store.decide(connection, here, state, who, said, failed)
        return done or await self._found(here.id)

    async def _decided(self, here: Proposal, to: State, said: str | None, who: Somebody) -> Proposal:
        async with postgres(self._pool) as connection, connection.transaction():
            done = await store.decide(connection, here, to, who, said)
        if done is None:
            here = await self._found(here.id)
            mine = here.is_of(who) if to == "withdrawn" else here.is_checked_by(who)
            if here.state != to or not mine or here.said != said:
                raise _decided(here, to)
        return done or here


def _decided(here: Proposal, to: str) -> Refusal:
    told: dict[str, Any] = {"from": here.state, "to": to, "allowed": []}
    return Refusal("invalid_state", f"It is {here.state}: only what is pending is decided.", **told)


def _failed(here: Proposal) -> Refusal:
    why_not = here.outcome or {}
    detail = f"Nothing was changed. {why_not.get('detail', '')}".strip()
    return Refusal("proposal_failed", detail, reason=why_not.get("code", "internal"))
