"""What no honest client sends, and a Redis in a state no good day has: a problem each time, never a 500."""

from typing import Any

import pytest
from starlette.routing import Route

from gateway.campaigns.publish import INITIAL
from gateway.errors import PROBLEMS
from gateway.routes.paging import make_cursor
from lua.keys import CampaignId, Shard
from tests.conftest import ON_VALKEY
from tests.http import Worker

pytestmark = ON_VALKEY


@pytest.mark.parametrize("campaign", ["%00", "a%00b", "%ff", "A", "x" * 5000])
async def test_a_path_that_names_no_campaign_is_404_for_staff_too(worker: Worker, campaign: str) -> None:
    """What can't be an id, a NUL that PostgreSQL can't hold among it, is an unknown campaign on every route."""
    admin, path = await worker.key("admin"), f"/v1/campaigns/{campaign}"
    keyed = {**admin, "Idempotency-Key": "k"}
    answers = [
        await worker.http.get(path, headers=admin),
        await worker.http.patch(path, json={}, headers=admin),
        await worker.http.post(f"{path}/state", json={"to": "paused"}, headers=admin),
        await worker.http.post(f"{path}/stock-adjustments", json={"delta": 1, "reason": "r"}, headers=keyed),
        await worker.http.get(path, headers=worker.token("ann")),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "campaign_not_found")] * 5


@pytest.mark.parametrize("text", ["%00", "a%00b", "cb_0123456789abcde%00", "rv_0123456789abcde%00"])
async def test_a_nul_in_any_path_is_no_failure(worker: Worker, text: str) -> None:
    """Whatever a route takes an id for, PostgreSQL can't hold a NUL, so no id with one is ever looked up there."""
    await worker.publish()
    asked = set()
    for route in worker.app.routes:
        assert isinstance(route, Route)
        names = [name for name in route.param_convertors if name != "campaign"]
        if not route.param_convertors:
            continue
        for template in {route.path, route.path.replace("{campaign}", "flash")}:
            path = template.replace("{campaign}", text)
            for name in names:
                path = path.replace(f"{{{name}}}", text)
            for method in route.methods or ():
                for who in (await worker.key("admin"), await worker.key("store"), worker.token("ann")):
                    sent = {**who, "Idempotency-Key": "k"}
                    answer = await worker.http.request(method, path, json={"reason": "r"}, headers=sent)
                    assert answer.status_code < 500, (method, path, answer.text)
                    asked.add(route.path)
    assert {"/v1/revocations/{revocation}", "/v1/redemptions/{redemption}", "/v1/coupons/{code}/qr"} <= asked


@pytest.mark.parametrize(
    ("path", "of_list", "place"),
    [
        ("/v1/coupons", "wallet  ann", (10**18, "A")),
        ("/v1/coupons", "wallet  ann", (-(10**15), "A")),
        ("/v1/coupons", "wallet  ann", (1, "\0")),
        ("/v1/campaigns", "campaigns", ("a\0",)),
        ("/v1/campaigns", "campaigns", "a"),
    ],
)
async def test_a_forged_cursor_is_400(worker: Worker, path: str, of_list: str, place: Any) -> None:
    """A cursor made by hand, its digest right and its place impossible, is refused by name."""
    headers = worker.token("ann") if path == "/v1/coupons" else await worker.key("admin")

    answer = await worker.http.get(path, params={"cursor": make_cursor(place, of_list)}, headers=headers)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", "cursor")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "x", "colour": 1}, "colour"),
        ({"id": "x"}, "name"),
        ({"id": "x", "limits": {"per_week": 1}}, "limits.per_week"),
        ({"id": "x", "funders": [{"account": "a", "share": 1}]}, "funders[0].share"),
        ({"id": 1}, "id"),
    ],
)
async def test_a_field_that_is_unknown_or_missing_is_named(worker: Worker, body: dict[str, Any], field: str) -> None:
    """The problem's field is the path of the very field, also where it should not or should have been there."""
    answer = await worker.http.post("/v1/campaigns", json=body, headers=await worker.key("admin"))

    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_path_with_a_slash_too_many_is_404_and_no_redirect(worker: Worker) -> None:
    """Nobody is sent elsewhere with his token, to a scheme and host that the request itself has named."""
    headers = {**worker.token("ann"), "Host": "elsewhere.example"}
    answer = await worker.http.post("/v1/campaigns/flash/claims/", headers=headers)

    assert (answer.status_code, answer.json()["code"], "location" in answer.headers) == (404, "not_found", False)


async def test_a_winner_whose_campaign_lost_its_rules_is_told_not_ready(worker: Worker) -> None:
    """Without rules the first body can't be given again, so no other one is: 503, and the coupon once they are back."""
    await worker.publish()
    won = await worker.claim("ann")
    redis, rules = worker.services.door.redis, Shard(CampaignId("flash"), 0).key("rules")
    await redis.rename(rules, "aside")

    refused = await worker.claim("ann")

    assert (refused.status_code, refused.json()["code"]) == (PROBLEMS["not_ready"].status, "not_ready")
    assert int(refused.headers["retry-after"]) >= 1
    await redis.rename("aside", rules)
    assert (await worker.claim("ann")).content == won.content


async def test_a_replica_cut_off_from_its_primary_is_not_ready(worker: Worker) -> None:
    """MASTERDOWN is a refusal that says come back, not a failure of ours; the claim was certainly not decided."""
    await worker.publish()
    redis: Any = worker.services.door.redis
    await redis.config_set("replica-serve-stale-data", "no")
    await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        seen = await worker.http.get("/v1/campaigns/flash", headers=worker.token("ann"))
        claimed = await worker.claim("ann")
    finally:
        await redis.execute_command("REPLICAOF", "NO", "ONE")
        await redis.config_set("replica-serve-stale-data", "yes")

    assert [(answer.status_code, answer.json()["code"]) for answer in (seen, claimed)] == [(503, "not_ready")] * 2
    assert (await worker.claim("ann")).status_code == 201


async def test_when_a_campaign_ended_is_told_only_where_it_is_known(worker: Worker) -> None:
    """Past its window: ended_at is the end of the window, whenever asked; ended before that: no made-up time."""
    await worker.publish("over")
    await worker.services.door.redis.hset(Shard(CampaignId("over"), 0).key("rules"), "ends_ms", 1000)
    await worker.publish("stopped")
    await worker.state("ended", "stopped")

    over, stopped = await worker.claim("ann", campaign="over"), await worker.claim("ann", campaign="stopped")

    assert [(answer.status_code, answer.json()["code"]) for answer in (over, stopped)] == [(410, "campaign_ended")] * 2
    assert over.json()["ended_at"] == "1970-01-01T00:00:01.000Z"
    assert "ended_at" not in stopped.json()


async def test_no_idempotency_key_reaches_the_stock_a_campaign_starts_with(worker: Worker) -> None:
    """The first stock's own key can't be sent: it is not ASCII, and as bytes of a header it is refused."""
    await worker.publish(stock=5)
    path, admin = "/v1/campaigns/flash/stock-adjustments", await worker.key("admin")
    body = {"delta": 5, "reason": "initial stock"}

    for key, status in (("initial", 200), (INITIAL, 400)):
        headers = [(b"Authorization", admin["Authorization"].encode()), (b"Idempotency-Key", key.encode())]
        answer = await worker.http.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
    assert await worker.services.door.redis.get("fc:{flash/0}:stock") == b"10"
