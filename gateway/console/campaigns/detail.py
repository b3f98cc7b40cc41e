"""One campaign: what it says, how it stands, what it moved, and what is done with it."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from starlette.responses import Response

from gateway.campaigns.bounds import ID_PATTERN, STOCK_REASON_CHARS_MAX
from gateway.campaigns.life import ALLOWED, State
from gateway.campaigns.register import Called, Channel
from gateway.campaigns.service import Seen
from gateway.codes import STOCK_MAX
from gateway.console.campaigns.acts import acts
from gateway.console.campaigns.curve import HEIGHT, WIDTH, curve
from gateway.console.campaigns.listing import CAMPAIGNS, SEE, STATE_WORDS, register_of, status
from gateway.console.campaigns.sentence import sentence
from gateway.console.campaigns.wizard import MARKETER, campaigns_of
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.pages.waiting import Shown, shown
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.forms import Errors
from gateway.proposals.asked import READERS, StockAdjustment
from gateway.proposals.deciding import Proposals
from lua.keys import CampaignId

CURVE_PARTS = 120
ACTS_MAX = 10
STEPS: Mapping[str, State] = {
    "publish": State.SCHEDULED,
    "pause": State.PAUSED,
    "resume": State.ACTIVE,
    "end": State.ENDED,
    "archive": State.ARCHIVED,
}
_DONE = {
    "created": N_("The draft is made. Nobody sees it before it is started."),
    "publish": N_("It is started: it is active from its start to its end."),
    "pause": N_("It is paused."),
    "resume": N_("It goes on."),
    "end": N_("It is ended."),
    "archive": N_("It is in the archive."),
    "changed": N_("The change is made."),
    "same": N_("Nothing was different, so nothing was changed."),
    "proposed": N_("It is proposed. Somebody else has to approve it, on the page Waiting."),
}
_SO_LONG_AS: Mapping[str, tuple[State, ...]] = {
    "created": (State.DRAFT,),
    "publish": (State.SCHEDULED, State.ACTIVE),
    "pause": (State.PAUSED,),
    "resume": (State.SCHEDULED, State.ACTIVE),
    "end": (State.ENDED,),
    "archive": (State.ARCHIVED,),
}
"""What was done → the states in which it is still so: the page goes on by itself, and others act too."""
_MOVED = Trouble(
    N_("That can’t be done in this state."),
    N_("Nothing was changed. Somebody may have been faster; this is how it stands now."),
)
_OVER = Trouble(
    N_("Its time is over before it began."),
    N_("Nothing was changed. Give it another end, under Change; then it can be started."),
)
PENDING = Trouble(
    N_("A proposal of this kind waits already."),
    N_("Nothing was done. It has to be decided or taken back first, on the page Waiting."),
)


def campaign_of(visit: Visit) -> CampaignId:
    """The campaign in the path. Errors: Refusal("campaign_not_found"), also for what can't be an id."""
    text = visit.request.path_params["campaign"]
    if not ID_PATTERN.fullmatch(text):
        raise Refusal("campaign_not_found")
    return CampaignId(text)


async def show(visit: Visit) -> Response:
    """The page."""
    return await _render(visit)


async def act(visit: Visit) -> Response:
    """Move it through its life, or propose stock in or out. Errors: Refusal."""
    step = visit.one("step")
    if step == "stock":
        return await _propose_stock(visit)
    if step not in STEPS:
        raise Refusal("bad_request", "The form could not be read.")
    campaign = campaign_of(visit)
    try:
        await campaigns_of(visit).set_state(campaign, STEPS[step], visit.who.actor)
    except Refusal as refusal:
        if refusal.code != "invalid_state":
            raise
        is_over = refusal.context.get("from") == State.DRAFT
        return await _render(visit, 409, notice=_OVER if is_over else _MOVED)
    return visit.go(f"{CAMPAIGNS}/{campaign}?done={step}")


async def _propose_stock(visit: Visit) -> Response:
    campaign, words, errors = campaign_of(visit), visit.words, Errors()
    count = words.read_number(visit.one("count"))
    if count is None or count != count.to_integral_value() or not 1 <= count <= STOCK_MAX:
        errors["count"] = words.say(N_("A whole number from 1 to %(most)s"), most=words.number(STOCK_MAX))
    reason, way = visit.one("reason"), visit.one("way")
    if not reason or len(reason) > STOCK_REASON_CHARS_MAX:
        errors["reason"] = words.say(N_("Say why, in 1 to %(chars)s characters."), chars=STOCK_REASON_CHARS_MAX)
    if errors or count is None:
        return await _render(visit, 400, errors=errors)
    delta = -int(count) if way == "out" else int(count)
    asked = StockAdjustment(campaign=campaign, delta=delta, reason=reason)
    try:
        await proposals_of(visit).make(visit.one("key") or token_hex(8), asked, visit.who)
    except Refusal as refusal:
        match refusal.code:
            case "stock_floor":
                left = words.number(refusal.context["stock"])
                errors["count"] = words.say(N_("Only %(left)s are left"), left=left)
            case "bad_request" if refusal.context.get("field") == "reason":
                errors["reason"] = words.say(N_("Say why, in 1 to %(chars)s characters."), chars=STOCK_REASON_CHARS_MAX)
            case "bad_request":
                errors["count"] = words.say(N_("More than a campaign of this worth may have"))
            case "proposal_pending":
                return await _render(visit, 409, notice=PENDING)
            case "invalid_state":
                return await _render(visit, 409, notice=_MOVED)
            case _:
                raise
        return await _render(visit, 409 if refusal.code == "stock_floor" else 400, errors=errors)
    return visit.go(f"{CAMPAIGNS}/{campaign}?done=proposed")


