"""Who has claimed of a campaign, the newest first, or one person's claims; and all of it as a CSV file."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from gateway.campaigns.register import HELD_MAX, Claim, Register
from gateway.campaigns.service import Seen
from gateway.codes import show_code
from gateway.console.access import HOME
from gateway.console.campaigns.detail import about, campaign_of
from gateway.console.campaigns.listing import CAMPAIGNS, SEE, register_of
from gateway.console.campaigns.wizard import campaigns_of
from gateway.console.coupons.words import STATE_WORDS as COUPON_WORDS
from gateway.console.page import Page, Visit
from gateway.console.render import HEADERS
from gateway.issuing.csv_lines import row as csv_row
from gateway.issuing.store import audit
from gateway.routes.paging import make_cursor, read_cursor
from gateway.sql import postgres
from gateway.wire import rfc3339, time_ms
from lua.keys import Shard

ROWS_MAX = 50
_EXPORT_ROWS = 1000
_HOLDER_CHARS_MAX = 128


class _Place(NamedTuple):
    """After which claim of one person a page begins."""

    at: datetime
    code: str


class Line(NamedTuple):
    """A claim: *shown* is its code as people read it, *claimed* how many its holder has claimed."""

    claim: Claim
    shown: str
    state: str
    claimed: str


async def show(visit: Visit) -> Response:
    """A page of claims. Errors: Refusal."""
    seen, register = await campaigns_of(visit).see(campaign_of(visit)), register_of(visit)
    holder, here = visit.asked("holder", _HOLDER_CHARS_MAX), f"{CAMPAIGNS}/{seen.id}/holders"
    cursor = visit.request.query_params.get("cursor", "")
    if holder:
        found, more = await _of_one(visit, register, seen, holder)
    else:
        found, more = await _of_all(visit, register, seen)
    return visit.render(
        "campaigns/holders",
        **about(visit, seen),
        lines=await _lines(visit, register, seen, found),
        holder=holder,
        more=f"{here}?{urlencode({**({'holder': holder} if holder else {}), 'cursor': more})}" if more else "",
        first=f"{here}?{urlencode({'holder': holder})}" if holder and cursor else here if cursor else "",
        export=f"{here}.csv",
        coupon_words=COUPON_WORDS,
        coupons_at=f"{HOME}/coupons",
    )


async def _of_all(visit: Visit, register: Register, seen: Seen) -> tuple[list[Claim], str]:
    """Claims of everybody, and the cursor of what follows: how far each shard was read, by its number."""
    of_list = f"holders of {seen.id}"
    after = read_cursor(visit.request, list[int], of_list)
    shards = [str(Shard(seen.id, number)) for number in range(seen.definition.shards)]
    places = await register.places(seen) if after is None else dict(zip(shards, after, strict=False))
    found = await register.claims(places, ROWS_MAX + 1)
    shown = found[:ROWS_MAX]
    if len(found) <= ROWS_MAX:
        return shown, ""
    places = _moved_on(places, shown)
    return shown, make_cursor([places.get(shard, 0) for shard in shards], of_list)


def _moved_on(places: Mapping[str, int], shown: Sequence[Claim]) -> dict[str, int]:
    """Of each shard the last claim seen."""
    return {**places, **{each.shard: each.seq for each in shown}}


async def _of_one(visit: Visit, register: Register, seen: Seen, holder: str) -> tuple[list[Claim], str]:
    of_list = f"claims of {holder} in {seen.id}"
    after = read_cursor(visit.request, _Place, of_list)
    found = await register.claims_of(seen, holder, ROWS_MAX + 1, after)
    shown = found[:ROWS_MAX]
    return shown, make_cursor(_Place(shown[-1].at, shown[-1].code), of_list) if len(found) > ROWS_MAX else ""


async def _lines(visit: Visit, register: Register, seen: Seen, found: Sequence[Claim]) -> list[Line]:
    held, words = await register.held(seen, [each.code for each in found]), visit.words
    lines = []
    for each in found:
        here = held.get(each.code)
        count = "–" if here is None else words.number(here.count) + ("+" if here.count >= HELD_MAX else "")
        lines.append(Line(each, show_code(each.code), here.state if here else "claimed", count))
    return lines


async def export(visit: Visit) -> Response:
    """
    Every claim, the newest first, as CSV: times in UTC; who took it is in the audit log.

    No code is in it: whoever has one may redeem it.
    """
    seen, register = await campaigns_of(visit).see(campaign_of(visit)), register_of(visit)
    headers = {**HEADERS, "content-disposition": f'attachment; filename="holders-{seen.id}.csv"'}
    places = await register.places(seen)
    async with postgres(visit.here.pool) as connection:
        await audit(connection, visit.who.actor, "holders.exported", f"campaign:{seen.id}", {})

    async def lines() -> AsyncIterator[str]:
        yield csv_row("holder", "claimed_at", "channel", "state")
        after = places
        while page := await register.claims(after, _EXPORT_ROWS):
            held = await register.held(seen, [each.code for each in page])
            for each in page:
                state = held[each.code].state if each.code in held else "claimed"
                yield csv_row(each.holder, rfc3339(time_ms(each.at)), each.channel, state)
            after = _moved_on(after, page)

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


PAGES = (
    Page(path=f"{CAMPAIGNS}/{{campaign}}/holders", show=show, roles=SEE, under=CAMPAIGNS),
    Page(path=f"{CAMPAIGNS}/{{campaign}}/holders.csv", show=export, roles=SEE, under=CAMPAIGNS),
)
