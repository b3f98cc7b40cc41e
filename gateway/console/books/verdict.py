"""The verdict as a page that is green or says why not. It is judged when somebody asks, for minutes maybe (work.py)."""

import msgspec
from starlette.responses import Response

from gateway.campaigns.bounds import ID_PATTERN
from gateway.console.books.cells import BOOKS
from gateway.console.books.checking import Item, of_invariant
from gateway.console.books.work import Progress, Work
from gateway.console.books.working import told
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.finance.verdict import judged
from reconciler.verdict.judging import Verdict

VERDICT = f"{BOOKS}/verdict"
_NO_CAMPAIGN = N_("A campaign’s id: small letters, digits and hyphens.")


async def show(visit: Visit) -> Response:
    """The last verdict of a campaign or of everything, how far it is, or that there is none."""
    campaign = visit.asked("campaign")
    if campaign and not ID_PATTERN.fullmatch(campaign):
        return _wrong(visit, campaign)
    return _render(visit, campaign, await visit.here.works.load(_name(campaign)))


async def ask(visit: Visit) -> Response:
    """Judge, unless that is being done."""
    campaign, here = visit.one("campaign"), visit.here
    if campaign and not ID_PATTERN.fullmatch(campaign):
        return _wrong(visit, campaign)

    async def do(progress: Progress) -> Verdict:
        return await judged(here, campaign=campaign or None, beginning=progress.tell)

    await here.works.begin(_name(campaign), visit.who.name, do)
    return visit.go(f"{VERDICT}?campaign={campaign}" if campaign else VERDICT)


def _items(found: Verdict | None, visit: Visit) -> list[Item]:
    return [of_invariant(one, visit.words) for one in found.invariants] if found else []


def _name(campaign: str) -> str:
    return f"verdict:{campaign}"


def _wrong(visit: Visit, campaign: str) -> Response:
    return _render(visit, campaign, None, {"campaign": visit.words.say(_NO_CAMPAIGN)})


def _render(visit: Visit, campaign: str, work: Work | None, errors: dict[str, str] | None = None) -> Response:
    found = msgspec.json.decode(work.result, type=Verdict) if work is not None and work.state == "done" else None
    return visit.render(
        "books_verdict",
        400 if errors else 200,
        campaign=campaign,
        work=told(work, visit.words) if work else None,
        found=found,
        items=sorted(_items(found, visit), key=lambda one: one.holds),  # what is broken comes first
        errors=errors or {},
        at=f"{VERDICT}?campaign={campaign}" if campaign else VERDICT,
    )


PAGES = (Page(path=VERDICT, show=show, act=ask, roles=("finance", "auditor"), menu=N_("Verdict"), section=N_("Books")),)
