"""Alerts' rows in Postgres. Every function here takes a connection; who calls it owns the transaction."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
from psycopg import AsyncConnection

from gateway.alerts.kinds import Severity, Unit
from gateway.alerts.rules import Key, Threshold
from gateway.sql import load_queries, ordered, row, rows

QUERIES = load_queries("alerts")

DELIVERIES_KEPT_DAYS = 90
"""How long it is kept what was sent of an alert that is over; 30 at least, says PostgreSQL."""

Connection = AsyncConnection[Any]
By = Literal["webhook", "email"]
Way = Literal["began", "over", "campaign"]
"""What alerts are sorted by. Those that are open end last of all."""
STILL_OPEN = datetime(9999, 12, 31, tzinfo=UTC)
_ORDERS: Mapping[Way, str] = {"began": "id", "over": f"coalesce(cleared_at, '{STILL_OPEN}')", "campaign": "subject"}
ReceiverState = Literal["on", "off", "failed", "removed"]


class Alert(msgspec.Struct, frozen=True):
    """
    One alert: *subject* is a campaign, empty for the system.

    Units: *figure*, *worst* and *threshold* are in *unit*. *seen_at* is when the figure was last another one.
    """

    id: int
    kind: str
    subject: str
    severity: Severity
    figure: float
    worst: float
    threshold: float
    unit: Unit
    about: dict[str, Any]
    raised_at: datetime
    seen_at: datetime
    cleared_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    note: str | None

    def is_forgotten(self, at: datetime) -> bool:
        """Whether at *at* nobody knows any more who was told of it."""
        return self.cleared_at is not None and self.cleared_at < at - timedelta(days=DELIVERIES_KEPT_DAYS)

    @property
    def key(self) -> Key:
        """Kind and subject: one of them is open at most."""
        return self.kind, self.subject


class Receiver(msgspec.Struct, frozen=True):
    """Who is told, without the secrets. *state* failed: turned off by itself, for *reason*."""

    id: str
    by: By
    name: str
    address: str
    kinds: list[str]
    state: ReceiverState
    reason: str | None
    old_until: datetime | None
    failing_since: datetime | None
    last_sent_at: datetime | None
    last_error: str | None
    made_by: str
    made_at: datetime
    changed_by: str
    changed_at: datetime


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one receiver, *name*; *next_at* is when it is tried again."""

    id: str
    receiver: str
    name: str
    by: By
    type: str
    state: Literal["pending", "sent", "failed", "dropped"]
    tries: int
    next_at: datetime
    error: str | None
    made_at: datetime
    ended_at: datetime | None


class Chosen(msgspec.Struct, frozen=True):
    """A threshold that somebody chose; of all campaigns where *campaign* is empty."""

    kind: str
    campaign: str
    value: float | None
    is_off: bool
    changed_by: str
    changed_at: datetime


def read_alert(found: Mapping[str, Any] | None) -> Alert | None:
    """A row as a value."""
    return None if found is None else msgspec.convert(found, Alert)


def read_receiver(found: Mapping[str, Any] | None) -> Receiver | None:
    """A row as a value, its secrets left behind."""
    return None if found is None else msgspec.convert(found, Receiver)


async def open_alerts(connection: Connection) -> list[Alert]:
    """Every open alert, the oldest first."""
    return msgspec.convert(await rows(connection, QUERIES["open_alerts"]), list[Alert])


class After(NamedTuple):
    """The place after an alert: what it is sorted by, and its id."""

    key: int | datetime | str
    id: int


async def list_alerts(
    connection: Connection,
    kinds: list[str],
    *,
    is_open: bool | None = None,
    subject: str | None = None,
    by: Way = "began",
    down: bool = True,
    after: After | None = None,
    limit: int,
) -> list[Alert]:
    """At most *limit* alerts of *kinds*, the newest first or sorted *by* another thing, from after a place."""
    query = ordered(QUERIES["alerts"], _ORDERS[by], "id", down=down, begins=after is None)
    asked: dict[str, Any] = {"kinds": kinds, "is_open": is_open, "subject": subject, "limit": limit}
    if after is not None:
        asked |= dict(zip(("key", "tie"), after, strict=True))
    return msgspec.convert(await rows(connection, query, **asked), list[Alert])


async def list_chosen(connection: Connection) -> list[Chosen]:
    """Every threshold that was chosen, those of all campaigns before those of one."""
    return msgspec.convert(await rows(connection, QUERIES["thresholds"]), list[Chosen])


async def chosen_thresholds(connection: Connection) -> dict[Key, Threshold]:
    """The same by kind and campaign."""
    found = await list_chosen(connection)
    return {(each.kind, each.campaign): Threshold(each.value, each.is_off, bool(each.campaign)) for each in found}


async def list_receivers(connection: Connection) -> list[Receiver]:
    """Who is told, the oldest first."""
    return msgspec.convert(await rows(connection, QUERIES["receivers"]), list[Receiver])


async def deliveries_of(connection: Connection, alert: int) -> list[Delivery]:
    """What was sent of an alert, and to whom."""
    return msgspec.convert(await rows(connection, QUERIES["deliveries_of"], alert=alert), list[Delivery])


async def audit(
    connection: Connection, actor: str, action: str, subject: str, before: Any, after: Any, **more: Any
) -> None:
    """A line of the audit log; never a secret."""
    detail = encoded({"before": before, "after": after, **more})
    await rows(connection, QUERIES["audit"], actor=actor, action=action, subject=subject, detail=detail)


async def add_delivery(
    connection: Connection, *, identity: str, receiver: str, alert: int | None, type: str, payload: str
) -> None:
    """Have it sent; once, whatever how often it is asked for."""
    values = {"id": identity, "receiver": receiver, "alert": alert, "type": type, "payload": payload}
    await rows(connection, QUERIES["add_delivery"], **values)


async def listeners(connection: Connection, kind: str) -> list[tuple[str, By]]:
    """Who is told of *kind*: id, and by what."""
    return [(found["id"], found["by"]) for found in await rows(connection, QUERIES["listeners"], kind=kind)]


async def leads(connection: Connection, worker: str, lease_s: float) -> bool:
    """Whether *worker* has the watch, now for *lease_s* more; its row is locked until the transaction ends."""
    return await row(connection, QUERIES["lead"], worker=worker, lease_s=lease_s) is not None


def encoded(value: Any) -> str:
    """*value* as JSON."""
    return msgspec.json.encode(value, enc_hook=str).decode()
