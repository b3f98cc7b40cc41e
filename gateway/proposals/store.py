"""A proposal's row in Postgres. Every function here takes a connection; who calls it owns the transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection

from gateway.proposals.asked import Kept, Kind, State
from gateway.somebody import Somebody, fold_name, name_in
from gateway.sql import load_queries, row, rows

QUERIES = load_queries("proposals")
_AUDIT = load_queries("campaigns")["audit"]

Connection = AsyncConnection[Any]


class Proposal(msgspec.Struct, frozen=True):
    """
    What somebody asked for, and what became of it.

    *before* is what it would change, as it was then. *outcome* is what it did, or code and detail of why it failed.
    *expires_at* is None for a manual journal, which waits for as long as its period does.
    """

    id: str
    kind: Kind
    subject: str
    asked: dict[str, Any]
    before: dict[str, Any]
    reason: str
    maker: str
    made_at: datetime
    expires_at: datetime | None
    state: State
    checker: str | None
    decided_at: datetime | None
    said: str | None
    outcome: dict[str, Any] | None

    def is_of(self, who: Somebody) -> bool:
        """Whether *who* made it."""
        return name_in(self.maker) == fold_name(who.name)

    def is_checked_by(self, who: Somebody) -> bool:
        """Whether *who* decided it."""
        return self.checker is not None and name_in(self.checker) == fold_name(who.name)

    @property
    def of_kind(self) -> Kept:
        """What was asked, as a value."""
        asked: Kept = msgspec.convert(self.asked, Kept)
        return asked

    @property
    def actor(self) -> str:
        """Who did what it asks for, once it is approved: the maker, by leave of the checker."""
        return f"{self.maker}, approved by {self.checker} ({self.id})"

    @property
    def key(self) -> str:
        """The key it is done with; not ASCII, so that it can't be anybody's Idempotency-Key."""
        return f"«{self.id}»"


def read(found: dict[str, Any] | None) -> Proposal | None:
    """A row as a value."""
    return None if found is None else msgspec.convert(found, Proposal)


async def add(connection: Connection, who: Somebody, **values: Any) -> Proposal | None:
    """A new one; None where something is in its way (see the statement). *asked* and *before* become JSON."""
    texts = {name: encoded(values.pop(name)) for name in ("asked", "before")}
    names = {"maker": who.actor, "maker_name": fold_name(who.name)}
    made = read(await row(connection, QUERIES["add_proposal"], **values, **texts, **names))
    if made is not None:
        await audit(connection, who.actor, made, {"asked": made.asked, "before": made.before}, "made")
    return made


async def see(connection: Connection, number: str) -> Proposal | None:
    """The one of this id."""
    return read(await row(connection, QUERIES["proposal"], id=number))


async def decide(
    connection: Connection,
    here: Proposal,
    state: State,
    who: Somebody,
    said: str | None,
    outcome: Mapping[str, Any] | None = None,
) -> Proposal | None:
    """Decide a pending one; None where it is pending no more. Who withdraws his own is no checker."""
    checks = state != "withdrawn"
    done = read(
        await row(
            connection,
            QUERIES["decide_proposal"],
            id=here.id,
            state=state,
            checker=who.actor if checks else None,
            checker_name=fold_name(who.name) if checks else None,
            said=said,
            outcome=None if outcome is None else encoded(outcome),
        )
    )
    if done is not None:
        detail = {"before": here.before, "said": said} | ({} if outcome is None else {"outcome": dict(outcome)})
        await audit(connection, who.actor, done, detail, state)
    return done


async def settle(
    connection: Connection, here: Proposal, outcome: Mapping[str, Any], *, applied: bool
) -> Proposal | None:
    """Note that an approved one is done, or can't be; None where somebody else has."""
    query = "apply_proposal" if applied else "fail_proposal"
    done = read(await row(connection, QUERIES[query], id=here.id, outcome=encoded(outcome)))
    if done is not None:
        detail = {"before": here.before, "after" if applied else "outcome": dict(outcome)}
        await audit(connection, here.actor, done, detail, done.state)
    return done


async def expire(connection: Connection) -> None:
    """End what nobody decided in time."""
    async with connection.transaction():
        for found in await rows(connection, QUERIES["expire_proposals"]):
            await audit(connection, "gateway", msgspec.convert(found, Proposal), {"before": found["before"]}, "expired")


async def audit(connection: Connection, actor: str, here: Proposal, detail: Mapping[str, Any], act: str) -> None:
    """Who did what: the proposal and what it is about are in each line."""
    about = {"kind": here.kind, "about": here.subject, "maker": here.maker, "checker": here.checker}
    text = encoded({**about, "reason": here.reason, **detail})
    subject = f"proposal:{here.id}"
    await rows(connection, _AUDIT, actor=actor, action=f"proposal.{act}", subject=subject, detail=text)


def encoded(value: Any) -> str:
    """*value* as JSON."""
    return msgspec.json.encode(value).decode()


def plain(value: Any) -> Any:
    """*value* as PostgreSQL gives it back: what a tuple was is a list."""
    return msgspec.json.decode(msgspec.json.encode(value))
