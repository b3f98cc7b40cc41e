"""What is below /console and is no page."""

from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.page import Page, Visit
from gateway.errors import Refusal


async def nothing(visit: Visit) -> Response:
    """A page that says so, but to the first one with a slash behind it. Errors: Refusal("not_found")."""
    if not visit.request.path_params["rest"]:
        return visit.go(HOME)
    raise Refusal("not_found")


NOTHING = Page(path="/console/{rest:path}", show=nothing, is_looked_at=False)
