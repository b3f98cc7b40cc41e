"""What people do with alerts: list, see, acknowledge, choose thresholds; each sees those of his roles."""

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

from gateway.alerts.kinds import KINDS, Kind, acted_on_by, seen_by
from gateway.alerts.payload import ACKNOWLEDGED
from gateway.alerts.rules import Level, Threshold, level_of
from gateway.alerts.store import (
    QUERIES,
    After,
    Alert,
    Chosen,
    Delivery,
    Way,
    audit,
    chosen_thresholds,
    deliveries_of,
    list_alerts,
    list_chosen,
    read_alert,
)
from gateway.alerts.watch import tell
from gateway.campaigns.bounds import ID_PATTERN
from gateway.errors import Refusal
from gateway.settings import Settings
from gateway.somebody import Somebody, may
from gateway.sql import postgres, row, rows

NOTE_CHARS_MAX = 500
COUNT_FRESH_S = 2.0
"""How old the count in the menu may be: one small query a worker and this long, however many pages are looked at."""
THRESHOLDS_MAX = 2000
EVERYWHERE = ("operator",)
"""Who chooses thresholds of everything, besides admins; of one campaign a marketer does too."""
OF_CAMPAIGNS = ("marketer", "operator")
_ALERT_DIGITS_MAX = 18


class Count(NamedTuple):
    """Open alerts, and how many of them are critical."""

    open: int = 0
    critical: int = 0


