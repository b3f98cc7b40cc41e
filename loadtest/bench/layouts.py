"""
Other ways to keep a claim in Redis, side by side: bytes a coupon, and CPU of a claim's reads and writes.

Each layout keeps the same for a claim (holder → idempotency hash and code, code → record) and is filled by calls of 128
that look both up, then write both, as the claim script does and with nothing else around it. Costs are of the last
tenth of the filling, where no hash table is resized.
"""

import random
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple
from zlib import crc32

import msgspec
import redis

from loadtest.bench.script_asks import ASK_PARTS, asks
from loadtest.bench.script_server import served, used_bytes
from loadtest.bench.script_wire import Run, exchange, joined, resp, timed

CLAIMS_PER_CALL = 128
CALLS_AT_ONCE = 2
TAG = "fc:{bench/0}:"

Claim = list[str | int]
"""Holder, idempotency hash, code, and the buckets of holder and code; the last two are used by buckets only."""


class LayoutCost(msgspec.Struct, frozen=True):
    """What a layout costs. Units: bytes a coupon that is out; microseconds of the server's thread a claim."""

    name: str
    coupon_bytes: float
    write_us: float
    read_us: float


class Layout(NamedTuple):
    """*read* and *write* are Lua over the lists holders, codes, held (value of a holder) and records (of a code)."""

    name: str
    read: str
    write: str
    packed: bool = False
    bucket_fields: int = 0


_HEAD = """
local asks, holders, codes, held, records = cmsgpack.unpack(ARGV[1]), {}, {}, {}, {}
local holder_key, code_key = KEYS[1], KEYS[2]
for i = 1, #asks / 5 do
  local at = i * 5 - 4
  holders[i], codes[i], held[i] = asks[at], asks[at + 2], asks[at + 1] .. asks[at + 2]
  records[i] = struct.pack('>c1I5I6I6', 'c', i, 1767225600000, 1767830400000) .. asks[at]
end
local function pairs_of(command, fields, values)
  for i = 1, #fields do command[#command + 1], command[#command + 2] = fields[i], values[i] end
  return command
end
local function both(prefix_of_holder, prefix_of_code)
  local names = {}
  for i = 1, #holders do names[i], names[#holders + i] = prefix_of_holder .. holders[i], prefix_of_code .. codes[i] end
  return names
end
local function values()
  local all = {}
  for i = 1, #held do all[i], all[#held + i] = held[i], records[i] end
  return all
end
"""
_TWO_READ = "redis.call('HMGET', holder_key, unpack(holders)) redis.call('HMGET', code_key, unpack(codes))"
_TWO_WRITE = """redis.call(unpack(pairs_of({ 'HSET', holder_key }, holders, held)))
redis.call(unpack(pairs_of({ 'HSET', code_key }, codes, records)))"""
_BUCKET_READ = """for i = 1, #holders do
  redis.call('HGET', holder_key .. asks[i * 5 - 1], holders[i])
  redis.call('HGET', code_key .. asks[i * 5], codes[i])
end"""
_BUCKET_WRITE = """for i = 1, #holders do
  redis.call('HSET', holder_key .. asks[i * 5 - 1], holders[i], held[i])
  redis.call('HSET', code_key .. asks[i * 5], codes[i], records[i])
end"""

LAYOUTS = (
    Layout("two hashes, as shipped", _TWO_READ, _TWO_WRITE),
    Layout("two hashes, binary codes", _TWO_READ, _TWO_WRITE, packed=True),
    Layout(
        "one hash for both",
        "redis.call('HMGET', holder_key, unpack(both('h', 'c')))",
        "redis.call(unpack(pairs_of({ 'HSET', holder_key }, both('h', 'c'), values())))",
    ),
    Layout(
        "one key a coupon",
        "redis.call('MGET', unpack(both(holder_key .. ':', code_key .. ':')))",
        "redis.call(unpack(pairs_of({ 'MSET' }, both(holder_key .. ':', code_key .. ':'), values())))",
    ),
    *(
        Layout(f"buckets of {fields} fields", _BUCKET_READ, _BUCKET_WRITE, bucket_fields=fields)
        for fields in (32, 128, 400)
    ),
)


