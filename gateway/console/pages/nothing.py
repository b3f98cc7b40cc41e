"""What is below /console and is no page."""

from starlette.responses import Response

from gateway.console.page import Page, Visit
from gateway.errors import Refusal


async def nothing(visit: Visit) -> Response:
    """A page that says so. Errors: Refusal("not_found"), always."""
    raise Refusal("not_found")


NOTHING = Page(path="/console/{rest:path}", show=nothing, is_looked_at=False)
