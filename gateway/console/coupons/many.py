"""Revoking many coupons at once: how many it would be, proposed here, decided by somebody else on the page Waiting."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from secrets import token_urlsafe
from typing import Any, NamedTuple

from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.coupons.words import PROPOSAL_WORDS, TROUBLES
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.console.tables import Cell, Noted, Read, Sort, Table, csv_file, every_page
from gateway.errors import Refusal
from gateway.issuing.revocations import REASON_CHARS_MAX, Revocation, RevocationBody, Revocations
from gateway.proposals.asked import MassRevocation
from gateway.proposals.deciding import Proposals
from gateway.proposals.store import Proposal

REVOKE_MANY = f"{HOME}/revoke-coupons"
EXPORT = f"{REVOKE_MANY}.csv"
ROWS_MAX = 10
SORTS = {"made": Sort(N_("Made"), falls=True)}
_WRONG = {
    "campaign": N_("The id of a campaign, or nothing: then a holder is needed."),
    "holder": N_("A holder, or nothing: then a campaign is needed."),
    "reason": N_("Say why, in 1 to %(chars)s characters."),
}


class _Place(NamedTuple):
    """After which proposal a page begins."""

    at: datetime
    id: str


async def show(visit: Visit) -> Response:
    """The form, which the address may fill in, with how many coupons that is; and what was proposed last."""
    return await _render(visit, typed={name: visit.asked(name) for name in _WRONG})


async def propose(visit: Visit) -> Response:
    """Propose it, or only say how many it would be. Errors: Refusal."""
    typed = {name: visit.one(name) for name in _WRONG}
    if visit.one("step") == "look":
        return await _render(visit, typed=typed)
    if not typed["campaign"] and not typed["holder"]:
        return await _render(visit, 400, typed=typed, errors={"campaign": _said(visit, "campaign")})
    asked = MassRevocation(reason=typed["reason"], campaign=typed["campaign"] or None, holder=typed["holder"] or None)
    try:
        made, _ = await _proposals(visit).make(visit.one("key") or "none", asked, visit.who)
    except Refusal as refusal:
        if refusal.code == "bad_request":
            field = str(refusal.context.get("field", "reason"))
            field = field if field in _WRONG else "reason"
            return await _render(visit, 400, typed=typed, errors={field: _said(visit, field)})
        if refusal.code not in TROUBLES:
            raise
        return await _render(visit, refusal.status, typed=typed, notice=TROUBLES[refusal.code])
    return visit.go(f"{REVOKE_MANY}/{made.id}")


async def show_one(visit: Visit) -> Response:
    """One proposal to revoke many: who has to decide, and once that is done how far the work is. Errors: Refusal."""
    try:
        here = await _proposals(visit).see(visit.request.path_params["proposal"], visit.who)
    except Refusal as refusal:
        raise Refusal("not_found") if refusal.code == "proposal_not_found" else refusal from None
    if here.kind != "revocation":
        raise Refusal("not_found")
    work = await _work(visit, here)
    moving = here.state == "approved" or (work is not None and work.state != "done")
    return visit.render(
        "coupons_revocation",
        at=f"{REVOKE_MANY}/{here.id}",
        proposal=here,
        work=work,
        moving=moving,
        is_mine=here.is_of(visit.who),
        may_decide=visit.who.may("marketer") and not here.is_of(visit.who),
        states=PROPOSAL_WORDS,
    )


async def _work(visit: Visit, here: Proposal) -> Revocation | None:
    """The work of an approved one, once it is asked for."""
    number = (here.outcome or {}).get("revocation")
    if here.state != "applied" or not number:
        return None
    return await Revocations(visit.here.pool, visit.here.door).see(str(number))


async def _out(visit: Visit, typed: dict[str, str]) -> int | None:
    """How many coupons would be revoked now; None where nothing is named, or nothing that there is."""
    campaign, holder = typed["campaign"] or None, typed["holder"] or None
    if campaign is None and holder is None:
        return None
    try:
        return await Revocations(visit.here.pool, visit.here.door).plan(RevocationBody("how many", campaign, holder))
    except Refusal as refusal:
        if refusal.code not in ("bad_request", "campaign_not_found"):
            raise
        return None


def _proposals(visit: Visit) -> Proposals:
    here = visit.here
    return Proposals(here.pool, here.door, here.settings)


def _said(visit: Visit, field: str) -> str:
    return visit.words.say(_WRONG[field]) % {"chars": REASON_CHARS_MAX}


def _table(visit: Visit) -> Table:
    return Table(visit, REVOKE_MANY, SORTS, {}, EXPORT)


def _reader(visit: Visit, table: Table) -> Read[_Place, Proposal]:
    async def read(after: _Place | None, limit: int) -> list[Proposal]:
        return await _proposals(visit).list(visit.who, limit, None, after, kind="revocation", down=table.down)

    return read


def _place(here: Proposal) -> _Place:
    return _Place(here.made_at, here.id)


async def export(visit: Visit) -> Response:
    """Every proposal to revoke many, as CSV: times in UTC; who took it is in the audit log."""

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(_reader(visit, _table(visit)), _place):
            yield map(_cells, page)

    heads = ("id", "about", "reason", "state", "coupons", "made_by", "made_at", "decided_by", "decided_at", "said")
    return await csv_file(visit, "revocations", heads, pages(), Noted("revocations.exported", "revocations", {}))


def _cells(here: Proposal) -> tuple[Cell, ...]:
    told = (here.id, here.subject, here.reason, here.state, here.before["coupons"])
    return (*told, here.maker, here.made_at, here.checker, here.decided_at, here.said)


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    key = visit.one("key") or f"console-{token_urlsafe(18)}"
    table = _table(visit)
    shown = await table.page(_reader(visit, table), _place, _Place, ROWS_MAX)
    count, out = await _out(visit, values["typed"]), ""
    if count is not None:
        out = visit.words.say_many(
            "%(num)s coupon is out and would be revoked.", "%(num)s coupons are out and would be revoked.", count
        )
    return visit.render(
        "coupons_revoke",
        status,
        key=key,
        out=out,
        table=table,
        shown=shown,
        states=PROPOSAL_WORDS,
        at=REVOKE_MANY,
        **values,
    )
