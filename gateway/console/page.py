"""
A page of the console: its path, who may see it, its place in the menu, and what it does; and the door before all pages.

Roles are said here and nowhere else. The routes are made of the same table as the menu, so what is hidden is refused.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.alerts.alerts import Count
from gateway.console.access import (
    HOME,
    SignedOut,
    check_form,
    check_role,
    entered,
    inside,
    keep,
    posted,
    session_of,
    without_zeros,
)
from gateway.console.locales import Words, choose
from gateway.console.render import HEADERS, render
from gateway.console.sessions import Session
from gateway.console.words import Trouble, trouble_of
from gateway.errors import Refusal, draw_retry_after_s
from gateway.forms import Fields, NotOurs, is_from_elsewhere, one
from gateway.people.person import Look, Person
from gateway.proposals.deciding import Proposals
from gateway.services import Services, services
from gateway.zones import zone_of

log = logging.getLogger("fairclaim.console")

SIGN_IN, ACCOUNT = f"{HOME}/sign-in", f"{HOME}/account"
BY_ITSELF = "x-by-itself"
"""The header of what a page asks for by itself every few seconds: nobody may be there, so it keeps nobody signed in."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """
    One path of the console.

    *roles*: who may, besides admin; none given is everybody who is signed in. *actors*: who of them may act, where not
    all of them may. *is_open*: one need not be signed in.
    *menu* and *section* are messages; without *menu* it is in no menu, and *under* is the one that is marked there.
    *is_looked_at* is False for what a page asks for by itself: that keeps nobody signed in. *is_first*: also for who
    has to choose a password of his own first. *too_old* answers a form that is not of this session, else it is refused;
    it has the fields and must do nothing with them. *kept* makes of the fields of a form the query with which *show*
    has them again: so they outlive a session that ends while somebody types.
    """

    path: str
    show: "Show"
    act: "Show | None" = None
    too_old: "Show | None" = None
    kept: Callable[[Fields], str] | None = None
    roles: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    menu: str = ""
    section: str = ""
    under: str = ""
    is_open: bool = False
    is_looked_at: bool = True
    is_first: bool = False


class Visit:
    """One request of a page: who, in what language, and how it is answered."""

    def __init__(self, request: Request, page: Page, pages: Sequence[Page]) -> None:
        self.request, self.page, self._pages = request, page, pages
        self.session: Session = session_of(request)
        self.person: Person | None = None
        self.must_change = False
        self.alerts, self.waiting = Count(), 0
        self.fields: Fields = {}

    @property
    def here(self) -> Services:
        """The worker's services."""
        return services(self.request)

    @property
    def who(self) -> Person:
        """Whoever is signed in, on a page that is not open."""
        assert self.person is not None, "an open page asked who is signed in"
        return self.person

    @property
    def words(self) -> Words:
        """How to say something to whoever it is."""
        look = self.person.look if self.person else Look()
        accepted = self.request.headers.get("accept-language", "")
        language, locale = choose(look.language or self.session.language, accepted)
        return Words(language, locale, zone_of(look.zone or self.session.zone))

    @property
    def menu(self) -> list[Page]:
        """The pages in the menu that this person may open."""
        who = self.person
        return [page for page in self._pages if page.menu and who is not None and who.may(*page.roles)]

    @property
    def place(self) -> str:
        """The path that is marked in the menu."""
        return self.page.under or self.page.path

    @property
    def again(self) -> str:
        """The address that was asked for, for a page that brings itself up to date."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    def one(self, name: str) -> str:
        """The one value of a posted field."""
        return one(self.fields, name)

    def asked(self, name: str, chars_max: int = 200) -> str:
        """A value of the address, without blanks around it; empty where it is not there."""
        return self.request.query_params.get(name, "").replace("\0", "").strip()[:chars_max]

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """The page *template*."""
        return render(template, self.words, status, visit=self, **values)

    def go(self, address: str) -> Response:
        """Lead the browser on to *address*, which is one of ours."""
        return RedirectResponse(address, 303, {"cache-control": "no-store"})

    def trouble(self, trouble: Trouble, status: int, retry_after_s: int | None = None) -> Response:
        """A page that says what did not work, and what to do."""
        response = self.render("trouble", status, trouble=trouble, shown=status)
        if retry_after_s is not None:
            response.headers["retry-after"] = str(retry_after_s)
        return response


Show = Callable[[Visit], Awaitable[Response]]


def routes(pages: Sequence[Page]) -> list[Route]:
    """The routes of *pages*, each behind the door."""
    return [
        Route(page.path, _behind_the_door(page, pages), methods=["GET", *(["POST"] if page.act else [])])
        for page in pages
    ]


def _behind_the_door(page: Page, pages: Sequence[Page]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        visit = Visit(request, page, pages)
        try:
            response = await _enter(visit)
        except SignedOut:
            return _to_sign_in(visit, await _kept(visit))
        except Refusal as refusal:
            wait_s = refusal.retry_after_s
            if wait_s is None and refusal.status in (429, 503):
                wait_s = draw_retry_after_s(visit.here.settings.retry_after_s_max)
            response = visit.trouble(trouble_of(refusal), refusal.status, wait_s)
        except Exception:
            about = {"request_id": request.state.request_id, "path": request.url.path}
            log.exception("a page failed", extra=about)
            response = visit.trouble(trouble_of(Refusal("internal")), 500)
        is_looked_at = page.is_looked_at and BY_ITSELF not in request.headers
        if is_looked_at and "set-cookie" not in response.headers:
            keep(request, response, visit.session)
        return response

    return answer


async def _enter(visit: Visit) -> Response:
    """Let through who may, and do what is asked. Errors: SignedOut, Refusal."""
    page, request = visit.page, visit.request
    if not page.is_open:
        visit.session, known = await entered(request)
        visit.person, visit.must_change = known.person, known.must_change
        if known.must_change and not page.is_first:
            return visit.go(ACCOUNT)
        check_role(known.person, *page.roles)
        if page.is_looked_at:
            here = visit.here
            visit.alerts = await here.alerts.count(known.person)
            visit.waiting = await Proposals(here.pool, here.door, here.settings).count_waiting(known.person)
    if request.method != "POST":
        return await page.show(visit)
    assert page.act is not None, "the route has the methods of the page"
    if page.actors:
        check_role(visit.who, *page.actors)
    visit.fields = without_zeros(await posted(request), shown=page.kept is not None)
    try:
        check_form(request, visit.session, visit.fields)
    except NotOurs:
        if page.too_old is None:
            raise
        return await page.too_old(visit)
    return await page.act(visit)


async def _kept(visit: Visit) -> str:
    """The query that has again what was typed into a form of ours; empty for any other."""
    page, request = visit.page, visit.request
    if page.kept is None or request.method != "POST" or is_from_elsewhere(request):
        return ""
    try:
        return page.kept(without_zeros(await posted(request), shown=True))
    except Refusal:  # it can't be read, so there is nothing to keep
        return ""


def _to_sign_in(visit: Visit, kept: str) -> Response:
    """The page to sign in, and from there back to where it was, with what is *kept*; what was posted was not done."""
    request = visit.request
    path, query = request.url.path, kept or request.url.query
    if "hx-request" in request.headers:  # a piece of a page: it is the page that has to go
        path, shown = _shown_at(request.headers.get("hx-current-url", HOME))
        query = kept or shown
    back = inside(path + (f"?{query}" if query and (kept or request.method == "GET") else ""))
    ask = ["again"] if request.method == "POST" else []
    ask += [f"next={quote(back, safe='/')}"] if back != HOME else []
    address = SIGN_IN + ("?" + "&".join(ask) if ask else "")
    if "hx-request" in request.headers:
        return Response(headers={**HEADERS, "hx-redirect": address})
    return visit.go(address)


def _shown_at(address: str) -> tuple[str, str]:
    """Path and query of the page that htmx says it is on; nothing where that is no address."""
    try:
        at = urlsplit(address)
    except ValueError:
        return "", ""
    return at.path, at.query
