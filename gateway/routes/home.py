"""Where a browser lands: it is led to the console."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.api.operation import ANYBODY, Operation


async def root(request: Request) -> Response:
    """Lead a browser to the console."""
    return RedirectResponse("/console")


routes = [
    Operation(
        "GET",
        "/",
        root,
        under="Operators",
        who=ANYBODY,
        gives={307: None},
        tells={"Location": "The path of the page."},
    ),
]
