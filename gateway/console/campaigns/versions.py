"""The versions of a campaign, and what is different between two of them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from gateway.campaigns.register import Change, Past
from gateway.campaigns.service import Seen
from gateway.console.actors import who_in_words
from gateway.console.campaigns.detail import about, campaign_of
from gateway.console.campaigns.differences import STORED_WORDS, differences, states
from gateway.console.campaigns.listing import CAMPAIGNS, SEE, register_of
from gateway.console.campaigns.wizard import campaigns_of
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.pages.differing import Change as Difference
from gateway.console.tables import Cell, Read, Sort, Table, csv_file, every_page
from gateway.errors import Refusal
from gateway.forms import Errors
from lua.keys import CampaignId

ROWS_MAX = 25
_FILE_ROWS = 200
_Number: Any = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
SORTS = {"version": Sort(N_("Version"), falls=True)}


async def show(visit: Visit) -> Response:
    """The versions, each with what it changed; with ``of`` and ``to``, those two compared."""
    seen, words = await campaigns_of(visit).see(campaign_of(visit)), visit.words
    table = _table(visit, seen)
    shown = await table.page(_reader(visit, seen, table), _place, _Number, ROWS_MAX)
    lines = [
        (each, who_in_words(each.changed_by, words), changes(each.old, each, words) if each.old else [])
        for each in shown.rows
    ]
    of, to = _number(visit.asked("of")), _number(visit.asked("to"))
    compared, errors = None, Errors()
    if of is not None and to is not None:
        pair = [await _version(visit, seen.id, number) for number in (of, to)]
        errors = {name: _none(words) for name, each in zip(("of", "to"), pair, strict=True) if each is None}
        if pair[0] and pair[1]:
            compared = changes(pair[0], pair[1], words)
    return visit.render(
        "campaigns/versions",
        200 if not errors else 404,
        **about(visit, seen),
        errors=errors,
        lines=lines,
        of=max(1, seen.version - 1) if of is None else of,
        to=seen.version if to is None else to,
        compared=compared,
        table=table,
        shown=shown,
        stored_words=STORED_WORDS,
    )


def _table(visit: Visit, seen: Seen) -> Table:
    at = f"{CAMPAIGNS}/{seen.id}/versions"
    return Table(visit, at, SORTS, {}, f"{at}.csv")


def _reader(visit: Visit, seen: Seen, table: Table) -> Read[int, Change]:
    async def read(after: int | None, limit: int) -> list[Change]:
        return await register_of(visit).versions(seen.id, limit, after, down=table.down)

    return read


def _place(version: Change) -> int:
    return version.version


async def export(visit: Visit) -> Response:
    """Every version as CSV, its definition as the API has it."""
    seen = await campaigns_of(visit).see(campaign_of(visit))

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(_reader(visit, seen, _table(visit, seen)), _place, _FILE_ROWS):
            yield [
                (
                    each.version,
                    each.state,
                    each.changed_at,
                    each.changed_by,
                    msgspec.json.encode(each.definition).decode(),
                )
                for each in page
            ]

    heads = ("version", "state", "changed_at", "changed_by", "definition")
    return await csv_file(visit, f"versions-{seen.id}", heads, pages())


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


def changes(old: Past, new: Past, words: Words) -> list[Difference]:
    """What is not the same in both, part by part."""
    return [*states(old.state, new.state, words), *differences(old.definition, new.definition, words)]


PAGES = (
    Page(path=f"{CAMPAIGNS}/{{campaign}}/versions", show=show, roles=SEE, under=CAMPAIGNS),
    Page(path=f"{CAMPAIGNS}/{{campaign}}/versions.csv", show=export, roles=SEE, under=CAMPAIGNS),
)
