"""The versions of a campaign, and what is different between two of them."""

from typing import Any

import msgspec
from starlette.responses import Response

from gateway.campaigns.patch import difference
from gateway.campaigns.register import Past
from gateway.console.campaigns.detail import about, campaign_of
from gateway.console.campaigns.listing import CAMPAIGNS, SEE, STATE_WORDS, register_of
from gateway.console.campaigns.wizard import campaigns_of
from gateway.console.page import Page, Visit
from gateway.console.pages.differing import Change

ROWS_MAX = 25
VALUE_CHARS_MAX = 300


async def show(visit: Visit) -> Response:
    """The versions, the newest first, each with what it changed; with ``of`` and ``to``, those two compared."""
    seen, register = await campaigns_of(visit).see(campaign_of(visit)), register_of(visit)
    before = _number(visit.asked("before"))
    found = await register.versions(seen.id, ROWS_MAX + 1, before)
    lines = [(each, changes(found[n + 1], each) if n + 1 < len(found) else []) for n, each in enumerate(found)]
    of, to = _number(visit.asked("of")), _number(visit.asked("to"))
    compared = None
    if of is not None and to is not None:
        compared = changes(await register.version(seen.id, of), await register.version(seen.id, to))
    here = f"{CAMPAIGNS}/{seen.id}/versions"
    more = f"{here}?before={found[ROWS_MAX - 1].version}" if len(found) > ROWS_MAX else ""
    return visit.render(
        "campaigns/versions",
        **about(visit, seen),
        lines=lines[:ROWS_MAX],
        of=of or max(1, seen.version - 1),
        to=to or seen.version,
        compared=compared,
        more=more,
        first=here if before else "",
        stored_words=STATE_WORDS,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def changes(old: Past, new: Past) -> list[Change]:
    """What is not the same in both, part by part."""
    before, after = difference(old.definition, new.definition)
    if old.state is not new.state:
        before["state"], after["state"] = old.state.value, new.state.value
    return compared(before, after)


def compared(before: dict[str, Any], after: dict[str, Any], above: str = "") -> list[Change]:
    """What is not the same in two sets of fields."""
    found: list[Change] = []
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        if isinstance(was, dict) and isinstance(now, dict):
            found += compared(was, now, f"{above}{name}.")
        elif was != now:
            found.append(Change(f"{above}{name}", _spelt(was), _spelt(now)))
    return found


def _spelt(value: Any) -> str:
    text = value if isinstance(value, str) else "–" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} …"


PAGES = (Page(path=f"{CAMPAIGNS}/{{campaign}}/versions", show=show, roles=SEE, under=CAMPAIGNS),)
