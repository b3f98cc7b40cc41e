"""
Who is told of alerts: webhooks and e-mail addresses.

A secret is shown once, when it is made. What may be part of a secret, as the path of a webhook's address, is in no
list, no log and no line of the audit log.
"""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_bytes, token_hex
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from psycopg_pool import AsyncConnectionPool

from gateway.alerts.kinds import KINDS
from gateway.alerts.mail import Mailer, is_mail_address
from gateway.alerts.outward import BadUrl, Outward, Undelivered
from gateway.alerts.payload import TRIAL, trial
from gateway.alerts.sending import Due, Sending
from gateway.alerts.store import (
    QUERIES,
    By,
    Receiver,
    audit,
    list_receivers,
    read_receiver,
)
from gateway.errors import Refusal
from gateway.settings import Settings
from gateway.somebody import Somebody
from gateway.sql import postgres, row, rows

MANAGERS = ("operator",)
"""Who may, besides admins."""
NAME_CHARS_MAX = 100
RECEIVERS_MAX = 50
OLD_SECRET_HOURS = 24
"""How long the secret before signs too, after another one was made."""
BYS: tuple[By, ...] = ("webhook", "email")
_SECRET_BYTES = 32
_STATES = {"on": ("off", "failed"), "off": ("on",), "removed": ("on", "off", "failed")}


class Made(NamedTuple):
    """A receiver, and its secret, which is shown this once; empty for an e-mail address."""

    receiver: Receiver
    secret: str


class Tried(NamedTuple):
    """What became of a trial: None where it arrived, else why it did not."""

    receiver: Receiver
    reason: str | None


class Receivers:
    """Makes, changes and tries them. Errors of all of it: Refusal receiver_not_found, not_ready."""

    def __init__(self, pool: AsyncConnectionPool[Any], settings: Settings, outward: Outward, sending: Sending) -> None:
        self._pool, self._outward, self._sending = pool, outward, sending
        self._mailer = Mailer(settings)

    async def list(self) -> list[Receiver]:
        """All but those that were removed."""
        async with postgres(self._pool) as connection:
            return await list_receivers(connection)

    async def see(self, identity: str) -> Receiver:
        """One of them."""
        async with postgres(self._pool) as connection:
            return _there(read_receiver(await row(connection, QUERIES["receiver"], id=_asked(identity))))

    async def make(self, who: Somebody, by: str, name: str, address: str, kinds: Sequence[str]) -> Made:
        """A new one. Errors: Refusal("bad_request") naming the field."""
        self._check(by, name, address, kinds)
        identity, secret = f"ar_{token_hex(8)}", _new_secret() if by == "webhook" else ""
        chosen = [kind for kind in KINDS if kind in kinds]
        values = {"by": by, "name": name.strip(), "address": address, "kinds": chosen}
        async with postgres(self._pool) as connection, connection.transaction():
            count = await row(connection, QUERIES["count_receivers"])
            if count is not None and count["count"] >= RECEIVERS_MAX:
                raise Refusal("bad_request", f"There are {RECEIVERS_MAX} receivers already; remove one.", field="name")
            made = await row(connection, QUERIES["add_receiver"], id=identity, secret=secret, actor=who.actor, **values)
            after = {**values, "address": shown_address(by, address)}
            await audit(connection, who.actor, "receiver.made", f"receiver:{identity}", None, after)
        return Made(_there(read_receiver(made)), secret)

    async def move(self, who: Somebody, identity: str, to: str) -> Receiver:
        """Turn it on or off, or remove it. Errors: Refusal("invalid_state") where it is so already."""
        if to not in _STATES:
            raise Refusal("bad_request", f"to: one of {', '.join(_STATES)}.", field="to")
        async with postgres(self._pool) as connection, connection.transaction():
            here = _there(read_receiver(await row(connection, QUERIES["lock_receiver"], id=_asked(identity))))
            if here.state not in _STATES[to]:
                raise Refusal("invalid_state", f"It is {here.state} already.", state=here.state)
            moved = await row(connection, QUERIES["move_receiver"], id=identity, state=to, reason=None, actor=who.actor)
            if to != "on":
                await rows(connection, QUERIES["drop_deliveries"], receiver=identity)
            before, after = {"state": here.state}, {"state": to}
            await audit(connection, who.actor, "receiver.moved", f"receiver:{identity}", before, after)
        return _there(read_receiver(moved))

    async def rotate(self, who: Somebody, identity: str) -> Made:
        """Another secret; the one before signs too, for OLD_SECRET_HOURS. Errors: Refusal("invalid_state")."""
        secret = _new_secret()
        async with postgres(self._pool) as connection, connection.transaction():
            here = _there(read_receiver(await row(connection, QUERIES["lock_receiver"], id=_asked(identity))))
            if here.by != "webhook":
                raise Refusal("invalid_state", "An e-mail address has no secret.")
            made = await row(
                connection,
                QUERIES["rotate_secret"],
                id=identity,
                secret=secret,
                hours=OLD_SECRET_HOURS,
                actor=who.actor,
            )
            await audit(connection, who.actor, "receiver.secret_rotated", f"receiver:{identity}", None, None)
        return Made(_there(read_receiver(made)), secret)

    async def test(self, who: Somebody, identity: str) -> Tried:
        """Send a trial now, once, also where it is off."""
        payload = trial(identity, datetime.now(UTC))
        async with postgres(self._pool) as connection:
            found = await row(connection, QUERIES["receiver"], id=_asked(identity))
            here = _there(read_receiver(found))
            await audit(connection, who.actor, "receiver.tested", f"receiver:{identity}", None, None)
        assert found is not None
        old = found["old_secret"] if here.old_until and here.old_until > datetime.now(UTC) else ""
        due = Due(
            f"alert_test_{token_hex(12)}", identity, TRIAL, payload, 0, here.by, here.address, found["secret"], old
        )
        try:
            await self._sending.attempt(due)
        except Undelivered as error:
            return Tried(here, str(error))
        return Tried(here, None)

    def _check(self, by: str, name: str, address: str, kinds: Sequence[str]) -> None:
        if by not in BYS:
            raise Refusal("bad_request", f"by: one of {', '.join(BYS)}.", field="by")
        if not name.strip() or len(name) > NAME_CHARS_MAX or not name.isprintable():
            raise Refusal("bad_request", f"name: 1 to {NAME_CHARS_MAX} printable characters.", field="name")
        if not set(kinds) <= KINDS.keys():
            raise Refusal("bad_request", f"kinds: of {', '.join(KINDS)}; none are all of them.", field="kinds")
        if by == "email" and not is_mail_address(address):
            raise Refusal("bad_request", "address: one e-mail address, such as ops@example.com.", field="address")
        if by == "email" and not self._mailer.is_there:
            raise Refusal("bad_request", "by: no SMTP server is set (FAIRCLAIM_SMTP_HOST).", field="by")
        if by == "webhook":
            try:
                self._outward.check_url(address)
            except BadUrl as error:
                raise Refusal("bad_request", f"address: {error}.", field="address") from None


def shown_address(by: str, address: str) -> str:
    """*address* without what may be a secret: of a webhook the host alone."""
    if by == "email":
        return address
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}/…"


def _new_secret() -> str:
    return f"whsec_{b64encode(token_bytes(_SECRET_BYTES)).decode()}"


def _asked(identity: str) -> str:
    """*identity*, which is a text that PostgreSQL takes. Errors: Refusal("receiver_not_found")."""
    if "\0" in identity:
        raise Refusal("receiver_not_found")
    return identity


def _there(found: Receiver | None) -> Receiver:
    if found is None:
        raise Refusal("receiver_not_found")
    return found
