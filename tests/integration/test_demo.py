"""The doors of /demo: off unless a campaign is named, a ticket good for a claim from that campaign and nothing else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import zxingcpp

from gateway.codes import read_code
from gateway.errors import Refusal
from gateway.limiter import CONNECTIONS_MAX
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.pictures import drawn

pytestmark = ON_VALKEY
VISITOR = "0123456789abcdef" * 2


async def test_it_is_off_by_default(worker: Worker) -> None:
    """No setting, no page, no tickets."""
    for path in ("/demo", "/demo/sale", "/demo/assets/demo.css"):
        assert (await worker.http.get(path)).status_code == 404
    for path, body in (("/demo/ticket", {"visitor": VISITOR}), ("/demo/qr", {"code": "ABCDEFGH"})):
        assert (await worker.http.post(path, json=body)).status_code == 404


async def test_a_ticket_is_good_for_one_thing(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """
    It claims from the campaign shown, once a visitor; it opens no other campaign and no wallet, an address gets only so
    many, and a visitor is 128 bits and no other name.
    """
    async with Worker(redis_url, postgres_url, tmp_path, demo_campaign="demo", demo_tickets_max=5) as worker:
        assert (await worker.http.get("/demo")).status_code == 404
        await worker.publish("demo")
        await worker.publish("other")
        worker.services.catalog._absent.clear()
        page = await worker.http.get("/demo")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        for odd in ("x", VISITOR.upper(), VISITOR + "0", "guest-1"):
            assert (await worker.http.post("/demo/ticket", json={"visitor": odd})).status_code == 400
        form = await worker.http.post("/demo/ticket", data={"visitor": VISITOR})
        assert form.status_code == 415, "what another page could send without our leave"
        made = await worker.http.post("/demo/ticket", json={"visitor": VISITOR})
        assert made.status_code == 201
        sent = {"authorization": f"Bearer {made.json()['ticket']}", "idempotency-key": "k"}

        claimed = await worker.http.post("/v1/campaigns/demo/claims", json={}, headers=sent)
        again = await worker.http.post("/v1/campaigns/demo/claims", json={}, headers={**sent, "idempotency-key": "l"})
        elsewhere = await worker.http.post("/v1/campaigns/other/claims", json={}, headers=sent)
        wallet = await worker.http.get("/v1/coupons", headers=sent)
        assert [each.status_code for each in (claimed, again, elsewhere, wallet)] == [201, 409, 401, 401]
        answers = [(await worker.http.post("/demo/ticket", json={"visitor": VISITOR})).status_code for _ in range(5)]
        assert answers == [201] * 4 + [429]
        assert (await worker.http.post("/demo/qr", json={"code": "!"})).status_code == 400
        code = claimed.json()["code"]
        pictures = [await worker.http.post("/demo/qr", json={"code": code}) for _ in range(6)]
        assert [each.status_code for each in pictures] == [200] * 5 + [429]
        assert pictures[0].headers["content-type"] == "image/svg+xml"
        [read] = zxingcpp.read_barcodes(drawn(pictures[0].text))
        assert read_code(read.text) == code


async def test_the_last_of_the_demos_is_shown(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Where demo-2 was made because demo was sold out, it is shown, with what is left and the server's time."""
    async with Worker(redis_url, postgres_url, tmp_path, demo_campaign="demo") as worker:
        await worker.publish("demo", stock=1)
        await worker.publish("demo-2", stock=7)
        sale = (await worker.http.get("/demo/sale")).json()
        assert (sale["id"], sale["remaining"]) == ("demo-2", 7)
        assert {"name", "server_time", "starts_at", "ends_at", "value"} <= sale.keys()
        assert "funders" not in sale


async def test_a_campaign_that_is_called_alike_is_not_given_away(
    redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """Only demo has followers: beside spring, which the setting names, spring-2 is a campaign like any other."""
    async with Worker(redis_url, postgres_url, tmp_path, demo_campaign="spring") as worker:
        await worker.publish("spring", stock=1)
        await worker.publish("spring-2", stock=7)
        made = (await worker.http.post("/demo/ticket", json={"visitor": VISITOR})).json()
        assert ((await worker.http.get("/demo/sale")).json()["id"], made["campaign"]) == ("spring", "spring")


async def test_a_rush_does_not_wait_for_redis_one_by_one(
    redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is away one visitor waits for it and the others are told at once; afterwards all see the sale."""
    async with Worker(redis_url, postgres_url, tmp_path, demo_campaign="demo") as worker:
        await worker.publish("demo")
        shards, looks = worker.services.demo._shards, 0

        async def away(*_: object) -> None:
            nonlocal looks
            looks += 1
            await asyncio.sleep(0)
            raise Refusal("not_ready")

        with monkeypatch.context() as patch:
            patch.setattr("gateway.demo.sale.LOOKED_S", 60.0)
            patch.setattr(shards, "look_all", away)
            answers = await asyncio.gather(*(worker.http.get("/demo/sale") for _ in range(20)))
        assert ([each.status_code for each in answers], looks) == ([503] * 20, 1)
        worker.services.demo._away_at_s -= 60
        assert (await worker.http.get("/demo/sale")).status_code == 200


async def test_a_rush_for_tickets_leaves_the_limits_on_codes_alone(
    redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """Where every connection that tickets are counted by is taken, who guesses codes is counted as ever."""
    async with Worker(redis_url, postgres_url, tmp_path, demo_campaign="demo", code_failures_holder_max=2) as worker:
        await worker.publish("demo")
        pool: Any = worker.services.demo._limiter.redis.connection_pool
        taken = [await pool.get_connection() for _ in range(CONNECTIONS_MAX)]
        pool.timeout = 0.1  # nobody gives one back
        refused = await worker.http.post("/demo/ticket", json={"visitor": VISITOR})
        guesses = [await worker.http.get("/v1/coupons/GUESSED-1", headers=worker.token("h")) for _ in range(4)]
        for each in taken:
            await pool.release(each)
        assert refused.status_code == 503
        assert [each.status_code for each in guesses] == [404, 404, 429, 429]
