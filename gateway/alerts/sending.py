"""
Sends what is due, in every worker: at least once, with an id by which a receiver tells a repetition.

What failed is sent again after the waits that Standard Webhooks names, about three days in all. A receiver that says
410, or to which nothing has got through for HOPELESS_DAYS, is turned off and says so on its page.
"""

import asyncio
import logging
import random
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from psycopg_pool import AsyncConnectionPool
from standardwebhooks import Webhook

from gateway.alerts.mail import Mailer
from gateway.alerts.outward import Outward, Undelivered
from gateway.alerts.payload import mail
from gateway.alerts.reasons import ANSWERED, NO_SUCH_MAIL
from gateway.alerts.store import QUERIES, By, Connection, audit
from gateway.settings import Settings
from gateway.sql import postgres, row, rows
from gateway.telemetry import ALERT_DELIVERIES, Telemetry

log = logging.getLogger("fairclaim.alerts")

WAITS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After each try that failed; after the last one there is no other."""
JITTER = 0.1
"""Waits are up to this share longer, so that those that failed together do not come back together."""
HOPELESS_DAYS = 5
AT_ONCE_MAX = 10
LEASE_S = 90.0
"""Longer than one try may take: then another worker tries, and the receiver tells it by its id."""
LOOK_EVERY_S = 1.0
GONE = 410


class Due(NamedTuple):
    """One delivery and where it goes; secrets are those that sign it."""

    id: str
    receiver: str
    type: str
    payload: str
    tries: int
    by: By
    address: str
    secret: str
    old_secret: str

    def __repr__(self) -> str:
        """Without where to and what signs it: it may come into a log."""
        return f"Due({self.id})"


class Sending:
    """A kind of work (background.py)."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], settings: Settings, outward: Outward, telemetry: Telemetry
    ) -> None:
        self._pool, self._settings, self._outward, self._telemetry = pool, settings, outward, telemetry
        self._mailer = Mailer(settings)
        self._due_s = time.monotonic() + LOOK_EVERY_S

    async def once(self, worker: str) -> bool:
        """Send what is due; False where nothing is. Errors: Refusal("not_ready")."""
        if time.monotonic() < self._due_s:
            return False
        self._due_s = time.monotonic() + LOOK_EVERY_S
        async with postgres(self._pool) as connection:
            found = await rows(connection, QUERIES["take_deliveries"], lease_s=LEASE_S, limit=AT_ONCE_MAX)
        await asyncio.gather(*(self._deliver(Due(**each)) for each in found))
        return False

    async def attempt(self, due: Due) -> None:
        """Send it once. Errors: Undelivered."""
        if due.by == "email":
            sender = self._settings.smtp_from or f"fairclaim@{self._settings.smtp_host}"
            try:
                message = mail(due.id, due.payload, sender, due.address)
            except (ValueError, IndexError):  # the standard library raises the second for an address without a host
                raise Undelivered(NO_SUCH_MAIL) from None
            await self._mailer.send(message)
            return
        status = await self._outward.post(due.address, signed(due, datetime.now(UTC)), due.payload.encode())
        if not 200 <= status < 300:
            raise Undelivered(ANSWERED % {"what": status}, is_final=status == GONE)

    async def _deliver(self, due: Due) -> None:
        if await self._is_unwanted(due.receiver):
            return
        try:
            await self.attempt(due)
        except Undelivered as reason:
            async with postgres(self._pool) as connection, connection.transaction():
                outcome = await _failed(connection, due, reason)
            log.warning(
                "an alert did not arrive",
                extra={"delivery": due.id, "tries": due.tries + 1, "reason": str(reason), "outcome": outcome},
            )
            self._telemetry.answered(ALERT_DELIVERIES, outcome)
            return
        async with postgres(self._pool) as connection, connection.transaction():
            # The receiver first, as whoever turns it off does: the other way round the two wait for each other.
            await rows(connection, QUERIES["receiver_arrived"], id=due.receiver)
            await rows(connection, QUERIES["delivery_arrived"], id=due.id)
        self._telemetry.answered(ALERT_DELIVERIES, "sent")

    async def _is_unwanted(self, receiver: str) -> bool:
        """Whether it was turned off or removed since this came due, or as this was written down; then nothing waits."""
        async with postgres(self._pool) as connection:
            if await row(connection, QUERIES["is_listening"], id=receiver):
                return False
            await rows(connection, QUERIES["drop_deliveries"], receiver=receiver)
        return True


def signed(due: Due, at: datetime) -> list[tuple[str, str]]:
    """The headers of Standard Webhooks, signed at *at* with each secret that is good."""
    secrets = [secret for secret in (due.secret, due.old_secret) if secret]
    signatures = [Webhook(secret).sign(due.id, at, due.payload) for secret in secrets]
    return [
        ("content-type", "application/json"),
        ("user-agent", "fairclaim"),
        ("webhook-id", due.id),
        ("webhook-timestamp", str(int(at.timestamp()))),
        ("webhook-signature", " ".join(signatures)),
    ]


async def _failed(connection: Connection, due: Due, reason: Undelivered) -> str:
    """Note it, and when it is tried again, if it is; what became of it."""
    noted = await row(connection, QUERIES["receiver_failed"], id=due.receiver, error=str(reason), days=HOPELESS_DAYS)
    assert noted is not None, "a delivery has a receiver"
    if noted["state"] == "on" and (reason.is_final or noted["is_hopeless"]):
        await rows(connection, QUERIES["delivery_failed"], id=due.id, error=str(reason))
        await rows(connection, QUERIES["drop_deliveries"], receiver=due.receiver)
        await rows(
            connection, QUERIES["move_receiver"], id=due.receiver, state="failed", reason=str(reason), actor="gateway"
        )
        about = {"reason": str(reason)}
        await audit(
            connection, "gateway", "receiver.failed", f"receiver:{due.receiver}", {"state": "on"}, {"state": "failed"},
            **about,
        )  # fmt: skip
        return "failed"
    if due.tries >= len(WAITS_S):
        await rows(connection, QUERIES["delivery_failed"], id=due.id, error=str(reason))
        return "failed"
    wait_s = WAITS_S[due.tries] * random.uniform(1, 1 + JITTER)  # noqa: S311 - jitter, not a secret
    await rows(connection, QUERIES["delivery_again"], id=due.id, error=str(reason), wait_s=wait_s)
    return "again"
