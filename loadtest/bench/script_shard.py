"""
A shard driven through the product's own scripts, without a gateway: published, stocked, claimed from.

The one module of the benchmark that knows the scripts: it measures them. What judges a run (books.py) does not.
"""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import redis

from loadtest.bench.script_asks import asks, packed_calls
from loadtest.bench.script_server import served
from loadtest.bench.script_wire import Run, Written, exchange, joined, resp, timed
from lua.keys import PARTS, CampaignId, Shard
from lua.scripts import Script, load_script

DAY_MS = 86_400_000
CLAIMS_IN_FLIGHT = 512
"""Kept on the way, in as many calls as that makes, so that the server never waits for the client."""
CALLS_IN_FLIGHT_MIN = 4
PRELOAD_CLAIMS_PER_CALL = 128
PRELOAD_CHUNK_CLAIMS = 10_240
LOOK_UPS = 100_000
_LOOK_UP = """local absent = {}
for at = 1, 1000 do absent[at] = '-' .. at end
for _ = 1, ARGV[1], 1000 do redis.call('HMGET', KEYS[1], unpack(absent)) end"""


class ShardDriver:
    """One shard on a server, made by open_shard() or found on a running system."""

    def __init__(self, store: "redis.Redis", campaign: str) -> None:
        self._store, self._served = store, served(store)
        self._shard = Shard(CampaignId(campaign), 0)
        number: Any = store.hget(self._shard.key("rules"), "number")
        self._number = int(number or 1)
        self._claim, self._holders = load_script("claim"), 0
        store.script_load(self._claim.source)

    def left(self) -> int:
        """Coupons in stock."""
        stock: Any = self._store.get(self._shard.key("stock"))
        return int(stock or 0)

    def run(self, claims: int, claims_per_call: int) -> Run:
        """
        Claim *claims* coupons for holders that have none, timed from the first byte to the last answer.

        Errors: RuntimeError unless exactly as many coupons left the stock.
        """
        in_flight = max(CALLS_IN_FLIGHT_MIN, CLAIMS_IN_FLIGHT // claims_per_call)
        written = list(joined(self._calls(claims, claims_per_call), in_flight // 2))
        stock = self.left()
        run = timed(self._store, self._served.pid, claims, written)
        if stock - self.left() != claims:
            raise RuntimeError(f"{claims} claims took {stock - self.left()} coupons out of the stock")
        return run

    def preload(self, coupons: int) -> None:
        """Claim *coupons* coupons through the script, the stream kept short; untimed, so packed as it goes."""
        stock, trim = self.left(), resp("XTRIM", self._shard.key("entries"), "MAXLEN", 0)
        exchange(self._store, self._preload_written(coupons, trim))
        if stock - self.left() != coupons:
            raise RuntimeError(f"a preload of {coupons} took {stock - self.left()} coupons out of the stock")

    def _preload_written(self, coupons: int, trim: bytes) -> Iterator[Written]:
        for at in range(0, coupons, PRELOAD_CHUNK_CLAIMS):
            calls = self._calls(min(PRELOAD_CHUNK_CLAIMS, coupons - at), PRELOAD_CLAIMS_PER_CALL)
            for written in joined(calls, len(calls)):
                yield Written(written.answers + 1, written.data + trim)

    def _calls(self, claims: int, claims_per_call: int) -> list[bytes]:
        first, self._holders = self._holders, self._holders + claims
        flat, keys = asks(first, claims, self._number, self._shard.number), self._claim.keys(self._shard)
        return list(packed_calls(self._claim.digest, keys, self._served.run_id, flat, claims_per_call))

    def trim(self) -> None:
        """Empty the stream, as the drain would once the books have it."""
        self._store.xtrim(self._shard.key("entries"), maxlen=0, approximate=False)

    def end_resizing(self) -> None:
        """
        Look up as many fields as a hash has, in each large hash of the shard; none of them is there.

        A hash is resized bit by bit: each look-up moves one bucket, and it has no more old buckets than fields.
        """
        for key in map(self._shard.key, PARTS):
            fields: Any = self._store.hlen(key) if self._store.type(key) == b"hash" else 0
            for _ in range(0, fields, LOOK_UPS):
                self._store.eval(_LOOK_UP, 1, key, str(LOOK_UPS))

    def drop(self) -> None:
        """Delete the shard, at once and not in the background, where it would cost the next measure."""
        self._store.delete(*map(self._shard.key, PARTS))


def open_shard(store: "redis.Redis", campaign: str, stock: int) -> ShardDriver:
    """Publish a campaign of one shard that is open for a day, one coupon a holder, and put *stock* into it."""
    shard, server = Shard(CampaignId(campaign), 0), served(store).run_id
    flat = [part for item in _rules().items() for part in item]
    published = _call(store, load_script("publish"), shard, server, "1", "1", msgspec.msgpack.encode(flat))
    adjusted = _call(store, load_script("adjust"), shard, server, "initial", stock, "bench", "bench")
    driver = ShardDriver(store, campaign)
    if driver.left() != stock:
        raise RuntimeError(f"{campaign} did not open: publish answered {published}, adjust {adjusted}")
    return driver


def _call(store: "redis.Redis", script: Script, shard: Shard, *arguments: bytes | str | int) -> Any:
    keys = script.keys(shard)
    return store.eval(script.source, len(keys), *keys, *arguments)


def _rules() -> dict[str, str]:
    """What the gateway compiles of a plain campaign: a limit of one a holder, and the midnights of its window."""
    now_ms = int(time.time() * 1000)
    midnight_ms = now_ms - now_ms % DAY_MS
    return {
        "version": "1", "state": "open", "starts_ms": str(now_ms - DAY_MS), "ends_ms": str(now_ms + DAY_MS),
        "per_holder": "1", "per_holder_per_day": "", "per_day": "", "budget_minor": "", "unit_minor": "500",
        "validity_ms": str(7 * DAY_MS), "until_ms": "", "channels": ",app,", "frozen": "bench",
        "days": "".join(f"{midnight_ms + days * DAY_MS:011x}" for days in range(-1, 3)),
        "value": '{"type":"amount_off","minor":500,"threshold_minor":3000}', "currency": "CNY",
        "shards": "1", "number": "1", "name": "Bench", "timezone": "UTC",
    }  # fmt: skip
