"""Who has claimed most of a campaign, by the books."""

from urllib.parse import urlencode

from starlette.responses import Response

from gateway.campaigns.life import Stored
from gateway.console.campaigns.detail import about, campaign_of
from gateway.console.campaigns.listing import CAMPAIGNS, SEE, register_of
from gateway.console.campaigns.wizard import campaigns_of
from gateway.console.page import Page, Visit

ROWS_MAX = 50


async def show(visit: Visit) -> Response:
    """A page of holders."""
    seen = await campaigns_of(visit).see(campaign_of(visit))
    count, holder = visit.asked("count"), visit.asked("after", 256)
    known = count.isascii() and count.isdecimal() and len(count) < 10
    after = (int(count), holder) if known and holder else None
    found = [] if seen.state is Stored.DRAFT else await register_of(visit).holders(seen, ROWS_MAX + 1, after)
    here = f"{CAMPAIGNS}/{seen.id}/holders"
    last = found[ROWS_MAX - 1] if len(found) > ROWS_MAX else None
    more = f"{here}?{urlencode({'count': last.count, 'after': last.holder})}" if last else ""
    return visit.render(
        "campaigns/holders", **about(visit, seen), holders=found[:ROWS_MAX], more=more, first=here if after else ""
    )


PAGES = (Page(path=f"{CAMPAIGNS}/{{campaign}}/holders", show=show, roles=SEE, under=CAMPAIGNS),)