class Alerts:
    """Errors of all of it: Refusal("not_ready") where the books can't be reached."""

    def __init__(self, pool: AsyncConnectionPool[Any], settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._counted: tuple[float, Mapping[str, Count]] = (-COUNT_FRESH_S, {})

    async def count(self, who: Somebody) -> Count:
        """Open ones that *who* sees, as of a moment ago."""
        at_s, by_kind = self._counted
        if time.monotonic() - at_s >= COUNT_FRESH_S:
            async with postgres(self._pool) as connection:
                found = await rows(connection, QUERIES["count_open"])
            by_kind = {each["kind"]: Count(each["count"], each["critical"]) for each in found}
            self._counted = time.monotonic(), by_kind
        his = [by_kind[kind] for kind in seen_by(who) if kind in by_kind]
        return Count(sum(each.open for each in his), sum(each.critical for each in his))

    async def found(
        self,
        who: Somebody,
        *,
        kind: str | None = None,
        is_open: bool | None = None,
        campaign: str | None = None,
        by: Way = "began",
        down: bool = True,
        after: After | None = None,
        limit: int,
    ) -> list[Alert]:
        """At most *limit* that *who* sees, the newest first or sorted *by* another thing, from after a place."""
        kinds = [each for each in seen_by(who) if kind in (None, each)]
        async with postgres(self._pool) as connection:
            return await list_alerts(
                connection, kinds, is_open=is_open, subject=campaign, by=by, down=down, after=after, limit=limit
            )

    async def see(self, who: Somebody, number: str) -> tuple[Alert, list[Delivery]]:
        """One, and what was sent of it. Errors: Refusal("alert_not_found")."""
        async with postgres(self._pool) as connection:
            found = read_alert(await row(connection, QUERIES["alert"], id=read_number(number)))
            if found is None or found.kind not in seen_by(who):
                raise Refusal("alert_not_found")
            return found, await deliveries_of(connection, found.id)

    async def acknowledge(self, who: Somebody, number: str, note: str | None) -> Alert:
        """
        Note that *who* has seen it, with what there is to say. It stays open until it is over.

        Errors: Refusal alert_not_found; forbidden for who may only look; invalid_state where somebody has seen it or it
        is over; bad_request for a note that is too long.
        """
        note = (note or "").strip() or None
        if note is not None and (len(note) > NOTE_CHARS_MAX or "\0" in note):
            raise Refusal("bad_request", f"note: at most {NOTE_CHARS_MAX} characters.", field="note")
        here, _ = await self.see(who, number)
        if here.kind not in acted_on_by(who):
            raise Refusal("forbidden", f"This needs the role {' or '.join((*KINDS[here.kind].roles, 'admin'))}.")
        async with postgres(self._pool) as connection, connection.transaction():
            values = {"id": here.id, "actor": who.actor, "note": note}
            done = read_alert(await row(connection, QUERIES["acknowledge_alert"], **values))
            if done is None:
                raise Refusal("invalid_state", "Somebody has acknowledged it before, or it is over.")
            before, after = {"acknowledged_by": None}, {"acknowledged_by": who.actor, "note": note}
            about = {"kind": here.kind, "campaign": here.subject}
            await audit(connection, who.actor, "alert.acknowledged", f"alert:{here.id}", before, after, **about)
            await tell(connection, ACKNOWLEDGED, done, self._settings.public_url)
        return done

    async def chosen(self) -> list[Chosen]:
        """Every threshold that somebody chose."""
        async with postgres(self._pool) as connection:
            return await list_chosen(connection)

    async def levels(self) -> dict[str, Level | None]:
        """How far is too far of each kind where a campaign has no threshold of its own; None: it is not watched."""
        async with postgres(self._pool) as connection:
            chosen = await chosen_thresholds(connection)
        return {name: level_of(kind, None, self._everywhere(kind, chosen)) for name, kind in KINDS.items()}

    def _everywhere(self, kind: Kind, chosen: Mapping[tuple[str, str], Threshold]) -> Threshold | None:
        found = chosen.get((kind.name, ""))
        if kind.setting:
            return (found or Threshold())._replace(value=float(getattr(self._settings, kind.setting)))
        return found

    async def choose(self, who: Somebody, kind_name: str, campaign: str, value: float | None, is_off: bool) -> None:
        """
        Choose a threshold, of one *campaign* or, where that is empty, of everything. None is the default again.

        Errors: Refusal forbidden; bad_request naming the field; campaign_not_found.
        """
        if not may(who, OF_CAMPAIGNS if campaign else EVERYWHERE):
            raise Refusal("forbidden", f"This needs the role {' or '.join((*EVERYWHERE, 'admin'))}.")
        kind = checked(kind_name, campaign, value)
        async with postgres(self._pool) as connection, connection.transaction():
            if campaign and (
                not ID_PATTERN.fullmatch(campaign)
                or await row(connection, QUERIES["campaign_exists"], id=campaign) is None
            ):
                raise Refusal("campaign_not_found")
            key = {"kind": kind.name, "campaign": campaign}
            found = await row(connection, QUERIES["lock_threshold"], **key) or {"value": None, "is_off": False}
            after = {"value": value, "is_off": is_off}
            if dict(found) == after:
                return
            if campaign and len(await list_chosen(connection)) >= THRESHOLDS_MAX:
                raise Refusal("bad_request", f"There are {THRESHOLDS_MAX} thresholds already.", field="campaign")
            await rows(connection, QUERIES["set_threshold"], **key, **after, actor=who.actor)
            subject = f"campaign:{campaign}" if campaign else f"alerts:{kind.name}"
            await audit(connection, who.actor, "alert.threshold_changed", subject, dict(found), after, kind=kind.name)


def checked(kind_name: str, campaign: str, value: float | None) -> Kind:
    """The kind, where *value* is one that its threshold may have. Errors: Refusal("bad_request") naming the field."""
    kind = KINDS.get(kind_name)
    if kind is None:
        raise Refusal("bad_request", f"kind: one of {', '.join(KINDS)}.", field="kind")
    if campaign and not kind.of_campaigns:
        raise Refusal("bad_request", f"campaign: {kind.name} is not of campaigns.", field="campaign")
    low, high = bounds(kind, is_own=bool(campaign))
    whole = is_counted(kind, is_own=bool(campaign))
    if value is not None and kind.setting and not campaign:
        setting = f"FAIRCLAIM_{kind.setting.upper()}"
        raise Refusal("bad_request", f"value: {setting} is the threshold of {kind.name}.", field="value")
    # Also what is no number.
    if value is not None and (not low <= value <= high or (whole and value != int(value))):
        rule = f"{'a whole number ' if whole else ''}from {low:g} to {high:g}"
        raise Refusal("bad_request", f"value: {rule}.", field="value")
    return kind


def bounds(kind: Kind, *, is_own: bool) -> tuple[float, float]:
    """From where to where a threshold may be, in its unit."""
    return (0, 100_000_000) if is_own and kind.own_unit else (kind.low, kind.high)


def is_counted(kind: Kind, *, is_own: bool) -> bool:
    """Whether a threshold counts: there is no half of a coupon, a break or a failure."""
    return (kind.own_unit or kind.unit if is_own else kind.unit) not in ("%", "s")


def read_number(text: str) -> int:
    """The id of an alert in a path. Errors: Refusal("alert_not_found")."""
    if not re.fullmatch(rf"[1-9][0-9]{{0,{_ALERT_DIGITS_MAX - 1}}}", text, re.ASCII):
        raise Refusal("alert_not_found")
    return int(text)
