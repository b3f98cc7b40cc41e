"""
The outermost layer of every request that reaches Starlette: request id in, request id and problem out.

Plain ASGI. (BaseHTTPMiddleware costs a task group and a stream a request: 13.5 → 2.0 thousand req/s.)
"""

import logging
import re
from itertools import count
from secrets import token_hex
from time import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.answers import Answer, problem_answer
from gateway.errors import Refusal

log = logging.getLogger("fairclaim.edge")

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_OURS, _NUMBERS = token_hex(4), count(10_000_000)  # unique by its number: no draw of randomness a request
_STATUS_CODES = {404: "not_found", 405: "method_not_allowed"}


def request_id_for(given: str | None) -> str:
    """The caller's own request id where it is short and harmless, else a new one."""
    return given if given is not None and _REQUEST_ID.match(given) else f"{_OURS}{next(_NUMBERS)}"


def problem_response(refusal: Refusal, request_id: str, retry_after_s_max: int) -> Response:
    """The answer to a refused request, for Starlette to send."""
    return as_response(problem_answer(refusal, request_id, round(time() * 1000), retry_after_s_max))


def as_response(answer: Answer) -> Response:
    """An answer as Starlette sends it: the header lines as they are, then Content-Length."""
    response = Response(answer.body, answer.status)
    lines = (line.split(b": ", 1) for line in answer.head.split(b"\r\n")[:-1])
    response.raw_headers = [
        *((name, value) for name, value in lines),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    return response


class Edge:
    """Gives every request an id, and turns whatever is raised into a problem; only our own log sees a stack."""

    def __init__(self, app: ASGIApp, retry_after_s_max: int) -> None:
        self._app, self._retry_after_s_max = app, retry_after_s_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request_id = request_id_for(request.headers.get("x-request-id"))
        request.state.request_id = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                services: Any = getattr(scope["app"].state, "services", None) if "app" in scope else None
                if services is not None:
                    services.telemetry.response(message["status"])
                if log.isEnabledFor(logging.DEBUG):  # a line a request is for looking closely, not for a rush
                    about = {"request_id": request_id, "method": request.method, "path": request.url.path}
                    log.debug("answered", extra={**about, "status": message["status"]})
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Refusal as refusal:
            if started:  # the head is out: cut it off, so that nobody takes a part for the whole
                about = {"request_id": request_id, "path": request.url.path, "reason": refusal.detail}
                log.warning("an answer was cut off", extra=about)
                raise
            response = problem_response(refusal, request_id, self._retry_after_s_max)
            await response(scope, receive, send_with_id)
        except Exception:
            log.exception("request failed", extra={"request_id": request_id, "path": request.url.path})
            if started:
                raise
            await problem_response(Refusal("internal"), request_id, 1)(scope, receive, send_with_id)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such route, wrong method) as problems."""
    assert isinstance(error, HTTPException)
    refusal = Refusal(_STATUS_CODES.get(error.status_code, "bad_request"))
    response = problem_response(refusal, request.state.request_id, 1)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    if error.status_code == 405:
        response.headers["allow"] = ", ".join(sorted(_methods(request)))
    return response


def _methods(request: Request) -> set[str]:
    """The methods of this path, over all of its routes: Starlette names those of the first one."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
