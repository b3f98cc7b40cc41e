"""The document, the page and the routes on a worker: who may ask is as it says, and bodies are what it says."""

import json
from typing import Any

import msgspec
import pytest

from gateway.api.operation import ANYBODY, CREDENTIALS, HOLDER, TICKET, Operation
from gateway.api.refusals import ProblemBody
from gateway.keys import ROLES
from gateway.routes.claims import Claimed
from tests.conftest import ON_VALKEY
from tests.http import Worker

pytestmark = ON_VALKEY


@pytest.fixture
async def askers(worker: Worker) -> dict[str, dict[str, str]]:
    """Headers of each who may ask, and of nobody; there is a campaign flash."""
    await worker.publish(stock=1000, limits={"per_holder": 100})
    ticket = await worker.http.post("/v1/campaigns/flash/tickets", headers=worker.token("ann"))
    found = {role: await worker.key(role) for role in ROLES}
    found |= {HOLDER: worker.token("ann"), TICKET: {"Authorization": f"Bearer {ticket.json()['ticket']}"}}
    assert found.keys() == set(CREDENTIALS)
    return {"nobody": {}, **found}


async def test_who_may_is_as_the_document_says(worker: Worker, askers: dict[str, dict[str, str]]) -> None:
    """Every route is asked as everybody: who is not named gets 401 or 403, who is named gets neither."""
    wrong = []
    for operation in [each for each in worker.app.routes if isinstance(each, Operation)]:
        path = operation.path_format.format_map({name: "flash" for name in operation.param_convertors})
        for who, headers in askers.items():
            sent = {"Idempotency-Key": f"{operation.name} as {who}", **headers}
            answer = await worker.http.request(operation.method, path, headers=sent)
            let_in = answer.status_code not in (401, 403)
            if let_in != (who in operation.who or operation.who == ANYBODY):
                wrong.append(f"{operation.method} {path} as {who}: {answer.status_code}")

    assert wrong == []


@pytest.mark.parametrize(("status", "key", "kind"), [(201, "1", Claimed), (200, "0", Claimed), (409, "1", ProblemBody)])
async def test_a_claim_s_bodies_are_those_of_the_document(worker: Worker, status: int, key: str, kind: type) -> None:
    """What is written by hand for speed reads as the Struct of the document, and is written back byte for byte."""
    await worker.publish(limits={"per_holder": 1 if status == 409 else 2})
    await worker.claim("ann", "0")

    answer = await worker.claim("ann", key)
    read: Any = msgspec.json.decode(answer.content, type=kind)

    assert answer.status_code == status
    assert msgspec.json.encode(read) == answer.content


async def test_the_document_is_sent_once(worker: Worker) -> None:
    """Who has the document of this ETag is told so in a few bytes."""
    first = await worker.http.get("/openapi.json")
    again = await worker.http.get("/openapi.json", headers={"If-None-Match": f'"other", {first.headers["etag"]}'})

    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.content)["openapi"] == "3.1.0"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


async def test_a_wrong_method_is_told_all_methods_of_the_path(worker: Worker) -> None:
    """405 names the methods of a path over all of its routes."""
    answer = await worker.http.put("/v1/campaigns")

    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET, HEAD, POST"