def proposals_of(visit: Visit) -> Proposals:
    """What takes two people."""
    return Proposals(visit.here.pool, visit.here.door, visit.here.settings)


async def _render(visit: Visit, code: int = 200, **values: Any) -> Response:
    seen, register = await campaigns_of(visit).see(campaign_of(visit)), register_of(visit)
    channels = await register.channels(seen)
    moves = await register.stock_moved(seen, CURVE_PARTS)
    past, moved = await register.versions(seen.id, ACTS_MAX + 1), await register.adjustments(seen.id, ACTS_MAX)
    proposals, said = await _pending(visit, seen), visit.asked("done")
    is_so = bool(proposals) if said == "proposed" else seen.effective in _SO_LONG_AS.get(said, tuple(State))
    done = _DONE.get(said) if is_so else None
    given = {
        **about(visit, seen),
        "done": visit.words.say(done) if done and code == 200 else None,
        "figures": _figures(visit, seen, channels),
        "channels": [(each, _share(each, channels, visit.words)) for each in channels],
        "curve": curve(moves, CURVE_PARTS),
        "box": (WIDTH, HEIGHT),
        "acts": acts(past, moved, visit.words, ACTS_MAX),
        "proposals": proposals,
        "steps": _steps(seen) if visit.who.may("marketer") else [],
        "typed": {name: visit.one(name) for name in ("way", "count", "reason")},
        "key": token_hex(8),
        "reason_chars_max": STOCK_REASON_CHARS_MAX,
    }
    return visit.render("campaigns/detail", code, **{**given, **values})


def about(visit: Visit, seen: Seen) -> dict[str, Any]:
    """What every page of one campaign shows of it."""
    left = _left(seen)
    return {
        "seen": seen,
        "stands": status(seen.effective, left),
        "state_words": STATE_WORDS,
        "says": sentence(seen.definition, visit.words),
        "may_act": visit.who.may("marketer"),
        "may_change": visit.who.may("marketer") and seen.effective not in (State.ENDED, State.ARCHIVED),
    }


def _left(seen: Seen) -> int | None:
    known = bool(seen.looks) and all(look.ready for look in seen.looks)
    return sum(look.stock for look in seen.looks) if known else None


def _share(of: Channel, channels: list[Channel], words: Words) -> str:
    total = sum(each.claimed for each in channels)
    return words.share(round(of.claimed * 10_000 / total)) if total else "–"


def _figures(visit: Visit, seen: Seen, channels: list[Channel]) -> list[tuple[str, str, str]]:
    """Label, value, and what the value rests on."""
    words, left = visit.words, _left(seen)
    claimed = sum(look.claimed for look in seen.looks) if left is not None else None
    total = None if left is None or claimed is None else left + claimed
    share = words.share(claimed * 10_000 // total) if claimed is not None and total else ""
    minor = sum(each.minor for each in channels)
    redeemed = sum(each.redeemed for each in channels)

    def number(value: int | None) -> str:
        return "–" if value is None else words.number(value)

    drafted = seen.definition.stock if seen.effective is State.DRAFT else total
    return [
        (N_("Coupons in all"), number(drafted), ""),
        (N_("Claimed"), number(claimed), share),
        (N_("Left"), number(left), words.say(N_("in Redis, now"))),
        (N_("Redemptions"), number(redeemed), words.say(N_("by the books"))),
        (N_("Given away"), words.money(minor, seen.definition.currency), words.say(N_("by the books"))),
    ]


async def _pending(visit: Visit, seen: Seen) -> list[Shown]:
    """What waits for a second person, and what it would change."""
    if not visit.who.may(*READERS):
        return []
    found = await proposals_of(visit).waiting_about(f"campaign:{seen.id}", visit.who)
    called = {str(seen.id): Called(seen.definition.name, seen.definition.currency)}
    return [shown(each, visit.words, called) for each in found]


def _steps(seen: Seen) -> list[str]:
    """The steps that lead on from its state, but for those that the clock takes."""
    if seen.effective is State.DRAFT:
        return ["publish", "archive"] if seen.now_ms < seen.definition.ends_ms else ["archive"]
    return [step for step, to in STEPS.items() if to in ALLOWED[seen.effective] and step != "publish"]


PAGES = (Page(path=f"{CAMPAIGNS}/{{campaign}}", show=show, act=act, roles=SEE, actors=MARKETER, under=CAMPAIGNS),)
