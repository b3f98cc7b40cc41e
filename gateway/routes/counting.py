"""Counts what an endpoint answers, by outcome."""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import Refusal
from gateway.services import services
from gateway.telemetry import Metric

Endpoint = Callable[[Request], Awaitable[Response]]


def counted(metric: Metric) -> Callable[[Endpoint], Endpoint]:
    """An endpoint whose answers count in *metric*: done, replayed, or the code of its refusal."""

    def around(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def counting(request: Request) -> Response:
            telemetry = services(request).telemetry
            try:
                response = await endpoint(request)
            except Refusal as refusal:
                telemetry.answered(metric, refusal.code)
                raise
            telemetry.answered(metric, "replayed" if "idempotency-replayed" in response.headers else "done")
            return response

        return counting

    return around
