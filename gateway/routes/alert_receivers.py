"""For admins: who is told of alerts."""

from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.alerts.kinds import KindName
from gateway.alerts.receivers import NAME_CHARS_MAX, Made, shown_address
from gateway.alerts.store import By, Receiver
from gateway.api.operation import Operation, Time
from gateway.campaigns.bounds import told_text
from gateway.routes.access import staff
from gateway.routes.alerts import time_or_none
from gateway.services import services
from gateway.wire import body, json_response, rfc3339, time_ms

MANAGE = ("admin",)
Name = Annotated[str, told_text(NAME_CHARS_MAX)]


class ReceiverView(msgspec.Struct, kw_only=True):
    """
    Who is told. Of a webhook's address only the host is shown; no *kinds* are all of them.

    *state* failed: turned off by itself, for *reason*. *secret* signs what is sent, and is shown once.
    """

    id: str
    by: By
    name: str
    address: str
    kinds: list[KindName]
    state: Literal["on", "off", "failed", "removed"]
    reason: str | None
    failing_since: Time | None
    last_sent_at: Time | None
    last_error: str | None
    made_by: str
    made_at: Time
    old_secret_until: Time | None
    secret: str | None = None


class ReceiverList(msgspec.Struct):
    """Everybody who is told."""

    items: list[ReceiverView]


class ReceiverBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who is to be told: a webhook's URL, or an e-mail address."""

    by: By
    name: Name
    address: Annotated[str, told_text(500)]
    kinds: tuple[KindName, ...] = ()


class MoveBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What becomes of a receiver."""

    to: Literal["on", "off", "removed"]


class TrialView(msgspec.Struct):
    """What became of a trial; *error* says why it did not arrive."""

    arrived: bool
    error: str | None


async def see_receivers(request: Request) -> Response:
    """Who is told of alerts."""
    await staff(request, *MANAGE)
    return json_response(ReceiverList([_receiver(each) for each in await services(request).receivers.list()]))


async def make_receiver(request: Request) -> Response:
    """Have somebody told. The secret of a webhook is in this answer and in no other."""
    who, here = await staff(request, *MANAGE), services(request)
    asked = await body(request, ReceiverBody, here.settings.body_bytes_max)
    made = await here.receivers.make(who, asked.by, asked.name, asked.address, asked.kinds)
    return json_response(_made(made), 201)


async def move_receiver(request: Request) -> Response:
    """Turn a receiver on or off, or remove it; what waits for one that is not on is dropped."""
    who, here = await staff(request, *MANAGE), services(request)
    asked = await body(request, MoveBody, here.settings.body_bytes_max)
    return json_response(_receiver(await here.receivers.move(who, request.path_params["receiver"], asked.to)))


async def rotate_secret(request: Request) -> Response:
    """Another secret for a webhook, in this answer and in no other; the one before signs too, for 24 hours."""
    who, here = await staff(request, *MANAGE), services(request)
    return json_response(_made(await here.receivers.rotate(who, request.path_params["receiver"])))


async def test_receiver(request: Request) -> Response:
    """Send a trial now, and say what became of it."""
    who, here = await staff(request, *MANAGE), services(request)
    tried = await here.receivers.test(who, request.path_params["receiver"])
    return json_response(TrialView(tried.reason is None, tried.reason))


def _receiver(each: Receiver, secret: str | None = None) -> ReceiverView:
    return ReceiverView(
        id=each.id,
        by=each.by,
        name=each.name,
        address=shown_address(each.by, each.address),
        kinds=each.kinds,  # type: ignore[arg-type]
        state=each.state,
        reason=each.reason,
        failing_since=time_or_none(each.failing_since),
        last_sent_at=time_or_none(each.last_sent_at),
        last_error=each.last_error,
        made_by=each.made_by,
        made_at=rfc3339(time_ms(each.made_at)),
        old_secret_until=time_or_none(each.old_until),
        secret=secret,
    )


def _made(made: Made) -> ReceiverView:
    return _receiver(made.receiver, made.secret or None)


_EXAMPLE = {"by": "webhook", "name": "On call", "address": "https://hooks.example.com/fairclaim", "kinds": ["breaks"]}

routes = [
    Operation("GET", "/v1/alert-receivers", see_receivers, under="Alerts", who=MANAGE, gives={200: ReceiverList}),
    Operation(
        "POST",
        "/v1/alert-receivers",
        make_receiver,
        under="Alerts",
        who=MANAGE,
        takes=ReceiverBody,
        example=_EXAMPLE,
        gives={201: ReceiverView},
    ),
    Operation(
        "POST",
        "/v1/alert-receivers/{receiver}/state",
        move_receiver,
        under="Alerts",
        who=MANAGE,
        takes=MoveBody,
        example={"to": "off"},
        gives={200: ReceiverView},
        refuses=("receiver_not_found", "invalid_state"),
    ),
    Operation(
        "POST",
        "/v1/alert-receivers/{receiver}/secret",
        rotate_secret,
        under="Alerts",
        who=MANAGE,
        gives={200: ReceiverView},
        refuses=("receiver_not_found", "invalid_state"),
    ),
    Operation(
        "POST",
        "/v1/alert-receivers/{receiver}/test",
        test_receiver,
        under="Alerts",
        who=MANAGE,
        gives={200: TrialView},
        refuses=("receiver_not_found",),
    ),
]
