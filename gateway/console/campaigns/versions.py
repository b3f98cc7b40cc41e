"""The versions of a campaign, and what is different between two of them."""

from starlette.responses import Response

from gateway.campaigns.register import Past
from gateway.console.campaigns.acts import who_in_words
from gateway.console.campaigns.detail import about, campaign_of
from gateway.console.campaigns.differences import STORED_WORDS, differences, states
from gateway.console.campaigns.listing import CAMPAIGNS, SEE, register_of
from gateway.console.campaigns.wizard import campaigns_of
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.pages.differing import Change
from gateway.errors import Refusal
from gateway.forms import Errors
from lua.keys import CampaignId

ROWS_MAX = 25


async def show(visit: Visit) -> Response:
    """The versions, the newest first, each with what it changed; with ``of`` and ``to``, those two compared."""
    seen, register, words = await campaigns_of(visit).see(campaign_of(visit)), register_of(visit), visit.words
    under = _number(visit.asked("before"))
    found = await register.versions(seen.id, ROWS_MAX + 1, under)
    lines = [
        (each, who_in_words(each.changed_by, words), changes(before, each, words) if before else [])
        for each, before in zip(found, [*found[1:], None], strict=True)
    ]
    of, to = _number(visit.asked("of")), _number(visit.asked("to"))
    compared, errors = None, Errors()
    if of is not None and to is not None:
        pair = [await _version(visit, seen.id, number) for number in (of, to)]
        errors = {name: _none(words) for name, each in zip(("of", "to"), pair, strict=True) if each is None}
        if pair[0] and pair[1]:
            compared = changes(pair[0], pair[1], words)
    here = f"{CAMPAIGNS}/{seen.id}/versions"
    return visit.render(
        "campaigns/versions",
        200 if not errors else 404,
        **about(visit, seen),
        errors=errors,
        lines=lines[:ROWS_MAX],
        of=max(1, seen.version - 1) if of is None else of,
        to=seen.version if to is None else to,
        compared=compared,
        more=f"{here}?before={found[ROWS_MAX - 1].version}" if len(found) > ROWS_MAX else "",
        first=here if under is not None else "",
        stored_words=STORED_WORDS,
    )


async def _version(visit: Visit, campaign: CampaignId, number: int) -> Past | None:
    try:
        return await register_of(visit).version(campaign, number)
    except Refusal as refusal:
        if refusal.code != "not_found":
            raise
        return None


def _none(words: Words) -> str:
    return words.say(N_("There is no such version."))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def changes(old: Past, new: Past, words: Words) -> list[Change]:
    """What is not the same in both, part by part."""
    return [*states(old.state, new.state, words), *differences(old.definition, new.definition, words)]


PAGES = (Page(path=f"{CAMPAIGNS}/{{campaign}}/versions", show=show, roles=SEE, under=CAMPAIGNS),)
