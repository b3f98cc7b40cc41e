"""All routes → OpenAPI 3.1, the body of GET /openapi.json. Pure: what is in it, the routes say themselves."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec.inspect import StructType, type_info

from gateway.api.operation import HOLDER, TICKET, Media, Operation, Parameter, one_of
from gateway.api.refusals import ProblemBody, refusal_examples, refusals
from gateway.settings import Settings

_SCHEMES = {
    HOLDER: ("JWT", "A holder's token: a JWT, HS256. Its `sub` is the holder; a body never says who somebody is."),
    TICKET: ("fct_…", "A claim ticket, for claiming from one campaign: got with a token before the sale."),
    "key": ("fck_…", "An API key of the staff, with a role. `fairclaim key create` makes one."),
}
_HEADERS = {
    "X-Request-Id": ("Names this request in the logs; the caller's own where it sent one.", {"type": "string"}, True),
    "Retry-After": ("Whole seconds after which to come back.", {"type": "integer", "minimum": 1}, True),
    "Retry-After-Optional": ("Whole seconds after which to come back.", {"type": "integer", "minimum": 1}, False),
    "Idempotency-Replayed": (
        "Where the key was there before: this is the answer of then.",
        {"const": "true"},
        False,
    ),
}
_ABOUT = """Every coupon exactly once.

Bodies are JSON; unknown fields are refused by name. Times are RFC 3339 in UTC to the millisecond, money is minor units
of a currency. Refusals are problems by RFC 9457, whose `code` is what programs go by. A request with an
`Idempotency-Key` may be repeated until there is an answer."""


def document(operations: Sequence[Operation], settings: Settings) -> bytes:
    """The document of *operations*; bounds of numbers are as *settings* has them."""
    kinds = [kind for operation in operations for kind in operation.kinds]
    (_, *schemas), components = msgspec.json.schema_components(
        [ProblemBody, *kinds], ref_template="#/components/schemas/{name}"
    )
    told = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        of_kinds = [next(told) for _ in operation.kinds]
        paths.setdefault(operation.path_format, {})[operation.method.lower()] = _operation(
            operation, of_kinds, settings
        )
    headings = dict.fromkeys(operation.under for operation in operations)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Fairclaim",
            "version": version("fairclaim"),
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": heading} for heading in headings],
        "paths": paths,
        "components": {
            "schemas": components,
            "examples": refusal_examples(),
            "headers": {
                name: {"description": about, "schema": schema, "required": required}
                for name, (about, schema, required) in _HEADERS.items()
            },
            "securitySchemes": {
                name: {"type": "http", "scheme": "bearer", "bearerFormat": form, "description": about}
                for name, (form, about) in _SCHEMES.items()
            },
        },
    }
    return msgspec.json.encode(whole)


def _operation(operation: Operation, schemas: list[Any], settings: Settings) -> dict[str, Any]:
    """One operation; *schemas* are those of its kinds, in their order."""
    told = iter(schemas)
    written: dict[str, Any] = {
        "operationId": _camel(operation.name),
        "tags": [operation.under],
        "summary": operation.summary.rstrip("."),
        "description": "\n\n".join(filter(None, (operation.description, _who(operation)))),
        "security": _security(operation),
    }
    if operation.takes is not None:
        content = _content(operation.takes, told)
        if operation.example is not None:
            next(iter(content.values()))["example"] = operation.example
        written["requestBody"] = {"required": _is_needed(operation.takes), "content": content}
    good = {str(status): _answer(operation, status, kind, told) for status, kind in operation.gives.items()}
    for status, refusal in refusals(operation).items():
        answer = good.setdefault(status, refusal)
        answer["content"] = {**answer.get("content", {}), **refusal["content"]}
    written["responses"] = dict(sorted(good.items()))
    written["parameters"] = [_parameter(each, next(told), settings) for each in operation.parameters]
    return written


def _camel(name: str) -> str:
    """A name as most generated clients have it; Swagger UI takes no underscore in a link."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _who(operation: Operation) -> str:
    spoken = {HOLDER: "a holder", TICKET: "a holder with a ticket"}
    credentials = [spoken[who] for who in operation.who if who in spoken]
    if operation.roles:
        credentials.append(f"an API key with role {', '.join(operation.roles)}")
    return f"For {', '.join(credentials) or 'anybody'}."


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    schemes = [who for who in operation.who if who in _SCHEMES] + (["key"] if operation.roles else [])
    return [{scheme: []} for scheme in schemes]


def _is_needed(kind: Any) -> bool:
    """Has a body to be there? No body is the empty object."""
    if isinstance(kind, tuple):
        return True
    about = type_info(kind)
    return not isinstance(about, StructType) or any(field.required for field in about.fields)


def _content(kind: Any, told: Any) -> dict[str, Any]:
    kinds = one_of(kind)
    content = {each.type: {"schema": dict(each.schema)} for each in kinds if isinstance(each, Media)}
    schemas = [next(told) for each in kinds if not isinstance(each, Media)]
    if schemas:
        content["application/json"] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    return content


def _answer(operation: Operation, status: int, kind: Any, told: Any) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if operation.once:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}
    headers |= {name: {"description": about, "schema": {"type": "string"}} for name, about in operation.tells.items()}
    if status == 503:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    replay = operation.once and status == 200 and 201 in operation.gives
    about = "This key has done it before: the same answer again." if replay else _MEANINGS[status]
    answer: dict[str, Any] = {"description": about, "headers": headers}
    if kind is not None:
        answer["content"] = _content(kind, told)
    return answer


_MEANINGS = {
    200: "As asked.",
    201: "It is made.",
    202: "It is taken on, and goes on by itself.",
    204: "Done; there is nothing to say.",
    303: "See there.",
    304: "It is what you have.",
    307: "It is there.",
    503: "Not now.",
}


def _parameter(parameter: Parameter, schema: Any, settings: Settings) -> dict[str, Any]:
    if parameter.setting:
        schema = {**schema, "maximum": getattr(settings, parameter.setting)}
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.about,
        "schema": schema,
    }
