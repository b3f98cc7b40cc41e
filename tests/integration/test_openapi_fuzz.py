"""
Everything the document allows and much that it forbids, sent to a worker behind its lane, on real servers.

Cases are drawn by schemathesis, with hypothesis seeded by the test's name, so that a failure comes back. They are made
when a test runs: every process that shares the suite collects it, and to make all takes as long as to collect the rest.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import psycopg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response

from gateway.api.assets import assets
from gateway.api.examples import ORDER
from gateway.api.operation import HOLDER, Media, Operation, one_of
from gateway.api.refusals import ProblemBody
from gateway.app import create_app
from gateway.keys import create_key
from gateway.lane import Lane
from gateway.settings import Settings
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from tests.conftest import fresh_database, redis_binaries
from tests.http import ANSWER_S_MAX, JWT_KEYS, Worker, bearer
from tests.integration.draining import draining

pytestmark = [
    pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True),
    # The worker, a thread of this process, may draw a time to wait while a case is drawn, which hypothesis notices.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"),
]

APP = create_app(Settings(redis_url="redis://x", postgres_url="postgresql://x", jwt_keys=JWT_KEYS))
OPERATIONS = {f"{each.method} {each.path_format}": each for each in APP.routes if isinstance(each, Operation)}
TOLD_TO_THE_STAFF = ("GET /v1/campaigns/{campaign}", "GET /v1/coupons/{code}")
"""The staff is answered something else there than holders."""

ASKED: list[str] = []
"""The operation whose turn it is."""

OPENAPI = schemathesis.pytest.from_fixture("openapi").include(lambda context: context.operation.label in ASKED)

# Bodies have rules between their fields, and cursors come from pages: what the types allow may still be refused.
BEYOND_TYPES = "positive_data_acceptance"

# Of a body that is no JSON every text is a text.
NEGATIVE = "negative_data_rejection"

# A definition has so many fields that to try each takes a minute: of these cases one of so many is sent.
THINNED = {"create_campaign": 6, "change_campaign": 6, "verdict": 6, "make_proposal": 6}

BOUNDED = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Site(NamedTuple):
    """
    Where the worker is, what to say who one is, and what is there: parameters of a path → their value.

    With one *session* for all cases nobody connects and looks for proxies anew for each of thousands.
    """

    url: str
    session: requests.Session
    holder: str
    roles: dict[str, str]
    there: dict[str, str]


@pytest.fixture(scope="module")
def document() -> Any:
    """The document as schemathesis reads it."""
    document = schemathesis.openapi.from_dict(json.loads(APP.state.document()))
    document.config.generation.update(allow_extra_parameters=False)  # of the query, where what nobody knows is let be
    return document


@pytest.fixture
def openapi(request: pytest.FixtureRequest, site: Site, document: Any) -> Iterator[Any]:
    """The document, of which one operation has its turn."""
    request.node._nodeid = request.node.nodeid  # schemathesis reads it from there, where pytest 9.2 has none
    ASKED.append(request.param)
    yield document
    ASKED.clear()


@pytest.fixture(scope="module")
def site(redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A worker behind the lane, in a loop of another thread: schemathesis has none."""
    opened: Future[Site] = Future()
    session = requests.Session()
    session.trust_env = False
    done = threading.Event()

    async def serve(database: str) -> None:
        folder: Path = tmp_path_factory.mktemp("fuzz")
        async with Worker(redis_server.url, database, folder, http=Lane) as worker:
            await worker.services.door.redis.flushall()
            for campaign in ("flash", "moving", "closing"):
                await worker.publish(campaign, stock=100_000, limits={"per_holder": 100})
            claimed = (await worker.claim("ann", "1")).json()["code"]
            there = {"code": claimed, "asset": next(iter(assets())), "redemption": await redemption(worker)}
            there |= {"entity": "main", "kind": "month", "starts": "2024-01"}
            there |= {"account": "budget:available", "journal": "1", "report": "trial-balance"}
            async with draining(redis_server.url, database):
                pass  # leaving it drains to the tail: the coupon is in the books
            roles = {}
            async with await psycopg.AsyncConnection.connect(database) as connection:
                for role in ("admin", "marketer", "store", "finance", "auditor"):
                    roles[role] = f"Bearer {(await create_key(connection, name=role, role=role, actor='t')).text}"
            opened.set_result(Site(f"http://127.0.0.1:{worker.port}", session, bearer("ann"), roles, there))
            await asyncio.to_thread(done.wait)

    with fresh_database(postgres_server) as database:
        thread = threading.Thread(target=lambda: asyncio.run(serve(database)))
        thread.start()
        try:
            yield opened.result(timeout=60)
        finally:
            session.close()
            done.set()
            thread.join()


