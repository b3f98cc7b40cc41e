"""
A route with everything a caller has to know of it: the one source of /openapi.json.

    Operation("POST", "/v1/campaigns", create, under="Marketers", who=("marketer",), takes=Definition,
              gives={201: StaffView}, refuses=("campaign_exists",))

It is a route of Starlette in every other respect and decides nothing: who may is asked, and bodies are read, by the
endpoint. The docstring of the endpoint is the summary and the description.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import getdoc
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.errors import PROBLEMS
from gateway.keys import ROLES

Endpoint = Callable[[Request], Awaitable[Response]]

ANYBODY: tuple[str, ...] = ()
HOLDER, TICKET = "holder", "ticket"
CREDENTIALS = (HOLDER, TICKET, *ROLES)

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A time in an answer: text in the form wire.rfc3339 writes."""


class Media(NamedTuple):
    """A body that is no Struct of ours: its media type, and its JSON Schema."""

    type: str
    schema: Mapping[str, Any] = MappingProxyType({"type": "string"})


class Parameter(NamedTuple):
    """
    A value in the query or in a header: its type, and what it is for.

    *setting* names the setting that is the most a number may be.
    """

    name: str
    kind: Any
    about: str
    place: Literal["query", "header", "path"] = "query"
    required: bool = False
    setting: str = ""


PAGE = (
    Parameter(
        "limit", Annotated[int, msgspec.Meta(ge=1)], "How many rows a page has at most.", setting="page_rows_max"
    ),
    Parameter("cursor", Annotated[str, msgspec.Meta(max_length=512)], "`next` of the page before."),
)
"""The parameters of a list."""

IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    Annotated[str, msgspec.Meta(pattern="^[ -~]{1,255}$")],
    "Names the act: make a new one for each, and repeat the same one until there is an answer.",
    place="header",
    required=True,
)

PATH = {
    "account": "An account, such as payable:m-1.",
    "alert": "The number of an alert.",
    "asset": "The name of a file that the page loads.",
    "batch": "The id of a code batch.",
    "break": "The id of a break.",
    "campaign": "The id of a campaign.",
    "report": "The name of a report.",
    "export": "The id of an export.",
    "receiver": "The id of a receiver of alerts.",
    "redemption": "The id of a redemption, or of several that were made as one.",
    "journal": "The number of a journal.",
    "manual": "The id of a manual journal.",
    "proposal": "The id of a proposal, or of a manual journal.",
    "code": "The code of a coupon, in any case, with or without hyphens and blanks, O for 0, I or L for 1.",
    "revocation": "The id of a revocation.",
    "file": "The id of a file of orders.",
    "run": "The number of a run of a file.",
    "entity": "The id of a legal entity.",
    "kind": "The kind of a period: month or day.",
    "starts": "The first day of a period, such as 2026-11-01; a month is written 2026-11 too.",
}
"""What stands between braces in a path → what it is."""


def one_of(body: Any) -> tuple[Any, ...]:
    """The kinds that a body may be of."""
    return body if isinstance(body, tuple) and not isinstance(body, Media) else (body,)


class Operation(Route):
    """
    One method of one path.

    *under* is its heading; *who* may ask: holder, ticket, roles of API keys (admin, who may do everything, goes without
    saying), or ANYBODY. *takes* is the type of the body, *example* one of them. *gives* has what each good answer is:
    a type, a tuple (one of them), a Media, or None for no body. *refuses* are problem codes beyond those that any such
    route has. *once* means that it needs an Idempotency-Key. *tells* are header names of good answers → what they say.
    *name* is how programs call it; by default the name of the endpoint.
    """

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        *,
        under: str,
        who: Sequence[str],
        gives: Mapping[int, Any],
        takes: Any = None,
        example: Any = None,
        query: Sequence[Parameter] = (),
        headers: Sequence[Parameter] = (),
        refuses: Sequence[str] = (),
        once: bool = False,
        tells: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        super().__init__(path, endpoint, methods=[method], name=name or endpoint.__name__)
        assert set(refuses) <= PROBLEMS.keys(), f"{path}: {set(refuses) - PROBLEMS.keys()} are no problem codes"
        assert set(who) <= set(CREDENTIALS), f"{path}: {set(who) - set(CREDENTIALS)} can't ask"
        assert set(self.param_convertors) <= PATH.keys(), f"{path}: say in PATH what stands there"
        self.method, self.under, self.takes, self.gives, self.once = method, under, takes, gives, once
        self.refuses, self.tells, self.example = refuses, tells or {}, example
        self.who = tuple(each for each in CREDENTIALS if each in who or (each == "admin" and set(who) & set(ROLES)))
        places = tuple(Parameter(each, str, PATH[each], "path", required=True) for each in self.param_convertors)
        self.parameters = (*places, *query, *headers, *((IDEMPOTENCY_KEY,) if once else ()))
        self.summary, _, self.description = (getdoc(endpoint) or "").replace("``", "`").partition("\n\n")

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of API keys that may ask."""
        return tuple(each for each in self.who if each in ROLES)

    @property
    def kinds(self) -> list[Any]:
        """Every type that it speaks of."""
        said: list[Any] = []
        for body in (self.takes, *self.gives.values()):
            said += one_of(body)
        said += (each.kind for each in self.parameters)
        return [kind for kind in said if kind is not None and not isinstance(kind, Media)]
