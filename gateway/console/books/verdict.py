"""The verdict as a page that is green or says why not. It is judged when somebody asks, for minutes maybe (work.py)."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.responses import Response

from gateway.campaigns.bounds import ID_PATTERN
from gateway.console.books.cells import BOOKS
from gateway.console.books.work import Progress, Work
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.finance.verdict import judged
from reconciler.verdict.judging import Verdict

VERDICT = f"{BOOKS}/verdict"

INVARIANT_WORDS = {
    "units": N_("What was put in stock is in stock, or went out and did not come back; stock was never below zero."),
    "sequence": N_("State changes are numbered without a gap, and none twice."),
    "limits": N_("No holder, no day and no budget was ever above its limit."),
    "answers": N_("Each claim is one coupon of its holder."),
    "balanced": N_("Debits are credits in each currency, in each journal and in all."),
    "commitment": N_("What is committed is the worst case of the coupons that are out."),
    "control": N_("Each account is what the rows of the sub-ledger add up to."),
    "redemptions": N_("A redeemed coupon has one redemption that stands; none gave back more than it took."),
    "once": N_("A request that came again did nothing again."),
    "chain": N_("Every journal is as it was sealed, and none is missing."),
    "settled": N_("Nothing is in quarantine or suspense, no break is unresolved, no shard has stopped."),
    "live": N_("Redis is what the books make of it."),
    "totals": N_("The totals of each day are what was booked on it."),
}
"""Invariant → what holds."""

_TROUBLES = {
    "campaign_not_found": N_("There are no books of such a campaign."),
    "overloaded": N_("Another verdict is on its way, or this one takes too long. Try again in a minute."),
}
_FAILED = N_("It could not be judged: a server is away, or the work failed. The gateway’s log says more.")
_NO_CAMPAIGN = N_("A campaign’s id: small letters, digits and hyphens.")


async def show(visit: Visit) -> Response:
    """The last verdict of a campaign or of everything, how far it is, or that there is none."""
    campaign = visit.asked("campaign")
    errors = {} if not campaign or ID_PATTERN.fullmatch(campaign) else {"campaign": visit.words.say(_NO_CAMPAIGN)}
    found = await visit.here.works.load(_name(campaign)) if not errors else None
    return _render(visit, campaign, found, errors)


async def ask(visit: Visit) -> Response:
    """Judge, unless that is being done."""
    campaign = visit.one("campaign")
    if campaign and not ID_PATTERN.fullmatch(campaign):
        return _render(visit, campaign, None, {"campaign": visit.words.say(_NO_CAMPAIGN)})

    async def do(_: Progress) -> Verdict:
        return await judged(visit.here, campaign=campaign or None)

    await visit.here.works.begin(_name(campaign), visit.who.name, do)
    return visit.go(f"{VERDICT}?campaign={campaign}" if campaign else VERDICT)


def _name(campaign: str) -> str:
    return f"verdict:{campaign}"


def seconds_of(work: Work) -> float:
    """How long it took, or has taken so far."""
    return round(time.time() - work.began_s if work.is_running else work.took_s, 1)


def _render(visit: Visit, campaign: str, work: Work | None, errors: dict[str, str]) -> Response:
    words, values = visit.words, dict[str, Any]()
    if work is not None:
        values = {"began": datetime.fromtimestamp(work.began_s, UTC), "took": words.number(seconds_of(work))}
        values["trouble"] = words.say(_TROUBLES.get(work.trouble, _FAILED))
        if work.state == "done":
            values["found"] = msgspec.json.decode(work.result, type=Verdict)
    return visit.render(
        "books_verdict",
        400 if errors else 200,
        campaign=campaign,
        work=work,
        errors=errors,
        says=INVARIANT_WORDS,
        spelt=lambda value: msgspec.json.encode(value).decode(),
        **values,
    )


PAGES = (Page(path=VERDICT, show=show, act=ask, roles=("finance", "auditor"), menu=N_("Verdict"), section=N_("Books")),)
