"""Who has claimed of a campaign, or one person's claims, by time; and the same as a CSV file."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from starlette.responses import Response

from gateway.campaigns.register import HELD_MAX, Claim, Held
from gateway.campaigns.service import Seen
from gateway.codes import show_code
from gateway.console.access import HOME
from gateway.console.campaigns.detail import about, campaign_of
from gateway.console.campaigns.listing import CAMPAIGNS, SEE, register_of
from gateway.console.campaigns.wizard import campaigns_of
from gateway.console.coupons.words import STATE_WORDS as COUPON_WORDS
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Noted, Read, Sort, Table, csv_file, every_page
from lua.keys import Shard

ROWS_MAX = 50
SORTS = {"claimed": Sort(N_("Claimed"), falls=True)}
_HOLDER_CHARS_MAX = 128
_Seq: Any = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class _Place(NamedTuple):
    """After which claim a page begins: its time and code, and how far each shard was read, by its number."""

    at: datetime
    code: str
    seqs: tuple[_Seq, ...]


class _Found(NamedTuple):
    claim: Claim
    place: _Place


class Line(NamedTuple):
    """A claim: *shown* is its code as people read it, *claimed* how many its holder has claimed."""

    claim: Claim
    shown: str
    state: str
    claimed: str


async def show(visit: Visit) -> Response:
    """A page of claims. Errors: Refusal."""
    seen = await campaigns_of(visit).see(campaign_of(visit))
    table = _table(visit, seen)
    shown = await table.page(_reader(visit, seen, table), _place, _Place, ROWS_MAX)
    return visit.render(
        "campaigns/holders",
        **about(visit, seen),
        table=table,
        shown=shown,
        lines=await _lines(visit, seen, shown.rows),
        coupon_words=COUPON_WORDS,
        coupons_at=f"{HOME}/coupons",
    )


def _table(visit: Visit, seen: Seen) -> Table:
    at, filters = f"{CAMPAIGNS}/{seen.id}/holders", {"holder": visit.asked("holder", _HOLDER_CHARS_MAX)}
    return Table(visit, at, SORTS, filters, f"{at}.csv")


def _reader(visit: Visit, seen: Seen, table: Table) -> Read[_Place, _Found]:
    register, holder = register_of(visit), table.given("holder")
    shards = [str(Shard(seen.id, number)) for number in range(seen.definition.shards)]

    async def read(after: _Place | None, limit: int) -> list[_Found]:
        if holder:
            place = after and (after.at, after.code)
            of_one = await register.claims_of(seen, holder, limit, place, down=table.down)
            return [_Found(each, _Place(each.at, each.code, ())) for each in of_one]
        if after is not None:
            places = dict(zip(shards, after.seqs, strict=False))
        else:
            places = dict.fromkeys(shards, 0) | (await register.places(seen) if table.down else {})
        claims = await (register.claims(places, limit) if table.down else register.first_claims(seen, places, limit))
        found, far = [], dict(places)
        for each in claims:
            far[each.shard] = each.seq
            found.append(_Found(each, _Place(each.at, "", tuple(far.values()))))
        return found

    return read


def _place(found: _Found) -> _Place:
    return found.place


async def _lines(visit: Visit, seen: Seen, found: Sequence[_Found]) -> list[Line]:
    held, words = await _held(visit, seen, found), visit.words
    lines = []
    for each, _ in found:
        here = held.get(each.code)
        count = "–" if here is None else words.number(here.count) + ("+" if here.count >= HELD_MAX else "")
        lines.append(Line(each, show_code(each.code), here.state if here else "claimed", count))
    return lines


async def _held(visit: Visit, seen: Seen, found: Sequence[_Found]) -> dict[str, Held]:
    return await register_of(visit).held(seen, [each.claim.code for each in found])


async def export(visit: Visit) -> Response:
    """
    Every claim that the list has, as CSV: times in UTC; who took it is in the audit log.

    No code is in it: whoever has one may redeem it.
    """
    seen = await campaigns_of(visit).see(campaign_of(visit))
    table = _table(visit, seen)

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(_reader(visit, seen, table), _place):
            held = await _held(visit, seen, page)
            yield [
                (each.holder, each.at, each.channel, held[each.code].state if each.code in held else "claimed")
                for each, _ in page
            ]

    noted = Noted("holders.exported", f"campaign:{seen.id}", dict(table.filters))
    return await csv_file(visit, f"holders-{seen.id}", ("holder", "claimed_at", "channel", "state"), pages(), noted)


PAGES = (
    Page(path=f"{CAMPAIGNS}/{{campaign}}/holders", show=show, roles=SEE, under=CAMPAIGNS),
    Page(path=f"{CAMPAIGNS}/{{campaign}}/holders.csv", show=export, roles=SEE, under=CAMPAIGNS),
)