async def redemption(worker: Worker) -> str:
    """The id of a redemption of another coupon."""
    code = (await worker.claim("ann", "2")).json()["code"]
    headers = {**await worker.key("store"), "Idempotency-Key": "spent"}
    order = {**ORDER, "id": "spent"}
    spent = await worker.http.post("/v1/redemptions", json={"code": code, "order": order}, headers=headers)
    id_: str = spent.json()["id"]
    return id_


def lead(case: Case[Any], site: Site) -> None:
    """Most of the time, to what is there: a campaign, for marketers another one that they change; a coupon; …"""
    if isinstance(case.body, dict) and case.meta and not case.meta.is_negative_at(ParameterLocation.BODY):
        case.body.update({"code": site.there["code"]} if "code" in case.body else {})
    if not case.path_parameters or (case.meta and case.meta.is_negative_at(ParameterLocation.PATH)):
        return
    operation = OPERATIONS[case.operation.label]
    mine = "closing" if operation.name == "move_campaign" else "moving" if operation.under == "Marketers" else "flash"
    there = {"campaign": mine, "report": "trial-balance", **site.there}
    for name, value in case.path_parameters.items():
        if name in there and crc32(str(value).encode()) % 4:
            case.path_parameters[name] = there[name]


def prove_told(case: Case[Any], response: Response) -> None:
    """The answer is what its route says: a Struct without one more member, or a problem without one."""
    operation = OPERATIONS[case.operation.label]
    media_type = response.headers.get("content-type", [""])[0].partition(";")[0]
    if case.method != operation.method or media_type not in ("application/json", "application/problem+json"):
        return
    given = operation.gives.get(response.status_code)
    kinds = (ProblemBody,) if media_type == "application/problem+json" else one_of(given)
    kinds = tuple(kind for kind in kinds if not isinstance(kind, Media))
    if not kinds:
        return
    told = json.loads(response.content)
    assert told in [read_back(response.content, kind) for kind in kinds], "a member that the document does not know"


def read_back(body: bytes, kind: Any) -> Any:
    """*body* with those members only that *kind* knows; None where it is no such thing."""
    try:
        return json.loads(msgspec.json.encode(msgspec.json.decode(body, type=kind)))
    except msgspec.ValidationError:
        return None


def prove_named(case: Case[Any], response: Response) -> None:
    """A refusal of what was wrong in the request says where it was."""
    if case.meta and case.meta.generation.mode.is_negative and response.status_code == 400:
        problem = json.loads(response.content)
        assert problem["detail"]
        assert "field" in problem, problem


def ask(case: Case[Any], site: Site, who: str | None) -> None:
    """Send *case* with an Authorization header and check all that can be checked of its answer."""
    one_of_so_many = THINNED.get(OPERATIONS[case.operation.label].name, 1)
    if crc32(repr((case.body, case.path_parameters, case.query)).encode()) % one_of_so_many:
        return
    lead(case, site)
    raw = isinstance(case.media_type, str) and case.media_type != "application/json"
    headers = {"Authorization": who} if who else None
    response = case.call(site.url, headers=headers, session=site.session, timeout=ANSWER_S_MAX)
    but: list[Any] = [schemathesis.checks.CHECKS.get_one(name) for name in (BEYOND_TYPES, *([NEGATIVE] if raw else []))]
    case.validate_response(response, headers=headers, excluded_checks=but)
    prove_told(case, response)
    prove_named(case, response)


@pytest.mark.parametrize("openapi", OPERATIONS, indirect=True)
@OPENAPI.parametrize()
@BOUNDED
def test_each_route_keeps_its_word(case: Case[Any], site: Site) -> None:
    """No 500; status, content type, headers and body are those of the document; what it forbids is refused by name."""
    operation = OPERATIONS[case.operation.label]
    # Of proposals an admin may make each kind, every other role its own.
    asks = "admin" if operation.under == "Proposals" else operation.roles[-1] if operation.roles else ""
    role = site.roles.get(asks)
    ask(case, site, site.holder if HOLDER in operation.who else role)


@pytest.mark.parametrize("openapi", TOLD_TO_THE_STAFF, indirect=True)
@OPENAPI.parametrize()
@BOUNDED
def test_what_the_staff_sees_is_told_too(case: Case[Any], site: Site) -> None:
    """The same where the staff is answered something else than holders."""
    ask(case, site, site.roles["auditor"])
