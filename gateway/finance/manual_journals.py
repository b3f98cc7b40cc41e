"""For finance: journals that people make, by one who drafts them and another who approves them."""

from datetime import date, datetime
from typing import Annotated, Any, NamedTuple, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Operation, Parameter, Time
from gateway.finance.asking import ENTITY, READERS, text_of
from gateway.finance.drafted import ManualJournal, State
from gateway.finance.drafts import Draft, DraftLine
from gateway.finance.making import ManualJournals
from gateway.issuing.asked import refuse
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, read_cursor
from gateway.services import services
from gateway.wire import body, idempotency_key, json_response
from reconciler.books.asked import told
from reconciler.ordering import Place

_STATE = Parameter("state", State, "Only those in this state.")
_EXAMPLE = {
    "effective_date": "2026-11-30",
    "reason": "Paid out to m-1 for November",
    "attachment": "bank statement 2026-11, page 3",
    "lines": [{"debit": "payable:m-1", "credit": "clearing:bank", "commodity": "CNY", "minor": 1250000}],
}


class ManualJournalView(msgspec.Struct, kw_only=True):
    """
    A journal that a person made and how far it is; *journal* is its number in the books once it is posted.

    *refused* is why it was rejected, or could not be posted; one that nobody checked was taken back by who made it.
    """

    id: str
    entity: str
    effective_date: date
    about: str | None
    reverses: int | None
    settles: str | None
    reason: str
    attachment: str
    lines: list[DraftLine]
    state: State
    made_by: str
    made_at: Time
    checked_by: str | None
    checked_at: Time | None
    refused: str | None
    journal: int | None


class ManualJournalList(Page[ManualJournalView]):
    """Manual journals, the last drafted first."""


class RejectBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a rejection."""

    reason: str


class NoBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Nothing: no body, or the empty object."""


class _Place(NamedTuple):
    """The last one shown."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: Annotated[str, msgspec.Meta(pattern="^mj_[0-9a-f]+$", max_length=64)]


async def draft_manual_journal(request: Request) -> Response:
    """
    Draft a journal, once an Idempotency-Key; it is posted when somebody else approves it.

    Give lines, or the number of a manual journal that it reverses.
    """
    who = await staff(request, "finance")
    key, here = idempotency_key(request), services(request)
    draft = await body(request, Draft, here.settings.body_bytes_max)
    made, replayed = await ManualJournals(here.pool).draft(key, draft, who)
    headers = {"location": f"/v1/ledger/manual-journals/{made.id}"}
    return json_response(_view(made), 201, headers | ({"idempotency-replayed": "true"} if replayed else {}))


async def see_manual_journals(request: Request) -> Response:
    """Manual journals, the last drafted first: all of them, or those in one state or of one entity."""
    await staff(request, *READERS)
    here, state, entity = services(request), text_of(request, "state"), text_of(request, "entity")
    if state is not None and state not in get_args(State):
        raise refuse("state", f"one of {', '.join(get_args(State))}")
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"manual {state} {entity}"
    after = read_cursor(request, _Place, of_list)
    place = None if after is None else Place(*after)
    found = await ManualJournals(here.pool).list(limit + 1, state, entity, after=place)
    last = found[limit - 1] if len(found) > limit else None
    more = last and make_cursor(_Place(last.made_at, last.id), of_list)
    return json_response({"items": [_view(each) for each in found[:limit]], "next": more})


async def see_manual_journal(request: Request) -> Response:
    """A manual journal as it is now."""
    await staff(request, *READERS)
    return json_response(_view(await ManualJournals(services(request).pool).see(request.path_params["manual"])))


async def approve_manual_journal(request: Request) -> Response:
    """Approve what somebody else drafted: it is posted within about a second."""
    who, here = await staff(request, "finance"), services(request)
    await body(request, NoBody, here.settings.body_bytes_max)
    return json_response(_view(await ManualJournals(here.pool).approve(request.path_params["manual"], who)))


async def reject_manual_journal(request: Request) -> Response:
    """Reject a draft for good, or take back one's own."""
    who, here = await staff(request, "finance"), services(request)
    asked = await body(request, RejectBody, here.settings.body_bytes_max)
    done = await ManualJournals(here.pool).reject(request.path_params["manual"], asked.reason, who)
    return json_response(_view(done))


def _view(here: ManualJournal) -> dict[str, Any]:
    shown = msgspec.structs.asdict(here)
    times = {name: told(shown[name]) if shown[name] else None for name in ("made_at", "checked_at")}
    return shown | times


routes = [
    Operation(
        "POST",
        "/v1/ledger/manual-journals",
        draft_manual_journal,
        under="Ledger",
        who=("finance",),
        takes=Draft,
        example=_EXAMPLE,
        gives={201: ManualJournalView},
        refuses=("not_found", "campaign_not_found", "invalid_state", "idempotency_key_reused"),
        once=True,
        tells={"Location": "The path of the draft."},
    ),
    Operation(
        "GET",
        "/v1/ledger/manual-journals",
        see_manual_journals,
        under="Ledger",
        who=READERS,
        query=(_STATE, ENTITY, *PAGE),
        gives={200: ManualJournalList},
        refuses=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/ledger/manual-journals/{manual}",
        see_manual_journal,
        under="Ledger",
        who=READERS,
        gives={200: ManualJournalView},
        refuses=("not_found",),
    ),
    Operation(
        "POST",
        "/v1/ledger/manual-journals/{manual}/approve",
        approve_manual_journal,
        under="Ledger",
        who=("finance",),
        takes=NoBody,
        gives={200: ManualJournalView},
        refuses=("not_found", "invalid_state"),
    ),
    Operation(
        "POST",
        "/v1/ledger/manual-journals/{manual}/reject",
        reject_manual_journal,
        under="Ledger",
        who=("finance",),
        takes=RejectBody,
        example={"reason": "The voucher is of another month"},
        gives={200: ManualJournalView},
        refuses=("not_found", "invalid_state"),
    ),
]