def layout_costs(store: "redis.Redis", *, coupons: int, rounds: int, say: Callable[[str], None]) -> list[LayoutCost]:
    """Fill each layout in turn with *coupons* claims, *rounds* times. The server is emptied each time."""
    found: dict[str, list[LayoutCost]] = {layout.name: [] for layout in LAYOUTS}
    for number in range(rounds):
        for layout in LAYOUTS:
            found[layout.name].append(_fill(store, layout, coupons))
        say(f"layouts: round {number + 1} of {rounds}")
    return [
        LayoutCost(
            name,
            median(cost.coupon_bytes for cost in several),
            median(cost.write_us for cost in several),
            median(cost.read_us for cost in several),
        )
        for name, several in found.items()
    ]


def _fill(store: "redis.Redis", layout: Layout, coupons: int) -> LayoutCost:
    store.flushall(asynchronous=False)
    # As both servers have it by default; said here, because a lower bound would turn the buckets into tables.
    store.config_set("hash-max-listpack-entries", 512)
    store.config_set("hash-max-listpack-value", 64)
    before = used_bytes(store)
    claims = claims_of(layout, coupons)
    untimed = coupons * 9 // 10
    write = store.script_load(_HEAD + layout.read + "\n" + layout.write)
    exchange(store, joined(_calls(write, claims[:untimed]), CALLS_AT_ONCE))
    written = _timed(store, write, claims[untimed:])
    used = used_bytes(store) - before
    some = random.Random(1).sample(claims, coupons - untimed)  # noqa: S311 - a fair sample, not a secret
    read = _timed(store, store.script_load(_HEAD + layout.read), some)
    store.flushall(asynchronous=False)
    return LayoutCost(layout.name, used / coupons, written.main_us, read.main_us)


def claims_of(layout: Layout, coupons: int) -> list[Claim]:
    """
    Claims of new holders in the form *layout* takes them.

    Packed ones have as many bytes as idempotency hash and code have without base64 and base32: 9 and 8.
    """
    flat = asks(0, coupons)
    buckets = max(1, coupons // layout.bucket_fields) if layout.bucket_fields else 1
    claims: list[Claim] = []
    for at in range(0, len(flat), ASK_PARTS):
        holder, idem, code = flat[at : at + 3]
        places = crc32(holder.encode()) % buckets, crc32(code.encode()) % buckets
        kept = [idem[:9], code[5:13]] if layout.packed else [idem, code]
        claims.append([holder, *kept, *places])
    return claims


def _calls(digest: str, claims: Sequence[Claim]) -> list[bytes]:
    keys = TAG + "holders", TAG + "coupons"
    calls = []
    for at in range(0, len(claims), CLAIMS_PER_CALL):
        flat = [part for claim in claims[at : at + CLAIMS_PER_CALL] for part in claim]
        calls.append(resp("EVALSHA", digest, 2, *keys, msgspec.msgpack.encode(flat)))
    return calls


def _timed(store: "redis.Redis", digest: str, claims: Sequence[Claim]) -> Run:
    return timed(store, served(store).pid, len(claims), list(joined(_calls(digest, claims), CALLS_AT_ONCE)))


def layout_lines(costs: Sequence[LayoutCost]) -> list[str]:
    """The comparison for a screen; nothing when there was none."""
    if not costs:
        return []
    return [
        f"{'layout':<26}{'bytes a coupon':>16}{'µs a write':>12}{'µs a read':>11}",
        *(f"{one.name:<26}{one.coupon_bytes:>16.0f}{one.write_us:>12.2f}{one.read_us:>11.2f}" for one in costs),
    ]
