"""What the routes say of themselves, as a document."""

import json
import re
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.operation import ANYBODY, HOLDER, Operation
from gateway.app import create_app
from gateway.console import routes as console
from gateway.errors import PROBLEMS
from gateway.routes import till
from gateway.settings import Settings


@pytest.fixture(scope="module")
def app() -> Starlette:
    """A worker's application; nothing is opened."""
    return create_app(Settings(redis_url="redis://x", postgres_url="postgresql://x", jwt_keys="k=" + 32 * "s"))


@pytest.fixture(scope="module")
def written(app: Starlette) -> dict[str, Any]:
    """Its document, as everybody gets it."""
    found: dict[str, Any] = json.loads(app.state.document())
    return found


def each_operation(written: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Method and path → operation."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in written["paths"].items()
        for method, operation in methods.items()
    }


async def endpoint(request: Request) -> Response:
    """Answer nothing."""
    return Response()


def test_the_document_is_valid(written: dict[str, Any]) -> None:
    """It is OpenAPI 3.1, by somebody else's validator."""
    validate(written)

    assert written["openapi"] == "3.1.0"
    assert written["servers"] == [{"url": "/"}]


def test_every_route_is_in_the_document(app: Starlette, written: dict[str, Any]) -> None:
    """Each route and method but HEAD is in it, and nothing else; the pages of till and console are for people."""
    for_programs = [route for route in app.routes if route not in [*till.routes, *console.routes]]
    routes = {
        f"{method} {route.path_format}"
        for route in for_programs
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert each_operation(written).keys() == routes
    assert len(for_programs) == len(routes)


def test_operations_have_names_for_programs(written: dict[str, Any]) -> None:
    """Each operationId is an identifier, and no two are the same."""
    names = [operation["operationId"] for operation in each_operation(written).values()]

    assert all(re.fullmatch(r"[a-z][a-zA-Z0-9]*", name) for name in names), names
    assert len(set(names)) == len(names)


def test_operations_say_what_they_are(written: dict[str, Any]) -> None:
    """Each has a summary of one line, and who may ask."""
    for name, operation in each_operation(written).items():
        assert operation["summary"], name
        assert "\n" not in operation["summary"], name
        assert operation["description"].rpartition("\n\n")[2].startswith("For "), name


def test_each_refusal_is_one_of_the_table(written: dict[str, Any]) -> None:
    """A refusal in the document has the status of the table, and a Retry-After wherever there is always one."""
    for name, operation in each_operation(written).items():
        for status, answer in operation["responses"].items():
            problem = answer.get("content", {}).get("application/problem+json")
            if problem:
                codes = problem["schema"]["properties"]["code"]["enum"]
                assert {PROBLEMS[code].status for code in codes} == {int(status)}, name
            if status in ("429", "503"):
                assert answer["headers"]["Retry-After"] == {"$ref": "#/components/headers/Retry-After"}, name


def test_each_problem_is_somewhere(written: dict[str, Any]) -> None:
    """No problem code is left that no route may answer, but for what has nothing to do with a route."""
    said = {
        code
        for operation in each_operation(written).values()
        for answer in operation["responses"].values()
        if "application/problem+json" in answer.get("content", {})
        for code in answer["content"]["application/problem+json"]["schema"]["properties"]["code"]["enum"]
    }

    assert PROBLEMS.keys() - said == {"method_not_allowed"}


def test_examples_are_what_is_taken(app: Starlette) -> None:
    """Each example is a body of its route."""
    examples = {each.name: each for each in app.routes if isinstance(each, Operation) and each.example is not None}

    assert "create_campaign" in examples
    for operation in examples.values():
        msgspec.convert(operation.example, operation.takes)


def test_an_act_needs_its_key(written: dict[str, Any]) -> None:
    """What is done once has Idempotency-Key among its parameters, needed, and may answer that it is a replay."""
    claim = each_operation(written)["POST /v1/campaigns/{campaign}/claims"]
    [key] = [each for each in claim["parameters"] if each["in"] == "header"]

    assert (key["name"], key["required"]) == ("Idempotency-Key", True)
    assert "Idempotency-Replayed" in claim["responses"]["200"]["headers"]
    assert claim["security"] == [{"holder": []}, {"ticket": []}]
    assert claim["requestBody"]["required"] is False


def test_bounds_are_those_of_the_settings(written: dict[str, Any]) -> None:
    """The most rows of a page are the setting's."""
    [limit] = [each for each in written["paths"]["/v1/coupons"]["get"]["parameters"] if each["name"] == "limit"]

    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": Settings().page_rows_max}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"refuses": ("no_such_code",)}, "no_such_code"),
        ({"who": ("nobody",)}, "nobody"),
        ({"path": "/x/{thing}"}, "PATH"),
    ],
)
def test_what_can_not_be_is_refused_at_once(wrong: dict[str, Any], named: str) -> None:
    """A route can't speak of a problem, a role or a place in its path that nobody knows."""
    said: dict[str, Any] = {"path": "/x", "who": ANYBODY, "under": "X", "gives": {200: None}, **wrong}

    with pytest.raises(AssertionError, match=named):
        Operation("GET", said.pop("path"), endpoint, **said)


def test_admin_goes_without_saying() -> None:
    """Where a role may, admin may; where holders only may, no key may."""
    staff = Operation("GET", "/x", endpoint, under="X", who=("store",), gives={200: None})
    holder = Operation("GET", "/x", endpoint, under="X", who=(HOLDER,), gives={200: None})

    assert staff.roles == ("admin", "store")
    assert holder.roles == ()
