"""A shard whose clock the test sets, codes many may use, packed records as values, the unit book of its entries."""

import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec

from gateway.asks import Rush
from lua.door import Door
from lua.entries import Adjusted, Changed, Claimed, Entry, Issued, Step
from lua.scripts import Script, load_script
from lua.tally import COUNTED
from tests.builders import HOUR_MS, ShardUnderTest, an_ask, now_ms, pack, unpack

_CLOCK = "the clock of the test"
_TIME = "local time = redis.call('TIME')\n  return time[1] * 1000 + math.floor(time[2] / 1000)"
WORDS = {"c": "claimed", "r": "reserved", "u": "redeemed", "x": "expired", "v": "revoked"}


@cache
def clocked(name: str) -> Script:
    """The script *name*, reading a clock that the test sets instead of Redis TIME."""
    script = load_script(name)
    assert script.source.count(_TIME) == 1, f"{name} does not read the clock in the one known way"
    return replace(script, source=script.source.replace(_TIME, f"return tonumber(redis.call('GET', '{_CLOCK}'))"))


class Record(msgspec.Struct, frozen=True):
    """A coupon's packed record."""

    state: str
    seq: int
    claimed_ms: int
    expires_ms: int
    holder: str

    @classmethod
    def read(cls, packed: bytes) -> "Record":
        """As lib/coupon.lua packs it."""
        times = packed[1:6], packed[6:12], packed[12:18]
        seq, claimed_ms, expires_ms = (int.from_bytes(part, "big") for part in times)
        return cls(packed[:1].decode(), seq, claimed_ms, expires_ms, packed[18:].decode())


