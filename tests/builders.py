"""Valid by default, override one thing: rules, asks, and a shard to run scripts on."""

import time
from base64 import b32encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway.asks import Rush
from lua.door import Door, stream_fields
from lua.entries import Entry, decode_entry
from lua.keys import PARTS, CampaignId, Shard
from lua.scripts import Script, load_script

pack = msgspec.msgpack.encode
unpack = msgspec.msgpack.decode
HOUR_MS = 3_600_000


def now_ms() -> int:
    """This machine's clock, which is also the test servers'."""
    return int(time.time() * 1000)


def amid_a_day(*zones: str) -> str:
    """The first of *zones* where it is not soon midnight: what a test has happen on one day must not come to two."""
    return next(zone for zone in zones if datetime.now(ZoneInfo(zone)).hour < 22)


def a_day(ms: int) -> str:
    """A midnight as rules hold it."""
    return f"{ms:011x}"


def some_rules(**changes: Any) -> dict[str, str]:
    """Rules of an open campaign, one a holder, no other limit; *changes* override."""
    now = now_ms()
    rules = {
        "version": 1,
        "state": "open",
        "starts_ms": now - HOUR_MS,
        "ends_ms": now + HOUR_MS,
        "per_holder": 1,
        "per_holder_per_day": "",
        "per_day": "",
        "budget_minor": "",
        "unit_minor": 500,
        "validity_ms": 24 * HOUR_MS,
        "until_ms": "",
        "channels": ",app,web,",
        "days": "",
        "value": '{"type":"amount_off","minor":500,"threshold_minor":3000}',
        "kind": "once",
        "terms": "{}",
        "transferable": "",
        "expiry_returns": "",
        "revoke_returns": "",
        "currency": "CNY",
        "frozen": "f1",
        "shards": 1,
        "number": 1,
        "name": "Test",
        "timezone": "UTC",
    }
    return {name: str(value) for name, value in {**rules, **changes}.items()}


def a_code(text: str) -> str:
    """18 characters that look like a code, the same for the same *text*."""
    return b32encode(sha256(text.encode()).digest()).decode()[:18]


def an_idem(key: str, payload: str = "") -> str:
    """12 characters as lua.keys gives: 8 of the key, 4 of the payload."""
    return a_code("k" + key)[:8] + a_code("p" + payload)[:4]


def an_ask(holder: str, key: str = "", code: str = "", channel: str = "", payload: str = "") -> list[str]:
    """One ask, flat; key and code default to something of the holder's own."""
    key = key or f"key of {holder}"
    return [holder, an_idem(key, payload), code or a_code(f"{holder} {key}"), channel]


def a_redeem(
    number: str, code: str, order: str = "", *, holder: str = "", key: str = "", payload: str = "p", charge: str = "",
    minor: int = 500, detail: str = "{}",
) -> list[str]:  # fmt: skip
    """One ask of redeem.lua, flat; order and key default to something of the redemption's own."""
    order = order or f"order of {number}"
    key = key or f"key of {number}"
    return [number, code, order, holder, key, f"{code} {order}", payload, charge, str(minor), detail]


def a_rollback(
    number: str, minor: int, *, number_before: int = 0, key: str = "", payload: str = "p", fate: str = "restore",
    extend_ms: int = 0, returns: str = "", detail: str = "{}",
) -> list[str | int]:  # fmt: skip
    """One ask of rollback.lua, flat, the one after *number_before* others; its key defaults to one of its own."""
    key = key or f"key of rollback {number_before + 1} of {number}"
    return [number, key, payload, number_before, str(minor), fate, extend_ms, returns, detail]


class ShardUnderTest:
    """A shard on a real server, driven through its scripts."""

    def __init__(self, door: Door, campaign: str = "c", number: int = 0) -> None:
        self.door, self.shard = door, Shard(CampaignId(campaign), number)
        self._adjustments, self._last_id = 0, b"-"

    async def publish(self, *, fresh: bool = True, epoch: int = 1, **changes: Any) -> int:
        """publish.lua with some_rules(**changes)."""
        flat = [part for item in some_rules(**changes).items() for part in item]
        return int(await self.door.call(load_script("publish"), self.shard, int(fresh), epoch, pack(flat)))

    async def adjust(self, delta: int, key: str = "") -> list[int]:
        """adjust.lua with a key of its own unless one is given."""
        self._adjustments += 1
        key = key or f"adjustment {self._adjustments}"
        return list(await self.door.call(load_script("adjust"), self.shard, key, delta, "why", "who"))

    async def claim(self, *asks: list[str], script: Script | None = None) -> Rush:
        """claim.lua with *asks*."""
        flat = [part for ask in asks for part in ask]
        reply = await self.door.call(script or load_script("claim"), self.shard, pack(flat))
        return msgspec.msgpack.decode(reply, type=Rush)

    async def ask(self, name: str, *asks: str | int, head: Sequence[bytes | str | int] = ()) -> list[Any]:
        """What the script *name*, which takes a list of asks, answers to each of them."""
        reply = unpack(await self.door.call(load_script(name), self.shard, *head, pack(asks)))
        replies: list[Any] = reply if name == "expire" else reply[-1]
        return replies

    async def rule(self, **changes: Any) -> None:
        """Set rules behind the scripts' back, to bring about what no campaign can hold."""
        await self.door.redis.hset(self.shard.key("rules"), mapping={name: str(v) for name, v in changes.items()})

    async def dump(self) -> dict[str, Any]:
        """Every key of the shard with all it holds; two equal dumps are one state."""
        return {part: await self._value(self.shard.key(part)) for part in PARTS}

    async def _value(self, key: str) -> Any:
        redis = self.door.redis
        match await redis.type(key):
            case b"hash":
                return await redis.hgetall(key)
            case b"string":
                return await redis.get(key)
            case b"zset":
                return await redis.zrange(key, 0, -1, withscores=True)
            case b"stream":
                return await redis.xrange(key)
            case kind:
                return kind

    async def entries(self) -> list[Entry]:
        """What is on the stream, decoded."""
        records: Any = await self.door.redis.xrange(self.shard.key("entries"))
        return [decode_entry(stream_fields(fields)) for _, fields in records]

    async def new_entries(self) -> list[Entry]:
        """What came on the stream since this was called last."""
        start = self._last_id if self._last_id == b"-" else b"(" + self._last_id
        records: Any = await self.door.redis.xrange(self.shard.key("entries"), min=start)
        if records:
            self._last_id = records[-1][0]
        return [decode_entry(stream_fields(fields)) for _, fields in records]

    async def stock(self) -> int:
        """Coupons left."""
        stock: Any = await self.door.redis.get(self.shard.key("stock"))
        return int(stock)


async def open_shard(door: Door, stock: int = 10, campaign: str = "c", **changes: Any) -> ShardUnderTest:
    """A published shard with *stock* coupons and some_rules(**changes)."""
    shard = ShardUnderTest(door, campaign)
    assert await shard.publish(**changes) == 1
    if stock:
        assert (await shard.adjust(stock, "initial"))[0] == 1
    return shard
