"""What waits for a second person: for you to decide, and yours that somebody else has to."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.proposals.asked import MAKERS, SAID_CHARS_MAX
from gateway.proposals.deciding import Proposals
from gateway.proposals.store import Proposal

WAITING = f"{HOME}/waiting"
ROWS_MAX = 50
VALUE_CHARS_MAX = 300

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


class Change(NamedTuple):
    """A thing that would change: *before* and *after* it, either of them empty where there is nothing to say."""

    what: str
    before: str
    after: str


class Shown(NamedTuple):
    """A proposal and what it would change."""

    proposal: Proposal
    kind: str
    changes: list[Change]


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
                await proposals.approve(number, said or None, who)
                visit.here.background.wake()
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
    proposals, who = _proposals(visit), visit.who
    waiting = await proposals.list(who, ROWS_MAX, None, None, waiting=True)
    pending = await proposals.list(who, 4 * ROWS_MAX, "pending", None, waiting=False)
    mine = [each for each in pending if each.is_of(who)][:ROWS_MAX]
    lists = {
        "waiting": [_shown(each, visit.words) for each in waiting],
        "mine": [_shown(each, visit.words) for each in mine],
    }
    return visit.render("waiting", status, **{"done": None, "typed": {}, **lists, **values})


def _proposals(visit: Visit) -> Proposals:
    here = visit.here
    return Proposals(here.pool, here.door, here.settings)


def _shown(here: Proposal, words: Words) -> Shown:
    return Shown(here, KIND_WORDS[here.kind], changes_of(here, words))


def changes_of(here: Proposal, words: Words) -> list[Change]:
    """What *here* would change."""
    return list(_changes(here, words))


def _changes(here: Proposal, words: Words) -> Iterator[Change]:
    asked, before = here.asked, here.before
    match here.kind:
        case "campaign_change":
            change = {name: value for name, value in asked["change"].items() if name != "version"}
            if "limits" in change:  # limits that are not named stay
                change["limits"] = before["limits"] | change["limits"]
            for name, value in change.items():
                yield from _compared(name, before[name], value)
        case "stock_adjustment":
            left = before["stock"]
            yield Change(words.say(N_("stock")), words.number(left), words.number(left + asked["delta"]))
        case "revocation":
            yield Change(words.say(N_("coupons that are out")), words.number(before["coupons"]), words.number(0))
        case "period_reopening":
            yield Change(here.subject.partition(":")[2], before["state"], "open")
        case "manual_journal":
            for line in asked["journal"]["lines"]:
                is_money = not line["commodity"].startswith("coupon:")
                amount = words.money(line["minor"], line["commodity"]) if is_money else words.number(line["minor"])
                yield Change(amount, line["credit"], line["debit"])


def _compared(name: str, before: Any, after: Any) -> Iterator[Change]:
    """What is not the same in both, part by part."""
    if isinstance(before, dict) and isinstance(after, dict):
        for part in dict.fromkeys((*before, *after)):
            yield from _compared(f"{name}.{part}", before.get(part), after.get(part))
    elif before != after:
        yield Change(name, _spelt(before), _spelt(after))


def _spelt(value: Any) -> str:
    text = value if isinstance(value, str) else "–" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} …"


PAGES = (Page(path=WAITING, show=show, act=decide, roles=MAKERS, menu=N_("Waiting"), section=N_("Overview")),)
