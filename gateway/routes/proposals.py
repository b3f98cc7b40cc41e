"""For marketers and finance: what moves money, proposed by one person and approved by another."""

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Operation, Parameter, Time
from gateway.campaigns.bounds import told_text
from gateway.issuing.asked import refuse
from gateway.proposals.asked import MAKERS, READERS, SAID_CHARS_MAX, STATES, Asked, Kind, State
from gateway.proposals.deciding import Proposals
from gateway.proposals.store import Proposal
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.services import services
from gateway.wire import body, idempotency_key, json_response, rfc3339, time_ms

_EXAMPLE = {"kind": "stock_adjustment", "campaign": "flash-1", "delta": 500, "reason": "second pallet"}


class ProposalView(msgspec.Struct, kw_only=True):
    """
    A proposal and how far it is.

    *asked* is the request; *before* what it would change, as it was when it was made; *outcome* what it did, or `code`
    and `detail` of why it failed. A manual journal does not expire.
    """

    id: str
    kind: Kind
    about: str
    state: State
    asked: dict[str, Any]
    before: dict[str, Any]
    reason: str
    made_by: str
    made_at: Time
    expires_at: Time | None
    decided_by: str | None
    decided_at: Time | None
    said: str | None
    outcome: dict[str, Any] | None


class ProposalList(Page[ProposalView]):
    """Proposals, the last made first."""


class SaidBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of an approval or a withdrawal: what there is to say, if anything."""

    said: Annotated[str | None, told_text(SAID_CHARS_MAX)] = None


class RejectionBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a rejection: why."""

    said: Annotated[str, told_text(SAID_CHARS_MAX)]


class _Place(NamedTuple):
    """The last one shown."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: Annotated[str, msgspec.Meta(pattern="^(pr|mj)_[0-9a-f]+$", max_length=64)]


def _proposals(request: Request) -> Proposals:
    here = services(request)
    return Proposals(here.pool, here.door, here.settings)


async def make_proposal(request: Request) -> Response:
    """
    Propose what moves money, once an Idempotency-Key; it is done when somebody else approves it.

    It is checked in full now, and again then. One of a kind waits for the same campaign, holder or period at most.
    """
    who = await staff(request, *MAKERS)
    key = idempotency_key(request)
    asked: Asked = await body(request, Asked, services(request).settings.body_bytes_max)  # type: ignore[arg-type]
    made, replayed = await _proposals(request).make(key, asked, who)
    headers = {"location": f"/v1/proposals/{made.id}"}
    return json_response(_view(made), 201, headers | ({"idempotency-replayed": "true"} if replayed else {}))


async def see_proposals(request: Request) -> Response:
    """Proposals that you may see, the last made first; those that wait for you, with `waiting_for=me`."""
    who = await staff(request, *READERS)
    state, waiting = query_value(request, "state"), query_value(request, "waiting_for")
    if state is not None and state not in STATES:
        raise refuse("state", f"one of {', '.join(STATES)}")
    if waiting not in (None, "me"):
        raise refuse("waiting_for", "me, or leave it out")
    limit, of_list = page_limit(request, services(request).settings.page_rows_max), f"proposals {state} {waiting}"
    after = read_cursor(request, _Place, of_list)
    found = await _proposals(request).list(who, limit + 1, state, after, waiting=waiting is not None)
    last = found[limit - 1] if len(found) > limit else None
    more = last and make_cursor(_Place(last.made_at, last.id), of_list)
    return json_response({"items": [_view(each) for each in found[:limit]], "next": more})


async def see_proposal(request: Request) -> Response:
    """A proposal as it is now."""
    who = await staff(request, *READERS)
    return json_response(_view(await _proposals(request).see(request.path_params["proposal"], who)))


async def approve_proposal(request: Request) -> Response:
    """
    Approve what somebody else proposed, and do it.

    Asking again does nothing more. 409 `proposal_failed` where it can't be done any more, with `reason`, the code of
    why: nothing was changed, and it has to be proposed anew. After 503 it is done by itself, if it is `approved`.
    """
    who = await staff(request, *MAKERS)
    asked = await body(request, SaidBody, services(request).settings.body_bytes_max)
    done = await _proposals(request).approve(request.path_params["proposal"], asked.said, who)
    services(request).background.wake()
    return json_response(_view(done))


async def reject_proposal(request: Request) -> Response:
    """Reject for good what somebody else proposed."""
    who = await staff(request, *MAKERS)
    asked = await body(request, RejectionBody, services(request).settings.body_bytes_max)
    return json_response(_view(await _proposals(request).reject(request.path_params["proposal"], asked.said, who)))


async def withdraw_proposal(request: Request) -> Response:
    """Take back one's own proposal."""
    who = await staff(request, *MAKERS)
    asked = await body(request, SaidBody, services(request).settings.body_bytes_max)
    return json_response(_view(await _proposals(request).withdraw(request.path_params["proposal"], asked.said, who)))


def _view(here: Proposal) -> ProposalView:
    return ProposalView(
        id=here.id,
        kind=here.kind,
        about=here.subject,
        state=here.state,
        asked=here.asked,
        before=here.before,
        reason=here.reason,
        made_by=here.maker,
        made_at=rfc3339(time_ms(here.made_at)),
        expires_at=_time(here.expires_at),
        decided_by=here.checker,
        decided_at=_time(here.decided_at),
        said=here.said,
        outcome=here.outcome,
    )


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(time_ms(at))


_DECIDED = ("proposal_not_found", "invalid_state")

routes = [
    Operation(
        "POST",
        "/v1/proposals",
        make_proposal,
        under="Proposals",
        who=MAKERS,
        takes=Asked,
        example=_EXAMPLE,
        gives={201: ProposalView},
        refuses=(
            "not_found",
            "campaign_not_found",
            "invalid_state",
            "frozen",
            "stock_floor",
            "version_conflict",
            "proposal_pending",
            "idempotency_key_reused",
            "rate_limited",
        ),
        once=True,
        tells={"Location": "The path of the proposal."},
    ),
    Operation(
        "GET",
        "/v1/proposals",
        see_proposals,
        under="Proposals",
        who=READERS,
        query=(
            Parameter("state", State, "Only those in this state."),
            Parameter("waiting_for", Literal["me"], "Only those that you may approve or reject now."),
            *PAGE,
        ),
        gives={200: ProposalList},
    ),
    Operation(
        "GET",
        "/v1/proposals/{proposal}",
        see_proposal,
        under="Proposals",
        who=READERS,
        gives={200: ProposalView},
        refuses=("proposal_not_found",),
    ),
    Operation(
        "POST",
        "/v1/proposals/{proposal}/approve",
        approve_proposal,
        under="Proposals",
        who=MAKERS,
        takes=SaidBody,
        example={"said": "As agreed with the brand"},
        gives={200: ProposalView},
        refuses=(*_DECIDED, "proposal_failed"),
    ),
    Operation(
        "POST",
        "/v1/proposals/{proposal}/reject",
        reject_proposal,
        under="Proposals",
        who=MAKERS,
        takes=RejectionBody,
        example={"said": "The pallet is another campaign's"},
        gives={200: ProposalView},
        refuses=_DECIDED,
    ),
    Operation(
        "POST",
        "/v1/proposals/{proposal}/withdraw",
        withdraw_proposal,
        under="Proposals",
        who=MAKERS,
        takes=SaidBody,
        gives={200: ProposalView},
        refuses=_DECIDED,
    ),
]
