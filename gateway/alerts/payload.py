"""
An alert in words, and as what is sent: the body of a webhook as Standard Webhooks has it, and a mail.

Pure. Words are those of the console, in English where no person's language is known.
"""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from typing import Any
from urllib.parse import quote

import msgspec
from babel import Locale

from gateway.alerts.kinds import KINDS, Unit
from gateway.alerts.store import Alert
from gateway.console.locales import N_, Words
from gateway.wire import rfc3339, time_ms

RAISED, CLEARED, ACKNOWLEDGED, TRIAL = "alert.raised", "alert.cleared", "alert.acknowledged", "alert.test"
TYPES = (RAISED, CLEARED, ACKNOWLEDGED, TRIAL)

SEVERITY_WORDS = {"critical": N_("Critical"), "warning": N_("Warning"), "info": N_("For information")}
_WHOLE_S = 60


@cache
def english() -> Words:
    """For programs and mails."""
    return Words("en", Locale("en"), "UTC")


def shown(value: float, unit: Unit, words: Words) -> str:
    """A figure with its unit: 9.5%, 4:05 min, 12 coupons."""
    whole = round(value)
    match unit:
        case "%":
            return words.say(N_("%(value)s%%"), value=words.number(round(value, 1)))
        case "s" if value >= _WHOLE_S:
            minutes, seconds = divmod(whole, 60)
            return words.say(N_("%(value)s min"), value=f"{minutes}:{seconds:02}")
        case "s":
            return words.say(N_("%(value)s s"), value=words.number(round(value, 1)))
        case "coupons":
            return words.say_many("%(num)s coupon", "%(num)s coupons", whole)
        case "breaks":
            return words.say_many("%(num)s break", "%(num)s breaks", whole)
        case "failures":
            return words.say_many("%(num)s code", "%(num)s codes", whole)


def sentence(here: Alert, words: Words) -> str:
    """What is wrong, in a sentence."""
    subject = here.about.get("name") or here.subject
    return words.say(KINDS[here.kind].says, figure=shown(here.figure, here.unit, words), subject=subject)


def place_of(here: Alert, public_url: str) -> str | None:
    """Where people see it; None where it is not known where the console is."""
    return f"{public_url.rstrip('/')}/console/alerts/{here.id}" if public_url else None


def event(type_: str, here: Alert, at: datetime, public_url: str) -> str:
    """The body that is sent to a webhook, and kept as it is sent."""
    return msgspec.json.encode({"type": type_, "timestamp": _time(at), "data": told(here, public_url)}).decode()


def told(here: Alert, public_url: str) -> dict[str, Any]:
    """An alert as programs are told it."""
    kind = KINDS[here.kind]
    return {
        "id": here.id,
        "kind": here.kind,
        "severity": here.severity,
        "campaign": here.subject or None,
        "says": sentence(here, english()),
        "to_do": kind.to_do,
        "figure": here.figure,
        "worst": here.worst,
        "threshold": here.threshold,
        "unit": here.unit,
        "about": here.about,
        "raised_at": _time(here.raised_at),
        "cleared_at": _time(here.cleared_at),
        "acknowledged_by": here.acknowledged_by,
        "acknowledged_at": _time(here.acknowledged_at),
        "note": here.note,
        "url": place_of(here, public_url),
    }


def trial(receiver: str, at: datetime) -> str:
    """The body of a trial: nothing is wrong."""
    data = {"receiver": receiver, "says": "This is a trial: nothing is wrong."}
    return msgspec.json.encode({"type": TRIAL, "timestamp": _time(at), "data": data}).decode()


def mail(identity: str, payload: str, sender: str, address: str) -> EmailMessage:
    """The mail of an event; its Message-ID is the same for every try."""
    body = msgspec.json.decode(payload)
    data = body["data"]
    made = EmailMessage()
    made["From"], made["To"] = sender, address
    made["Subject"] = f"[Fairclaim] {_subject(body['type'], data)}"
    made["Date"] = format_datetime(datetime.fromisoformat(body["timestamp"]))
    made["Message-ID"] = f"<{quote(identity, safe='')}@{sender.rpartition('@')[2].strip('>') or 'fairclaim'}>"
    made["Auto-Submitted"] = "auto-generated"
    facts = [
        (name, data.get(key))
        for name, key in (
            ("Severity", "severity"),
            ("Campaign", "campaign"),
            ("Since", "raised_at"),
            ("Over", "cleared_at"),
            ("Seen by", "acknowledged_by"),
            ("Note", "note"),
            ("See", "url"),
        )
    ]
    told = [data["says"], *([data["to_do"]] if data.get("to_do") and body["type"] == RAISED else [])]
    lines = [*map(_in_one_line, told), "", *(f"{name}: {_in_one_line(value)}" for name, value in facts if value)]
    made.set_content("\n".join(lines) + "\n")
    return made


def _in_one_line(text: str) -> str:
    """*text* with a blank where it has any kind of line break: what people wrote must not look like a line of ours."""
    return " ".join(text.split())


def _subject(type_: str, data: dict[str, Any]) -> str:
    if type_ == TRIAL:
        return "trial"
    word = {RAISED: data["severity"], CLEARED: "over", ACKNOWLEDGED: "seen"}[type_]
    title = KINDS[data["kind"]].title.lower()
    return f"{word}: {title}" + (f" ({data['campaign']})" if data["campaign"] else "")


def _time(at: datetime | None) -> Any:
    return None if at is None else rfc3339(time_ms(at.astimezone(UTC)))
