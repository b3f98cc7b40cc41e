"""The marketer's routes over HTTP: bodies, statuses, headers, and who may do what."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.codes import CodeMaker
from gateway.keys import ROLES
from tests.conftest import ON_VALKEY
from tests.integration.campaigning import a_body
from tests.integration.site_http import Http, open_http

pytestmark = ON_VALKEY


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        yield http


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


STAFF = set(ROLES)
MARKETING = {"admin", "marketer"}
READING = {"admin", "store", "finance", "auditor"}
CODE = "0000100000000000000"

ROUTES: list[tuple[str, str, Any, set[str]]] = [
    ("POST", "/v1/campaigns", {}, MARKETING),
    ("GET", "/v1/campaigns", None, STAFF),
    ("GET", "/v1/campaigns/flash", None, STAFF | {"@ann"}),
    ("PATCH", "/v1/campaigns/flash", {}, MARKETING),
    ("POST", "/v1/campaigns/flash/state", {"to": "active"}, MARKETING),
    ("POST", "/v1/campaigns/flash/stock-adjustments", {}, MARKETING),
    ("POST", "/v1/campaigns/flash/claims", {}, {"@ann"}),
    ("GET", "/v1/campaigns/flash/claims/mine", None, {"@ann"}),
    ("GET", "/v1/coupons", None, {"@ann"}),
    ("GET", f"/v1/coupons/{CODE}", None, READING | {"@ann"}),
]


async def test_each_route_admits_exactly_its_roles(http: Http) -> None:
    """Every route with every role, a holder, nobody, and a bad credential: 403 or 401 for all that may not."""
    await http.publish()
    found: dict[str, dict[str, int]] = {}
    expected: dict[str, dict[str, int]] = {}

    for method, path, body, may in ROUTES:
        name = f"{method} {path}"
        callers = [*ROLES, "@ann", None, "fck_nonsense", "no.such.token", ""]
        for who in callers:
            headers = {"idempotency_key": "k"} if method == "POST" else {}
            status = (await http.ask(method, path, who, body, **headers)).status_code
            admitted = status not in (401, 403)
            found.setdefault(name, {})[str(who)] = 200 if admitted else status
            known = who in (*ROLES, "@ann")
            expected.setdefault(name, {})[str(who)] = (200 if who in may else 403) if known else 401

    assert found == expected


async def test_a_campaign_is_created_with_201_and_a_location(http: Http) -> None:
    """The body of DESIGN §6 gives a draft of version 1 that a GET at its Location shows again."""
    body = a_body(channels=["app", "web"], limits={"per_holder": 2, "budget_minor": 5000})

    created = await http.ask("POST", "/v1/campaigns", "marketer", body)

    answer = created.json()
    assert created.status_code == 201
    assert {name: answer[name] for name in ("id", "state", "version", "stock", "channels", "shards")} == {
        "id": "flash",
        "state": "draft",
        "version": 1,
        "stock": 10,
        "channels": ["app", "web"],
        "shards": 1,
    }
    assert answer["limits"] == {"per_holder": 2, "per_holder_per_day": None, "per_day": None, "budget_minor": 5000}
    assert answer["funders"] == [{"account": "platform", "basis_points": 10000}]
    seen = (await http.ask("GET", created.headers["location"], "auditor")).json()
    assert {**seen, "server_time": ""} == {**answer, "server_time": ""}
    assert problem(await http.ask("GET", created.headers["location"], "@ann")) == (404, "campaign_not_found")


BAD_BODIES: list[tuple[Any, str]] = [
    (a_body(colour="red"), "colour"),
    (a_body(stock=1.5), "stock"),
    (a_body(currency="XYZ"), "currency"),
    (a_body(value={"type": "percent", "basis_points": 20_000, "cap_minor": 1}), "value.basis_points"),
    ([], ""),
    (None, "id"),
]


async def test_a_bad_body_is_400_with_the_field(http: Http) -> None:
    """Wrong type, unknown field, broken rule, no object, no body: the field is named and nothing is created."""
    for body, field in BAD_BODIES:
        answer = await http.ask("POST", "/v1/campaigns", "marketer", body)

        assert problem(answer) == (400, "bad_request")
        assert field in answer.json()["detail"], field
    assert (await http.ask("GET", "/v1/campaigns", "marketer")).json()["items"] == []


async def test_several_mistakes_are_told_at_once(http: Http) -> None:
    """errors lists every field with its rule."""
    answer = await http.ask("POST", "/v1/campaigns", "admin", a_body(currency="x", stock=0, timezone="y"))

    assert [error["field"] for error in answer.json()["errors"]] == ["currency", "stock", "timezone"]


async def test_the_refusals_of_a_campaigns_life(http: Http) -> None:
    """Each refusal has its status, code and what helps."""
    path = "/v1/campaigns/flash"
    await http.publish()

    assert problem(await http.ask("POST", "/v1/campaigns", "admin", a_body())) == (409, "campaign_exists")
    back = await http.ask("POST", f"{path}/state", "admin", {"to": "archived"})
    assert problem(back) == (409, "invalid_state")
    assert {name: back.json()[name] for name in ("from", "to", "allowed")} == {
        "from": "active",
        "to": "archived",
        "allowed": ["paused", "ended"],
    }
    assert problem(await http.ask("POST", f"{path}/state", "admin", {"to": "gone"})) == (400, "bad_request")
    assert problem(await http.ask("POST", f"{path}/state", "admin", {})) == (400, "bad_request")
    assert problem(await http.ask("PATCH", path, "admin", {"id": "x"})) == (400, "bad_request")
    assert problem(await http.ask("PATCH", path, "admin", {"name": None})) == (400, "bad_request")
    assert problem(await http.ask("PATCH", path, "admin", {"version": 1, "name": "x"})) == (409, "version_conflict")
    assert problem(await http.ask("PATCH", path, "admin", {"name": "x"}, if_match='"1"')) == (409, "version_conflict")
    assert problem(await http.ask("PATCH", path, "admin", {"name": "x"}, if_match="soon")) == (400, "bad_request")
    assert problem(await http.ask("PATCH", "/v1/campaigns/none", "admin", {"name": "x"})) == (404, "campaign_not_found")
    changed = await http.ask("PATCH", path, "admin", {"name": "x"}, if_match='"2"')
    assert (changed.status_code, changed.json()["version"]) == (200, 3)
    await http.claim("ann")
    frozen = await http.ask("PATCH", path, "admin", {"currency": "EUR"})
    assert problem(frozen) == (409, "frozen")
    assert [error["field"] for error in frozen.json()["errors"]] == ["currency"]


async def test_stock_adjustments_over_http(http: Http) -> None:
    """Once a key, replayed with its header, refused with what is left; the campaign shows what remains."""
    path = "/v1/campaigns/flash/stock-adjustments"
    await http.publish(shards=2)
    body = {"delta": 5, "reason": "press"}

    first = await http.ask("POST", path, "marketer", body, idempotency_key="a")
    again = await http.ask("POST", path, "admin", body, idempotency_key="a")

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert first.json()["stock"] == 15
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await http.ask("POST", path, "admin", {"delta": 6, "reason": "press"}, idempotency_key="a")
    assert problem(other) == (422, "idempotency_key_reused")
    floor = await http.ask("POST", path, "admin", {"delta": -16, "reason": "r"}, idempotency_key="b")
    assert (problem(floor), floor.json()["stock"]) == ((409, "stock_floor"), 15)
    assert problem(await http.ask("POST", path, "admin", body)) == (400, "bad_request")
    assert problem(await http.ask("POST", path, "admin", {"delta": 1.5, "reason": "r"}, idempotency_key="c")) == (
        400,
        "bad_request",
    )
    assert (await http.ask("GET", "/v1/campaigns/flash", "@ann")).json()["remaining"] == 15


async def test_what_a_holder_sees_of_a_campaign(http: Http) -> None:
    """State, remaining, server time and the terms; neither budget nor who pays."""
    await http.publish(
        shards=4,
        stock=9,
        limits={"per_holder": 3, "per_day": 8, "budget_minor": 4500},
        channels=["app"],
        validity={"until": "2099-01-01T00:00:00Z"},
        timezone="Asia/Shanghai",
    )
    await http.claim("ann")

    seen = (await http.ask("GET", "/v1/campaigns/flash", "@bob")).json()
    staff = (await http.ask("GET", "/v1/campaigns/flash", "store")).json()

    assert seen["remaining"] == staff["remaining"] == 8
    assert seen["limits"] == {"per_holder": 3, "per_holder_per_day": None, "per_day": 8}
    assert not {"funders", "stock", "shards", "claimed"} & set(seen)
    same = (
        "id",
        "name",
        "state",
        "version",
        "value",
        "currency",
        "starts_at",
        "ends_at",
        "timezone",
        "validity",
        "channels",
    )
    assert {name: seen[name] for name in same} == {name: staff[name] for name in same}
    assert seen["server_time"].endswith("Z")
    assert staff["claimed"] == 1


async def test_no_channels_means_every_channel(http: Http) -> None:
    """A campaign without channels takes claims from any; one with channels only from those."""
    await http.publish(id="any")
    await http.publish(id="some", channels=["app"])

    async def claims(campaign: str, channel: str) -> int:
        path = f"/v1/campaigns/{campaign}/claims"
        return (await http.ask("POST", path, f"@{channel}", {"channel": channel}, idempotency_key="k")).status_code

    assert [await claims("any", channel) for channel in ("app", "pos")] == [201, 201]
    assert [await claims("some", channel) for channel in ("app", "pos")] == [201, 403]


async def test_a_draft_that_was_a_mistake_is_archived(http: Http) -> None:
    """
    It is archived at once and twice, with no stock and no shard; to holders, and to whoever has a code of its number or
    revokes, it is not there, like before; its life is over.
    """
    path = "/v1/campaigns/flash"
    draft = (await http.ask("POST", "/v1/campaigns", "marketer", a_body())).json()

    first, again = [await http.ask("POST", f"{path}/state", "marketer", {"to": "archived"}) for _ in range(2)]

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["state"], first.json()["version"], first.json()["remaining"]) == ("archived", 2, None)
    assert again.json()["version"] == 2
    assert (await http.ask("GET", path, "auditor")).json()["state"] == "archived"
    assert problem(await http.ask("GET", path, "@ann")) == (404, "campaign_not_found")
    claim = await http.ask("POST", f"{path}/claims", "@ann", {}, idempotency_key="k")
    assert problem(claim) == (404, "campaign_not_found")
    (code,) = CodeMaker(draft["number"], 0).take(1)
    assert problem(await http.ask("GET", f"/v1/coupons/{code}", "store"))[0] == 404
    wanted = {"campaign": "flash", "reason": "x"}
    revoked = await http.ask("POST", "/v1/revocations", "marketer", wanted, idempotency_key="k")
    assert problem(revoked) == (404, "campaign_not_found")
    back = await http.ask("POST", f"{path}/state", "marketer", {"to": "scheduled"})
    assert (problem(back), back.json()["allowed"]) == ((409, "invalid_state"), [])
    assert problem(await http.ask("PATCH", path, "marketer", {"name": "x"})) == (409, "invalid_state")


async def test_campaigns_are_listed_page_by_page(http: Http) -> None:
    """In the order of ids, each once, with its state of now; a cursor of another list is refused."""
    for n in (3, 1, 5, 2, 4):
        assert (await http.ask("POST", "/v1/campaigns", "admin", a_body(id=f"c{n}"))).status_code == 201
    await http.ask("POST", "/v1/campaigns/c2/state", "admin", {"to": "scheduled"})

    pages, cursor = [], ""
    while cursor is not None:
        page = (await http.ask("GET", f"/v1/campaigns?limit=2{cursor and f'&cursor={cursor}'}", "finance")).json()
        pages.append([(item["id"], item["state"]) for item in page["items"]])
        cursor = page["next"]

    assert pages == [[("c1", "draft"), ("c2", "active")], [("c3", "draft"), ("c4", "draft")], [("c5", "draft")]]
    bad = await http.ask("GET", "/v1/campaigns?cursor=AAAA", "finance")
    assert (problem(bad), bad.json()["field"]) == ((400, "bad_request"), "cursor")
