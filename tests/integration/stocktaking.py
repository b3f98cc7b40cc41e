"""A sale to take stock of: a campaign with limits and a budget, coupons in every state, drained."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import AsyncConnection

from lua.door import Door
from lua.keys import Shard
from lua.scripts import load_script
from reconciler.stocktake import Stocktake, Wanted, take
from tests.builders import ShardUnderTest, a_day, amid_a_day, now_ms, pack
from tests.integration.draining import Books, draining
from tests.integration.life import HOUR_MS, LifeSale

DAY_MS = 24 * HOUR_MS
LIMITS = {"per_holder": 3, "per_holder_per_day": 3, "per_day": 500, "budget_minor": 100_000}
ENDS = {"on_expiry": {"stock": "restore", "holder_slot": "restore"}, "on_revoke": {"holder_slot": "restore"}}


async def open_stocked(
    door: Door, books: Books, campaign: str = "c", stock: int = 100, kind: str = "amount_off", **rules: Any
) -> LifeSale:
    """A published campaign of one shard, its definition in the books as the gateway writes it; all is of one day."""
    zone = amid_a_day("UTC", "Etc/GMT+12")
    definition = json.dumps(
        {
            "timezone": zone,
            "currency": "CNY",
            "shards": 1,
            "value": {"type": kind, "minor": 500},
            "limits": LIMITS,
            **ENDS,
        }
    )
    books.rows(
        "INSERT INTO campaigns (id, version, state, definition) VALUES (%s, 1, 'scheduled', %s)", campaign, definition
    )
    books.rows(
        "INSERT INTO campaign_versions (campaign, version, state, definition, changed_by) "
        "VALUES (%s, 1, 'scheduled', %s, 'test')",
        campaign,
        definition,
    )
    books.rows("INSERT INTO checkpoints (shard, campaign) VALUES (%s, %s)", f"{campaign}/0", campaign)
    midnight = round(datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
    shard = ShardUnderTest(door, campaign)
    texts: dict[str, Any] = {"expiry_returns": "stock,slot", "revoke_returns": "slot", **LIMITS, **rules}
    texts["days"] = a_day(midnight) + a_day(midnight + DAY_MS)
    assert await shard.publish(kind="balance" if kind == "balance" else "once", **texts) == 1
    assert (await shard.adjust(stock))[0] == 1
    return LifeSale(shard, books)


async def live(sale: LifeSale) -> dict[str, str]:
    """A coupon in every state, by what became of it; two holders have two coupons."""
    codes = {name: await sale.claim_one(name) for name in ("kept", "held", "spent", "back", "revoked", "late")}
    await sale.reserve(codes["held"])
    await sale.redeem("RD-spent", codes["spent"], "o-2")
    await sale.redeem("RD-back", codes["back"], "o-3")
    await sale.roll_back("RD-back", 500)
    await sale.revoke(codes["revoked"])
    await sale.on.rule(validity_ms=0)
    codes["over"] = await sale.claim_one("over")
    await sale.on.rule(validity_ms=DAY_MS)
    assert (await sale.expire(codes["over"]))[0] > 1
    chunk = ["cb_1", 0, 3, now_ms() + DAY_MS, f"{sale.name} MANY"]
    if sale.on.shard.campaign != "balance":
        assert (await sale.on.door.call(load_script("issue"), sale.on.shard, pack(chunk)))[0] == 1
        codes["many"] = f"{sale.name} MANY"
        await sale.reserve(codes["many"], "o-5")
        await sale.redeem("RD-many", codes["many"], "o-6")
    return codes


async def drain_all(sale: LifeSale, redis_url: str) -> None:
    """Bring the books to the tail."""
    async with draining(redis_url, sale.books.url, call_ms_max=30_000, postgres_ms_max=30_000):
        pass
    assert await sale.drained()


async def stocktake(sale: LifeSale, samples: int = 50, wanted: Wanted | None = None) -> Stocktake:
    """What a stocktake of the one shard finds, by the role of the clerk."""
    shard: Shard = sale.on.shard
    async with await AsyncConnection.connect(
        sale.books.url, autocommit=True, options="-c role=fairclaim_clerk"
    ) as connection:
        [taken] = await take(sale.on.door, connection, [shard], samples, {shard: wanted or Wanted()})
    return taken


def by_hand(books: Books, statement: str, *values: object) -> None:
    """A change of the books behind their back: their owner's, with the triggers off."""
    with psycopg.connect(books.url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        assert connection.execute(statement.encode(), values or None).rowcount > 0
