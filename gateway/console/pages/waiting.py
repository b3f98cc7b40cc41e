"""What waits for a second person: for you to decide, and yours that somebody else has to."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from gateway.campaigns.register import Called, Register
from gateway.console.access import HOME
from gateway.console.accounting import account_called
from gateway.console.books.addresses import period_told
from gateway.console.isolating import isolated
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.pages.differing import Change, differences, label
from gateway.console.tables import Cell, Noted, Read, Sort, Table, csv_file, every_page
from gateway.console.tables import Shown as Part
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.proposals.asked import MAKERS, SAID_CHARS_MAX
from gateway.proposals.deciding import Proposals
from gateway.proposals.store import Proposal

WAITING, EXPORT = f"{HOME}/waiting", f"{HOME}/waiting.csv"
ROWS_MAX = 50
WHOSE = {"you": "you", "mine": "others"}
"""What waits for you, and what you made: which list, and for whom each in it waits."""
SORTS = {"made": Sort(N_("Made"), falls=True)}

KIND_WORDS = {
    "campaign_change": N_("Change of a campaign"),
    "stock_adjustment": N_("Stock in or out"),
    "revocation": N_("Revocation of many coupons"),
    "period_reopening": N_("Reopening of a period"),
    "manual_journal": N_("Journal by hand"),
}
_DONE = {
    "approved": N_("It is approved and done."),
    "rejected": N_("It is rejected."),
    "withdrawn": N_("It is taken back."),
}
_FAILED = Trouble(
    N_("It can’t be done any more."),
    N_("Something it rests on has changed since. Nothing was changed; it has to be proposed anew."),
)
_DECIDED = Trouble(N_("Somebody has decided it already."), N_("Nothing was changed. This is what waits now."))
_GONE = Trouble(N_("There is no such proposal."), N_("Nothing was changed. This is what waits now."))
_TROUBLES = {"proposal_failed": _FAILED, "invalid_state": _DECIDED, "proposal_not_found": _GONE}


class Link(NamedTuple):
    """A thing, and the page that shows it; none where *address* is empty."""

    text: str
    address: str = ""


class Shown(NamedTuple):
    """A proposal, the things it is *about*, what it would change, and what else there is to know."""

    proposal: Proposal
    kind: str
    about: list[Link]
    changes: list[Change]
    facts: list[tuple[str, Link]]


class _Place(NamedTuple):
    """After which proposal a page begins."""

    at: datetime
    id: str


async def show(visit: Visit) -> Response:
    """Both lists."""
    done = _DONE.get(visit.asked("done"))
    return await _render(visit, done=visit.words.say(done) if done else None)


async def decide(visit: Visit) -> Response:
    """Approve, reject or take back. Errors: Refusal."""
    number, said, who = visit.one("proposal"), visit.one("said"), visit.who
    proposals = _proposals(visit)
    try:
        match visit.one("step"):
            case "approve":
                done = await proposals.approve(number, said or None, who)
                visit.here.background.wake()
                if done.kind == "revocation":  # it is work that takes its time, and has a page
                    return visit.go(f"{HOME}/revoke-coupons/{number}")
                return visit.go(f"{WAITING}?done=approved")
            case "reject":
                await proposals.reject(number, said, who)
                return visit.go(f"{WAITING}?done=rejected")
            case "withdraw":
                await proposals.withdraw(number, said or None, who)
                return visit.go(f"{WAITING}?done=withdrawn")
    except Refusal as refusal:
        if refusal.code == "bad_request":  # of what the form sends only this can be wrong
            wrong = visit.words.say(N_("Say why, in 1 to %(chars)s characters."), chars=SAID_CHARS_MAX)
            return await _render(visit, 400, errors={f"said-{number}": wrong}, typed={number: said})
        if refusal.code not in _TROUBLES:
            raise
        return await _render(visit, refusal.status, notice=_TROUBLES[refusal.code])
    raise Refusal("bad_request", "The form could not be read.")


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    whose = visit.asked("whose")
    whose = whose if whose in WHOSE else ""
    lists = {each: await _list(visit, each) for each in WHOSE if whose in ("", each)}
    named = {str(campaign) for each in lists.values() for one in each.rows if (campaign := one.asked.get("campaign"))}
    called = await Register(visit.here.pool, visit.here.door).called(sorted(named))
    cards = {each: [shown(one, visit.words, called) for one in part.rows] for each, part in lists.items()}
    told = {"done": None, "typed": {}, "table": _table(visit, whose), "lists": lists, "cards": cards, **values}
    return visit.render("waiting", status, **told)


def _table(visit: Visit, whose: str) -> Table:
    """Of one of the lists, or of both where *whose* is empty."""
    return Table(visit, WAITING, SORTS, {"whose": whose}, EXPORT)


async def _list(visit: Visit, whose: str) -> Part[Proposal]:
    table = _table(visit, whose)
    return await table.page(_reader(visit, table, whose), _place, _Place, ROWS_MAX)


def _reader(visit: Visit, table: Table, whose: str) -> Read[_Place, Proposal]:
    is_mine = whose == "mine"

    async def read(after: _Place | None, limit: int) -> list[Proposal]:
        return await _proposals(visit).list(
            visit.who, limit, "pending", after, waiting=not is_mine, mine=is_mine, down=table.down
        )

    return read


def _place(here: Proposal) -> _Place:
    return _Place(here.made_at, here.id)


async def export(visit: Visit) -> Response:
    """
    What waits, for him and of his, as CSV: times in UTC, what it asks for and what is as JSON.

    Whose coupons are to be revoked is in it: who took it is in the audit log.
    """
    table = _table(visit, "")

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        for whose, who in WHOSE.items():
            async for page in every_page(_reader(visit, table, whose), _place):
                yield [_cells(each, who) for each in page]

    heads = ("id", "waits_for", "kind", "about", "reason", "made_by", "made_at", "waits_until", "asked", "before")
    return await csv_file(visit, "waiting", heads, pages(), Noted("waiting.exported", "waiting", {}))


def _cells(here: Proposal, waits_for: str) -> tuple[Cell, ...]:
    asked, before = (msgspec.json.encode(each).decode() for each in (here.asked, here.before))
    told = (here.id, waits_for, here.kind, here.subject, here.reason)
    return (*told, here.maker, here.made_at, here.expires_at, asked, before)


def _proposals(visit: Visit) -> Proposals:
    here = visit.here
    return Proposals(here.pool, here.door, here.settings)


def shown(here: Proposal, words: Words, called: Mapping[str, Called]) -> Shown:
    """*here* in words; *called* are the campaigns by their ids."""
    campaign = called.get(str(here.asked.get("campaign")), Called("", ""))
    about, facts = list(_about(here, words, called)), list(_facts(here, words))
    return Shown(
        here,
        KIND_WORDS[here.kind],
        about,
        changes_of(here.kind, here.asked, here.before, words, campaign.currency),
        facts,
    )


def _about(here: Proposal, words: Words, called: Mapping[str, Called]) -> Iterator[Link]:
    asked = here.asked
    if campaign := asked.get("campaign"):
        name = called[campaign].name if campaign in called else campaign
        yield Link(f"{isolated(name)} ({campaign})" if name != campaign else campaign, f"{HOME}/campaigns/{campaign}")
    if holder := asked.get("holder"):
        yield Link(holder, f"{HOME}/coupons?{urlencode({'holder': holder})}")
    if here.kind == "period_reopening":
        entity, _, day = here.subject.partition(":")[2].partition("/")
        days, address = period_told(entity, day, words)
        yield Link(f"{entity}: {days}", address)
    if here.kind == "manual_journal":
        yield Link(here.id, f"{HOME}/books/manual/{here.id}")


def _facts(here: Proposal, words: Words) -> Iterator[tuple[str, Link]]:
    """What else a journal by hand says; the others say it all in what they change."""
    if here.kind != "manual_journal":
        return
    journal = here.asked["journal"]
    yield N_("Legal entity"), Link(journal["entity"])
    yield N_("Effective date"), Link(words.day(date.fromisoformat(journal["effective_date"])))
    if journal.get("attachment"):
        yield N_("Voucher"), Link(journal["attachment"])
    if journal.get("about"):
        yield N_("About"), Link(journal["about"], f"{HOME}/campaigns/{journal['about'].partition('/')[0]}")
    if reverses := journal.get("reverses"):
        yield N_("Reverses"), Link(str(reverses), f"{HOME}/books/journals/{reverses}")


def changes_of(
    kind: str, asked: Mapping[str, Any], before: Mapping[str, Any], words: Words, currency: str
) -> list[Change]:
    """What a proposal of *kind* would change; of a journal by hand amount, credited account and debited account."""
    match kind:
        case "campaign_change":
            return _of_campaign(asked["change"], before, words, currency)
        case "stock_adjustment":
            left = before["stock"]
            return differences({"stock": left}, {"stock": left + asked["delta"]}, words)
        case "revocation":
            return [Change(label("coupons", words), words.number(before["coupons"]), words.number(0))]
        case "period_reopening":
            return differences({"state": before["state"]}, {"state": "open"}, words)
        case "manual_journal":
            return [
                Change(
                    amount(words, line["minor"], line["commodity"]),
                    *(account_called(line[side], words) for side in ("credit", "debit")),
                )
                for line in asked["journal"]["lines"]
            ]
    return []


def _of_campaign(asked: Mapping[str, Any], before: Mapping[str, Any], words: Words, currency: str) -> list[Change]:
    change = {name: value for name, value in asked.items() if name != "version"}
    if "limits" in change:  # limits that are not named stay
        change["limits"] = before["limits"] | change["limits"]
    old = {name: before.get(name) for name in change}
    return differences(old, change, words, currency)


def amount(words: Words, minor: int, commodity: str) -> str:
    """Minor units of a currency, or coupons."""
    return words.number(minor) if commodity.startswith("coupon:") else words.money(minor, commodity)


PAGES = (
    Page(path=WAITING, show=show, act=decide, roles=MAKERS, menu=N_("Waiting"), section=N_("Overview")),
    Page(path=EXPORT, show=export, roles=MAKERS, under=WAITING),
)
