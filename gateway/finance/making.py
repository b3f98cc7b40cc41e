"""
Journals that people make: one drafts, another one approves, and then the reconciler posts them.

    drafted  →  approved  →  posted          by the reconciler, within about a second
             →  rejected                     by a checker, or taken back by who drafted it

Whoever drafted one can't approve it, nor can another API key of the same name: the two are told apart by their names. A
constraint of the table says the same of keys. What is written here never touches the books; a journal is in them once
it is posted.
"""

from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.broken import is_text, refuse, text_rule
from gateway.errors import Refusal
from gateway.finance.asking import asked
from gateway.finance.drafted import ORDERS, ManualJournal, State, id_of, read
from gateway.finance.drafts import REASON_CHARS_MAX, Draft, DraftLine, broken_rules, campaign_of, campaigns_in
from gateway.finance.settling import check_settling
from gateway.issuing.asked import refuse as refuse_field
from gateway.issuing.store import Connection, audit
from gateway.somebody import Somebody
from gateway.sql import load_queries, postgres, row, rows
from reconciler.ordering import Order, Place
from reconciler.reports.known import check_known_async
from reconciler.reports.shape import Asked

QUERIES = load_queries("manual_journals")


class ManualJournals:
    """What finance does with journals that people make."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def draft(self, key: str, draft: Draft, who: Somebody) -> tuple[ManualJournal, bool]:
        """
        A new draft, or the one that *who* made with *key* before, and then True.

        Errors: Refusal bad_request naming every field; campaign_not_found; not_found for what it reverses or settles;
        invalid_state for a date that is closed or on hold, or a journal that can't be reversed;
        idempotency_key_reused; not_ready.
        """
        act = f"{id_of(who).removeprefix('key:')} {key}"
        number = f"mj_{sha256(act.encode()).hexdigest()[:24]}"
        async with postgres(self._pool) as connection, connection.transaction():
            known = await row(connection, QUERIES["manual"], id=number)
            if known is None:
                known = await self._insert(connection, number, draft, who)
                if known is not None:
                    return read(known), False
                known = await row(connection, QUERIES["manual"], id=number)
        if known is None:
            raise Refusal("invalid_state", "Somebody else has just reversed it.", field="reverses")
        before = read(known)
        if not _is_same(before, draft):
            raise Refusal("idempotency_key_reused", "This Idempotency-Key came with another journal.")
        return before, True

    async def approve(self, number: str, who: Somebody) -> ManualJournal:
        """
        Let the reconciler post it; nothing changes when *who* approved it before.

        Errors: Refusal not_found; forbidden for whoever drafted it; invalid_state; not_ready.
        """
        async with postgres(self._pool) as connection, connection.transaction():
            here = await self._locked(connection, number)
            if here.state in ("approved", "posted") and here.checked_by == who.actor:
                return here
            if here.is_of(who):
                raise Refusal("forbidden", "Whoever drafted a journal can't approve it: somebody else has to.")
            _check_state(here, "approved")
            await _open_day(connection, here.entity, here.effective_date)
            return await self._check(connection, here, "approved", who.actor, None, {})

    async def reject(self, number: str, reason: str, who: Somebody) -> ManualJournal:
        """
        Refuse a draft for good, or take back one's own.

        Errors: Refusal bad_request; not_found; invalid_state; not_ready.
        """
        if not is_text(reason, REASON_CHARS_MAX):
            raise refuse_field("reason", text_rule(REASON_CHARS_MAX))
        async with postgres(self._pool) as connection, connection.transaction():
            here = await self._locked(connection, number)
            _check_state(here, "rejected")
            checker = None if here.is_of(who) else who.actor
            return await self._check(connection, here, "rejected", checker, reason, {"reason": reason}, who.actor)

    async def see(self, number: str) -> ManualJournal:
        """The manual journal as it is now. Errors: Refusal not_found, not_ready."""
        async with postgres(self._pool) as connection:
            return await self._found(connection, "manual", number)

    async def list(
        self,
        limit: int,
        state: str | None,
        entity: str | None,
        order: Order | None = None,
        after: Place | None = None,
    ) -> list[ManualJournal]:
        """At most *limit* in one of ORDERS, from behind the place *after*. Errors: Refusal not_found, not_ready."""
        statement, place = ORDERS.statement(QUERIES["manuals"], order, after)
        async with postgres(self._pool) as connection:
            with asked():
                await check_known_async(connection, Asked(entity=entity))
            found = await rows(connection, statement, state=state, entity=entity, limit=limit, **place)
        return [read(each) for each in found]

    async def _insert(self, connection: Connection, number: str, draft: Draft, who: Somebody) -> dict[str, Any] | None:
        """The row of a new draft; None where another one was quicker: with its key, or to reverse the same journal."""
        broken = list(broken_rules(draft, await _today(connection, draft.entity)))
        if broken:
            raise refuse("bad_request", broken)
        await _open_day(connection, draft.entity, draft.effective_date)
        about, lines = draft.about, draft.lines
        if draft.reverses is not None:
            about, lines = await _opposite(connection, draft.reverses, draft.entity)
        else:
            await _check_places(connection, draft)
            await check_settling(connection, draft)
        added = await row(
            connection,
            QUERIES["insert_manual"],
            id=number,
            entity=draft.entity,
            effective_date=draft.effective_date,
            about=about,
            reverses=draft.reverses,
            settles=draft.settles,
            reason=draft.reason,
            attachment=draft.attachment,
            lines=msgspec.json.encode(lines).decode(),
            made_by=who.actor,
        )
        if added is not None:
            detail = {"entity": draft.entity, "effective_date": str(draft.effective_date), "reason": draft.reason}
            await audit(connection, who.actor, "manual_journal.drafted", f"manual_journal:{number}", detail)
        return added

    async def _locked(self, connection: Connection, number: str) -> ManualJournal:
        """The row, which nobody else changes meanwhile. The entity comes first, as it does for whoever posts."""
        here = await self._found(connection, "manual", number)
        await row(connection, QUERIES["lock_entity"], entity=here.entity)
        return await self._found(connection, "lock_manual", number)

    async def _found(self, connection: Connection, query: str, number: str) -> ManualJournal:
        found = await row(connection, QUERIES[query], id=number) if is_text(number, 64) else None
        if found is None:
            raise Refusal("not_found", "There is no such manual journal.")
        return read(found)

    async def _check(
        self,
        connection: Connection,
        here: ManualJournal,
        state: State,
        checker: str | None,
        refused: str | None,
        detail: dict[str, Any],
        actor: str | None = None,
    ) -> ManualJournal:
        values = {"state": state, "checked_by": checker, "refused": refused}
        changed = await row(connection, QUERIES["check_manual"], id=here.id, **values)
        assert changed is not None, "it is locked, and was drafted"
        moved = {"before": {"state": here.state}, "after": {"state": state}}
        said = {"entity": here.entity, "made_by": here.made_by, **moved, **detail}
        await audit(connection, actor or str(checker), f"manual_journal.{state}", f"manual_journal:{here.id}", said)
        return read(changed)


def _is_same(before: ManualJournal, draft: Draft) -> bool:
    """Whether *before* is what *draft* asks for. The lines of a reversal are not its own."""
    names = ("entity", "effective_date", "reverses", "settles", "reason", "attachment")
    mine = draft.reverses is not None or (before.lines == draft.lines and before.about == draft.about)
    return mine and all(getattr(before, name) == getattr(draft, name) for name in names)


def _check_state(here: ManualJournal, to: State) -> None:
    if here.state != "drafted":
        told: dict[str, Any] = {"from": here.state, "to": to, "allowed": []}
        raise Refusal("invalid_state", f"It is {here.state}: only a draft is approved or rejected.", **told)


async def _today(connection: Connection, entity: str) -> date:
    found = await row(connection, QUERIES["lock_entity"], entity=entity) if is_text(entity, 63) else None
    if found is None:
        raise refuse_field("entity", "a legal entity that there is")
    today: date = found["today"]
    return today


async def _open_day(connection: Connection, entity: str, day: date) -> None:
    """Errors: Refusal("invalid_state") for a day that is closed, or on hold."""
    books = await row(connection, QUERIES["lock_entity"], entity=entity)
    assert books is not None, "its entity is there"
    closed = books["closed_through"]
    if closed is not None and day <= closed:
        first = closed + timedelta(days=1)
        detail = f"{entity} is closed up to {closed}: take a date from {first} on."
        raise Refusal("invalid_state", detail, field="effective_date", open_from=str(first))
    held = await row(connection, QUERIES["period_of"], entity=entity, date=day)
    if held is not None:
        period = f"{held['kind']} of {entity} from {held['starts']}"
        detail = f"The {period} is on hold: take another date, or reopen it first."
        raise Refusal("invalid_state", detail, field="effective_date")


async def _check_places(connection: Connection, draft: Draft) -> None:
    """Are the shard and the campaigns that it names there? Errors: Refusal bad_request, campaign_not_found."""
    if draft.about is not None:
        found = await row(connection, QUERIES["entity_of_shard"], shard=draft.about)
        if found is None or found["entity"] != draft.entity:
            raise refuse_field("about", f"a shard of a published campaign of {draft.entity}")
    named = campaigns_in(draft.lines) | ({campaign_of(draft.about)} - {None})
    there = {each["id"] for each in await rows(connection, QUERIES["campaigns_there"], campaigns=list(named))}
    if named - there:
        missing = ", ".join(sorted(str(name) for name in named - there))
        raise Refusal("campaign_not_found", f"There is no campaign {missing} that was ever published.", field="lines")


async def _opposite(connection: Connection, number: int, entity: str) -> tuple[str | None, tuple[DraftLine, ...]]:
    """What a manual journal is about, and its lines the other way round. Errors: Refusal not_found, invalid_state."""
    found = await row(connection, QUERIES["journal_by_hand"], journal=number)
    if found is None:
        if await row(connection, QUERIES["has_journal"], journal=number) is None:
            raise Refusal("not_found", "There is no such journal to reverse.", field="reverses")
        detail = "It is of a sale: what a coupon did is undone by a rollback, a revocation or a stock adjustment."
        raise Refusal("invalid_state", detail, field="reverses")
    if found["entity"] != entity:
        raise refuse_field("entity", f"that of the journal that is reversed, {found['entity']}")
    already = await row(connection, QUERIES["reversal_of"], journal=number)
    if already is not None:
        raise Refusal("invalid_state", f"It is reversed by {already['id']} already.", field="reverses")
    return found["about"], msgspec.convert(found["lines"], tuple[DraftLine, ...])
