"""What damage does to a stocktake: it is a break like any other, it hides no other shard's, and it ends no break."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from lua.door import Door
from reconciler.ledger import connect_options
from reconciler.poster import post_approved
from reconciler.stocktake import take
from reconciler.stocktake.comparing import Stocktake
from reconciler.stocktake.continuous import Stocktaking
from tests.conftest import redis_binaries
from tests.integration.draining import Books
from tests.integration.life import LifeSale
from tests.integration.site_http import Http, open_http
from tests.integration.stocktaking import drain_all, live, open_stocked, stocktake
from tests.integration.tilling import done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

ENDS = {"resolution": "it is over", "compensation": "nothing"}


class Sold:
    """A sale in every state, drained, and a gateway to speak of it."""

    def __init__(self, sale: LifeSale, codes: dict[str, str], http: Http) -> None:
        self.sale, self.codes, self.http = sale, codes, http
        self.redis: Any = sale.on.door.redis
        self.key = sale.on.shard.key

    async def take(self) -> dict[str, Any]:
        """What POST /v1/stocktakes says of the shard."""
        taken = done(await self.http.ask("POST", "/v1/stocktakes", "finance", {"shard": "c/0", "samples": 100}))
        [shard] = taken["shards"]
        return dict(shard)

    async def breaks(self) -> dict[str, int]:
        """Kind and figure of every open break → its id."""
        items = done(await self.http.ask("GET", "/v1/breaks?state=open", "auditor"), 200)["items"]
        return {f"{one['kind']} {one['figure']}": one["id"] for one in items}


@pytest.fixture
async def sold(door: Door, redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Sold]:
    """A sale in every state, drained."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        codes = await live(sale)
        await drain_all(sale, redis_url)
        async with open_http(redis_url, postgres_url, tmp_path) as http:
            yield Sold(sale, codes, http)


async def test_records_of_zero_bytes_are_breaks(sold: Sold) -> None:
    """PostgreSQL keeps no zero byte in a text, and damage is full of them: it is written down all the same."""
    redis, codes = sold.redis, sold.codes
    record = await redis.hget(sold.key("coupons"), codes["kept"])
    await redis.hset(sold.key("coupons"), codes["kept"], record[:18] + bytes(4))
    await redis.hset(sold.key("holders"), "late", bytes(30))
    await redis.hset(sold.key("holders"), "no\0body", bytes(30))
    await redis.zadd(sold.key("holds"), {codes["held"]: "inf"})
    taken = await sold.take()
    assert taken["unfinished"] == ""
    expected = {f"coupon {codes['kept']}", f"coupon {codes['held']}", "holder late", "holder no\\x00body"}
    assert {f"{one['kind']} {one['name']}" for one in taken["found"]} == expected
    open_breaks = await sold.breaks()
    assert open_breaks.keys() == expected
    for number in open_breaks.values():  # a name that is written with an escape is looked at again by what it is
        assert told(await sold.http.ask("POST", f"/v1/breaks/{number}/resolve", "finance", ENDS))[1] == "break_remains"


async def test_a_version_that_is_no_number_is_no_end_of_a_stocktake(sold: Sold) -> None:
    """Rules that name no version of the books are compared without their limits, whatever digits they are of."""
    for version in ("²", "9" * 5000):
        await sold.redis.hset(sold.key("rules"), "version", version)
        taken = await sold.take()
        assert (taken["unfinished"], "stock" in taken["figures"]) == ("", True)


async def test_a_break_of_a_shard_that_can_not_be_compared_stays(sold: Sold) -> None:
    """Redis has another history: a stocktake says just that, so no figure that differed before is taken for good."""
    await sold.redis.incrby(sold.key("stock"), -5)
    await sold.take()
    open_breaks = await sold.breaks()
    await sold.redis.hset(sold.key("rules"), "epoch", "77")
    refused = await sold.http.ask("POST", f"/v1/breaks/{open_breaks['figure stock']}/resolve", "finance", ENDS)
    assert told(refused) == (503, "not_ready")
    assert "figure stock" in await sold.breaks()


async def test_a_coupon_that_was_not_compared_stays_a_break(sold: Sold, redis_url: str) -> None:
    """Its books say another holder, and it changes at this moment: that he was compared says nothing of the coupon."""
    code = sold.codes["kept"]
    record = await sold.redis.hget(sold.key("coupons"), code)
    await sold.redis.hset(sold.key("coupons"), code, record[:18] + b"thief")
    await sold.take()
    number = (await sold.breaks())[f"coupon {code}"]
    await sold.sale.reserve(code, "o-77")  # on the stream, and not in the books yet
    assert told(await sold.http.ask("POST", f"/v1/breaks/{number}/resolve", "finance", ENDS)) == (503, "not_ready")


async def test_what_is_paid_to_a_merchant_was_spent_all_the_same(door: Door, redis_url: str, postgres_url: str) -> None:
    """A payout about a shard of balances leaves its budget as it is: paying what is owed un-spends nothing."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books, "balance", kind="balance")
        code = await sale.claim_one("spender")
        await sale.redeem("RD-1", code, "o-11", minor=200)
        await drain_all(sale, redis_url)
        [(payable,)] = books.rows("SELECT DISTINCT account FROM account_days WHERE account LIKE 'payable%'")
        before = await stocktake(sale)
        assert before.is_clean
        line = {"debit": payable, "credit": "clearing:gift", "commodity": "CNY", "minor": 150}
        books.rows(
            "INSERT INTO manual_journals (id, entity, effective_date, about, reason, lines, state, made_by, checked_by,"
            " checked_at) VALUES ('mj_1', 'main', '2026-11-29', 'balance/0', 'paid', %s, 'approved', 'a', 'b', now())",
            json.dumps([line]),
        )
        conninfo = connect_options(postgres_url, postgres_ms_max=60_000, connect_ms_max=30_000, session={})
        async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
            assert await post_approved(connection) == 1
        assert books.value("SELECT state FROM manual_journals") == "posted"
        taken = await stocktake(sale)
        assert taken.is_clean, taken.found
        assert taken.figures["budget_left"] == before.figures["budget_left"]


async def test_a_shard_that_fails_keeps_no_other_from_being_compared(
    door: Door, redis_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The clerk says that the one failed, and takes stock of the next, in every round."""

    async def fail_on_first(door: Any, connection: Any, shards: Any, samples: int) -> list[Stocktake]:
        if str(shards[0]) == "a/0":
            raise ValueError("nobody thought of this")
        return await take(door, connection, shards, samples)

    monkeypatch.setattr("reconciler.stocktake.continuous.take", fail_on_first)
    with Books(postgres_url) as books:
        for campaign in ("a", "c"):
            await open_stocked(door, books, campaign)
        clerk = Stocktaking(redis_url, postgres_url, every_s=0, samples=10, call_ms_max=30_000, connect_ms_max=30_000)
        try:
            with caplog.at_level(logging.ERROR, "fairclaim.clerk"):
                await clerk.once("w")
                await clerk.once("w")
        finally:
            await clerk.close()
        assert books.rows("SELECT DISTINCT shard FROM stocktakes") == [("c/0",)]
        assert [record.getMessage() for record in caplog.records] == ["a/0 could not be compared"] * 2
