"""
One worker at a time looks, and writes down what it finds.

Whose watch it is stands in a row, as a lease: no connection is kept for it, and a worker that was stopped for a while
finds in the very transaction it writes in that the watch is another's. A worker that dies is followed by another after
LEASE_S seconds, with its next look, which finds in Postgres what is open.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.alerts.figures import Figures, Seen
from gateway.alerts.payload import CLEARED, RAISED, event
from gateway.alerts.rules import Changes, Finding, Key, Rules, Threshold
from gateway.alerts.store import (
    DELIVERIES_KEPT_DAYS,
    QUERIES,
    Alert,
    Connection,
    add_delivery,
    chosen_thresholds,
    encoded,
    leads,
    listeners,
    open_alerts,
    read_alert,
)
from gateway.settings import Settings
from gateway.sql import postgres, row, rows

log = logging.getLogger("fairclaim.alerts")

LEASE_S = 15.0
FORGETS_EVERY_S = 3600.0
FORGOTTEN_MAX = 1000
"""What was sent of alerts that are long over is deleted, so many at a time; where there were as many, soon again."""


class Watch:
    """A kind of work (background.py): it looks every *alerts_look_s* seconds while the watch is its own."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        figures: Figures,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._figures, self._settings, self._clock = pool, figures, settings, clock
        self._worker, self._leads, self._rules = token_hex(8), False, Rules()
        self._due_s = clock() + settings.alerts_look_s
        self._forgets_s = clock()

    async def once(self, worker: str) -> bool:
        """Look, where it is time. Errors: Refusal("not_ready") where the books can't be reached."""
        now_s = self._clock()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._settings.alerts_look_s
        await self.look()
        return False

    async def look(self) -> bool:
        """Look now; False where it is another's watch. Errors: Refusal("not_ready")."""
        lease_s = max(LEASE_S, 3.0 * self._settings.alerts_look_s)
        async with postgres(self._pool) as connection:
            if not await leads(connection, self._worker, lease_s):
                self._leads = False
                return False
        if not self._leads:
            log.info("this worker watches")
            self._figures.forget()
            self._leads, self._rules = True, Rules()
        seen = await self._figures.look()
        async with postgres(self._pool) as connection, connection.transaction():
            if not await leads(connection, self._worker, lease_s):
                self._leads = False
                return False
            await self._write(connection, seen)
        if self._clock() >= self._forgets_s:
            await self._forget()
        return True

    async def _forget(self) -> None:
        async with postgres(self._pool) as connection:
            gone = await row(connection, QUERIES["forget_deliveries"], days=DELIVERIES_KEPT_DAYS, most=FORGOTTEN_MAX)
        is_all = gone is None or gone["gone"] < FORGOTTEN_MAX
        self._forgets_s = self._clock() + (FORGETS_EVERY_S if is_all else 0.0)

    async def _write(self, connection: Connection, seen: Seen) -> None:
        opened = {alert.key: alert for alert in await open_alerts(connection)}
        thresholds: dict[Key, Threshold] = await chosen_thresholds(connection)
        alarm = thresholds.get(("code_probing", ""), Threshold())
        thresholds["code_probing", ""] = alarm._replace(value=self._settings.code_failures_alarm + 1)
        changes = self._rules.judge(self._clock(), seen.figures, seen.known, thresholds, opened)
        for key in [*changes.over, *_in_another_unit(changes, opened)]:
            await self._clear(connection, opened[key])
        for finding in changes.held:
            await _hold(connection, opened[finding.kind.name, finding.subject], finding)
        for finding in changes.begun:
            await self._raise(connection, finding)

    async def _raise(self, connection: Connection, finding: Finding) -> None:
        kind = finding.kind
        made = read_alert(
            await row(
                connection,
                QUERIES["raise_alert"],
                kind=kind.name,
                subject=finding.subject,
                severity=kind.severity,
                figure=finding.value,
                threshold=finding.level.value,
                unit=finding.level.unit,
                about=encoded(finding.about),
            )
        )
        if made is not None:
            log.warning("alert", extra={"kind": made.kind, "campaign": made.subject, "figure": made.figure})
            await tell(connection, RAISED, made, self._settings.public_url)

    async def _clear(self, connection: Connection, here: Alert) -> None:
        over = read_alert(await row(connection, QUERIES["clear_alert"], id=here.id))
        if over is not None:
            log.warning("alert is over", extra={"kind": over.kind, "campaign": over.subject})
            await tell(connection, CLEARED, over, self._settings.public_url)


async def tell(connection: Connection, type_: str, here: Alert, public_url: str) -> None:
    """Have everybody told who wants to know of it; the id of what is sent says alert, event and receiver."""
    told = await listeners(connection, here.kind)
    if not told:
        return
    payload = event(type_, here, datetime.now(UTC), public_url)
    for receiver, _ in told:
        identity = f"{type_.replace('.', '_')}_{here.id}_{receiver}"
        await add_delivery(connection, identity=identity, receiver=receiver, alert=here.id, type=type_, payload=payload)


async def _hold(connection: Connection, here: Alert, finding: Finding) -> None:
    if here.unit != finding.level.unit or (here.figure, here.about) == (finding.value, finding.about):
        return
    values: dict[str, Any] = {"figure": finding.value, "about": encoded(finding.about)}
    await rows(connection, QUERIES["hold_alert"], id=here.id, is_floor=finding.kind.is_floor, **values)


def _in_another_unit(changes: Changes, opened: dict[Key, Alert]) -> Sequence[Key]:
    """Alerts whose threshold has got another unit since: they end, and begin anew with the next look."""
    keys = [
        (each.kind.name, each.subject)
        for each in changes.held
        if each.level.unit != opened[each.kind.name, each.subject].unit
    ]
    return keys
