"""Live: all open sales, or one, on a desk or a wall; and the stream that the page follows."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.campaigns.service import Campaigns
from gateway.console.access import HOME
from gateway.console.live.frame import GROUPS, Frame
from gateway.console.live.live import Live, Watcher, as_event
from gateway.console.live.outcomes import OUTCOME_WORDS
from gateway.console.live.view import BADGES, STATES, figures, left, number, sale_of
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.render import HEADERS
from gateway.errors import Refusal
from gateway.routes.campaigns import campaign_of
from gateway.wire import json_response

log = logging.getLogger("fairclaim.live")

LIVE, STREAM = f"{HOME}/live", f"{HOME}/live-stream"
ROLES = ("marketer", "operator", "finance", "auditor")

STREAM_S_MAX = 60.0
"""A stream ends then and the browser asks again, with its cookie: who signed out sees no more of it."""
LATE_S_MAX = 10.0
"""And so much later at the latest: a browser that takes nothing of what is sent keeps no place."""
CHECK_S = 5.0
"""How often it is asked whether a session was ended; a beat is sent as often where there is nothing to say."""
ROWS_MAX = 25
"""Sales that the page has when it comes: the others come with the first frame, and the page stays light."""
COME_BACK_MS = 1000
_GROUP_WORDS = dict(
    zip(GROUPS, (N_("claimed"), N_("repeated"), N_("sold out"), N_("refused"), N_("busy, asked to wait")), strict=True)
)
_CHARTS = {
    "answers": N_("Claims answered a second, by outcome"),
    "stock": N_("Stock left"),
    "latency": N_("Latency in milliseconds"),
    "lag": N_("Drain lag in seconds"),
}


async def show(visit: Visit) -> Response:
    """All open sales."""
    return _page(visit, await visit.here.live.now(), "")


async def show_one(visit: Visit) -> Response:
    """One sale; one that is not open is said to be not, with what is left of it. Errors: Refusal("not_found")."""
    try:
        campaign = campaign_of(visit.request)
        frame = await visit.here.live.now()
        if sale_of(frame, campaign) is not None:
            return _page(visit, frame, campaign)
        seen = await Campaigns(visit.here.pool, visit.here.door).see(campaign)
    except Refusal as refusal:
        raise Refusal("not_found") if refusal.code == "campaign_not_found" else refusal from refusal
    return _page(visit, frame, campaign, name=seen.definition.name, state=seen.effective.value)


def _page(visit: Visit, frame: Frame, campaign: str, name: str = "", state: str = "") -> Response:
    sale, words = sale_of(frame, campaign), visit.words
    path = f"{LIVE}/{campaign}" if campaign else LIVE
    return visit.render(
        "live",
        frame=frame,
        sale=sale,
        rows=frame.sales[:ROWS_MAX],
        has_more=frame.has_more or len(frame.sales) > ROWS_MAX,
        campaign=campaign,
        name=sale.name if sale else name,
        state=sale.state if sale else state,
        figures=figures(frame, words, sale),
        states={key: words.say(text) for key, text in STATES.items()},
        badges=BADGES,
        outcomes={key: words.say(text) for key, text in OUTCOME_WORDS.items()},
        groups=[(key, words.say(text)) for key, text in _GROUP_WORDS.items()],
        charts={key: words.say(text) for key, text in _CHARTS.items()},
        amount=lambda value: number(value, words),
        left=lambda stock, seconds: left(stock, seconds, words),
        is_wall=visit.asked("wall") == "1",
        path=path,
        live_at=LIVE,
        stream_at=STREAM + (f"?campaign={campaign}" if campaign else ""),
    )


async def stream(visit: Visit) -> Response:
    """Frames as they come, for who takes a stream of events; else the newest. Errors: Refusal("overloaded")."""
    live = visit.here.live
    if "text/event-stream" not in visit.request.headers.get("accept", ""):
        return json_response(await live.now(), headers=HEADERS)
    last = visit.request.headers.get("last-event-id", "")
    since_ms = int(last) if last.isascii() and last.isdecimal() and len(last) < 16 else 0
    past = [_trimmed(frame, visit.asked("campaign")) for frame in live.since(since_ms)]
    watcher = live.join(visit.who.name)
    return _Stream(live, watcher, _events(visit, watcher, past))


class _Stream(StreamingResponse):
    """A stream that lets go of its watcher, however it ends, also where it never began."""

    def __init__(self, live: Live, watcher: Watcher, events: AsyncIterator[bytes]) -> None:
        # X-Accel-Buffering: a proxy must not keep frames back until it has many.
        super().__init__(events, headers={**HEADERS, "x-accel-buffering": "no"}, media_type="text/event-stream")
        self._live, self._watcher = live, watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until it ends, or the browser goes, or takes nothing."""
        try:
            async with asyncio.timeout(STREAM_S_MAX + LATE_S_MAX):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.info("somebody who looks takes nothing", extra={"user": self._watcher.name})
        finally:
            self._live.leave(self._watcher)


async def _events(visit: Visit, watcher: Watcher, past: list[Frame]) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % COME_BACK_MS
    if past:
        yield as_event("past", past)
    until_s, checked_s = time.monotonic() + STREAM_S_MAX, time.monotonic()
    while not watcher.is_over and time.monotonic() < until_s:
        frame = await watcher.next(CHECK_S)
        if time.monotonic() - checked_s >= CHECK_S:
            if not await _may_still(visit):
                yield b"event: over\ndata: signed-out\n\n"
                return
            checked_s = time.monotonic()
        yield frame or b": beat\n\n"


async def _may_still(visit: Visit) -> bool:
    """Whether the session is good and its user may see this; without PostgreSQL nobody can tell, and it goes on."""
    session = visit.session
    try:
        known = await visit.here.people.of_stamp(session.name, session.stamp)
    except Refusal:
        return True
    return known is not None and not known.must_change and known.person.may(*ROLES) and session.expires_s > time.time()


def _trimmed(frame: Frame, campaign: str) -> Frame:
    """What charts need of the past."""
    sale = sale_of(frame, campaign) if campaign else None
    return msgspec.structs.replace(frame, sales=[sale] if sale else [], totals={}, rates=None)


PAGES = (
    Page(path=LIVE, show=show, roles=ROLES, menu=N_("Live"), section=N_("Overview")),
    Page(path=STREAM, show=stream, roles=ROLES, is_looked_at=False),
    Page(path=f"{LIVE}/{{campaign}}", show=show_one, roles=ROLES, under=LIVE),
)