class LifeShard(ShardUnderTest):
    """
    A shard driven through its scripts at the instant *now*, which stands still until it is moved.

    With load_script for *scripts* it has the clock of Redis, as outside of tests.
    """

    def __init__(self, door: Door, campaign: str = "c", scripts: Callable[[str], Script] = clocked) -> None:
        super().__init__(door, campaign)
        self.now, self.scripts = now_ms(), scripts

    async def move_to(self, at_ms: int) -> None:
        """It is *at_ms* from now on."""
        self.now = at_ms
        await self.door.redis.set(_CLOCK, at_ms)

    async def ask(self, name: str, *asks: str | int, head: Sequence[bytes | str | int] = ()) -> list[Any]:
        reply = unpack(await self.door.call(self.scripts(name), self.shard, *head, pack(asks)))
        if name != "expire" and self.scripts is clocked:
            assert reply[0] == self.now
        replies: list[Any] = reply if name == "expire" else reply[-1]
        return replies

    async def claim(self, *asks: list[str], script: Script | None = None) -> Rush:
        return await super().claim(*asks, script=script or self.scripts("claim"))

    async def redeem(self, *asks: list[str], frozen: str = "f1") -> list[Any]:
        """redeem.lua with asks of a_redeem()."""
        return await self.ask("redeem", *[part for ask in asks for part in ask], head=[frozen])

    async def rollback(self, *asks: list[str | int]) -> list[Any]:
        """rollback.lua with asks of a_rollback()."""
        return await self.ask("rollback", *[part for ask in asks for part in ask])

    async def reserve(self, code: str, order: str, *, holder: str = "", by: str = "by", ttl_ms: int = 1000) -> Any:
        """reserve.lua with one ask."""
        return (await self.ask("reserve", code, order, holder, by, ttl_ms, "{}"))[0]

    async def claimed(self, *holders: str) -> list[str]:
        """One more coupon for each of *holders*; gives their codes."""
        rush = await self.claim(*(an_ask(holder) for holder in holders))
        assert all(isinstance(reply, int) and reply > 0 for reply in rush.replies), rush.replies
        return [an_ask(holder)[2] for holder in holders]

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Nothing is written in the body: every key is as it was."""
        before = await self.dump()
        yield
        assert await self.dump() == before

    async def lapse(self, limit: int = 100) -> list[int]:
        """lapse.lua."""
        return list(unpack(await self.door.call(self.scripts("lapse"), self.shard, limit)))

    async def inspect(self, *asks: str) -> list[Any]:
        """inspect.lua with codes and orders in turn."""
        return await self.ask("inspect", *asks, head=[""])

    async def recall(self, number: str) -> list[Any]:
        """recall.lua: ready, record, state of the coupon, left."""
        reply = unpack(await self.door.call(self.scripts("recall"), self.shard, "f1", number))
        assert reply[2:4] == ["f1", ""]
        return [reply[1], *reply[4:]]

    async def held(self, holder: str) -> list[Any]:
        """held.lua."""
        return list(unpack(await self.door.call(self.scripts("held"), self.shard, holder, with_server=False)))

    async def issue_shared(self, code: str, units: int, *, unit_minor: int = 500, expires_ms: int = 0) -> int:
        """A code that *units* may use, written as issue.lua writes it; gives its seq."""
        redis, key = self.door.redis, self.shard.key
        seq = int(await redis.hincrby(key("counters"), "seq", 1))
        expires_ms = expires_ms or self.now + 24 * HOUR_MS
        times = seq.to_bytes(5, "big") + self.now.to_bytes(6, "big") + expires_ms.to_bytes(6, "big")
        await redis.hset(key("coupons"), code, struct.pack("c", b"c") + times)
        await redis.hset(key("uses"), code, pack([units, units, "", "", 0, 0]))
        await redis.hincrby(key("counters"), "claimed", units)
        await redis.decrby(key("stock"), units)
        if await redis.hget(key("rules"), "budget_minor"):
            await redis.hincrby(key("counters"), "budget_used", units * unit_minor)
        entry = Issued(1, 1, 1, self.now, seq, expires_ms, str(unit_minor), "b-1", units, [code])
        await redis.xadd(key("entries"), {"seq": seq, "count": 1, "entry": pack(entry)})
        return seq

    async def records(self) -> dict[str, Record]:
        """Every coupon."""
        return {code: Record.read(packed) for code, packed in (await self.fields("coupons")).items()}

    async def hashes(self, *parts: str) -> list[dict[str, bytes]]:
        """Every field of several hashes, as they are."""
        pipeline = self.door.redis.pipeline(transaction=False)
        for part in parts:
            pipeline.hgetall(self.shard.key(part))
        return [{name.decode(): value for name, value in flat.items()} for flat in await pipeline.execute()]

    async def fields(self, part: str) -> dict[str, bytes]:
        """Every field of a hash, as it is."""
        return (await self.hashes(part))[0]

    async def unpacked(self, part: str) -> dict[str, Any]:
        """Every field of a hash of msgpack."""
        return {name: unpack(value) for name, value in (await self.fields(part)).items()}

    async def holds(self) -> dict[str, int]:
        """Every deadline."""
        flat: Any = await self.door.redis.zrange(self.shard.key("holds"), 0, -1, withscores=True)
        return {member.decode(): int(score) for member, score in flat}

    async def budget_used(self) -> int:
        """Minor units of the budget that coupons take."""
        return int((await self.fields("counters")).get("budget_used", b"0"))

    async def steps(self, last: int | None = None) -> list[Step]:
        """Every step on the stream, or the *last* ones."""
        steps = [step for entry in await self.entries() if isinstance(entry, Changed) for step in entry.each]
        return steps if last is None else steps[len(steps) - last :]

    async def assert_balanced(self) -> Counter[str]:
        """The unit book of the entries sums to zero and is what the keys say, account by account; gives it."""
        book = unit_book(await self.entries())
        uses, found = await self.unpacked("uses"), Counter[str]()
        for code, record in (await self.records()).items():
            if len(uses.get(code, ())) == 6:  # a code many may use
                left, _, _, _, _, held = uses[code]
                found["outstanding"] += left if record.state in "cu" else 0
                found["reserved"] += held
            else:
                found[{"c": "outstanding", "r": "reserved", "u": "redeemed"}.get(record.state, "")] += 1
        counters = await self.fields("counters")
        counted = {name: int(counters.get(name, b"0")) for name in COUNTED}
        assert sum(book.values()) == 0
        assert book["stock"] == await self.stock()
        assert {name: counted[name] for name in COUNTED[1:5]} == {name: book[name] for name in COUNTED[1:5]}
        assert 2 * counted["claimed"] - sum(counted.values()) == book["outstanding"]
        assert (book["outstanding"], book["reserved"]) == (found["outstanding"], found["reserved"])
        if all(len(use) == 5 for use in uses.values()):
            assert book["redeemed"] == found["redeemed"]
        return Counter({account: units for account, units in book.items() if units})


def unit_book(entries: Iterable[Entry]) -> Counter[str]:
    """
    The accounts of the unit book after *entries*, whose numbers have no gap; supply is negative.

    No account but supply is ever below zero, and what moves says from where and to where.
    """
    book, last = Counter[str](), 0
    for entry in entries:
        assert entry.first_seq == last + 1
        last += entry.count
        moves: list[tuple[str, str, int]] = []
        if isinstance(entry, Adjusted):
            moves = [("supply", "stock", entry.delta)]
        elif isinstance(entry, Claimed):
            moves = [("stock", "outstanding", entry.count)]
        elif isinstance(entry, Issued):
            moves = [("stock", "outstanding", entry.units * entry.count)]
        elif isinstance(entry, Changed):
            moves = [(step.source, step.destination, int(step.units)) for step in entry.each]
        for source, destination, units in moves:
            assert bool(source) == bool(destination) == (units != 0)
            book[source] -= units
            book[destination] += units
            assert all(count >= 0 for account, count in book.items() if account != "supply"), (entry, book)
    return book


async def open_life(
    door: Door, stock: int = 10, campaign: str = "c", *, scripts: Callable[[str], Script] = clocked, **changes: Any
) -> LifeShard:
    """As builders.open_shard, with a clock that stands still and time enough for any jump of it."""
    shard = LifeShard(door, campaign, scripts)
    await shard.move_to(shard.now)
    far = shard.now + 100_000 * HOUR_MS
    rules: dict[str, Any] = {"ends_ms": far, **changes}
    assert await shard.publish(**rules) == 1
    if stock:
        assert (await shard.adjust(stock, "initial"))[0] == 1
    return shard
