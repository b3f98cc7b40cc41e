"""A script that fails anywhere leaves no trace: at each redis.call, denied commands, without memory or its cache."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.exceptions import ResponseError

from lua.door import Door, Refused, connect
from lua.outcomes import Outcome
from lua.scripts import SCRIPTS, Script, load_script
from tests.builders import (
    HOUR_MS,
    ShardUnderTest,
    a_day,
    a_redeem,
    a_rollback,
    an_ask,
    now_ms,
    open_shard,
    pack,
    some_rules,
)

_SHIM = """
local calls_made, real = 0, redis
local redis = setmetatable({{
  call = function(...)
    calls_made = calls_made + 1
    if calls_made == {fail_at} then error({{ err = 'ERR injected' }}) end
    return real.call(...)
  end,
  pcall = function(...)
    calls_made = calls_made + 1
    if calls_made == {fail_at} then return {{ err = 'ERR injected' }} end
    return real.pcall(...)
  end,
}}, {{ __index = real }})
"""

Run = Callable[[ShardUnderTest, Script], Awaitable[Any]]


def failing_at(script: Script, number: int) -> Script:
    """*script* with its call *number* (from 1) failing, as Redis fails it."""
    first, rest = script.source.split("\n", 1)
    return Script(script.name, first + _SHIM.format(fail_at=number) + rest, script.parts)


async def _claim(shard: ShardUnderTest, script: Script) -> Any:
    return await shard.claim(
        an_ask("a", key="1"), an_ask("a", key="2"), an_ask("b"), an_ask("old", key="0"), an_ask("old", key="3"),
        script=script,
    )  # fmt: skip


async def _publish(shard: ShardUnderTest, script: Script) -> Any:
    flat = [part for item in some_rules(version=2, state="paused").items() for part in item]
    return await shard.door.call(script, shard.shard, 0, 1, pack(flat))


async def _adjust(shard: ShardUnderTest, script: Script) -> Any:
    return await shard.door.call(script, shard.shard, "k", 5, "why", "who")


async def _attach(shard: ShardUnderTest, script: Script) -> Any:
    await shard.rule(server="the Redis before")
    return await shard.door.call(script, shard.shard, 1, 0, "0-0")


async def _look(shard: ShardUnderTest, script: Script) -> Any:
    return await shard.door.call(script, shard.shard)


async def _held(shard: ShardUnderTest, script: Script) -> Any:
    return await shard.door.call(script, shard.shard, "old", with_server=False)


def _batch(*head: bytes | str | int, asks: list[Any]) -> Run:
    """A run of a script that takes a list of asks."""

    async def run(shard: ShardUnderTest, script: Script) -> Any:
        return await shard.door.call(script, shard.shard, *head, pack(asks))

    return run


async def _recall(shard: ShardUnderTest, script: Script) -> Any:
    return await shard.door.call(script, shard.shard, "", "RD-spent")


async def _stocktake(shard: ShardUnderTest, script: Script) -> Any:
    return await shard.door.call(script, shard.shard, 10, pack([OLD, "none"]), pack(["old"]))


async def _lapse(shard: ShardUnderTest, script: Script) -> Any:
    return await shard.door.call(script, shard.shard, 10)


OLD = an_ask("old", key="0")[2]
HELD, SPENT, OVERDUE, LATE = (an_ask(holder)[2] for holder in ("held", "spent", "overdue", "late"))
_RESERVE = [part for order in ("o-1", "o-2") for part in (OLD, order, "old", "by", HOUR_MS, "{}")]
_RESERVE += [OVERDUE, "o-3", "", "by", HOUR_MS, "{}"]
_REDEEM = a_redeem("RD-1", OLD) + a_redeem("RD-2", HELD, order="o-held") + a_redeem("RD-3", OVERDUE)
_ROLLBACK = a_rollback("RD-spent", 200) + a_rollback("RD-spent", 300, number_before=1, fate="end", returns="stock,slot")

RUNS: dict[str, Run] = {
    "claim": _claim,
    "publish": _publish,
    "adjust": _adjust,
    "attach": _attach,
    "look": _look,
    "held": _held,
    "issue": _batch(asks=["batch", 0, 2, 0, "FIRST", "SECOND"]),
    "inspect": _batch("", asks=[OLD, "", HELD, "", OVERDUE, "", "none", ""]),
    "reserve": _batch(asks=_RESERVE),
    "release": _batch(asks=[HELD, "", "", "", "{}", OVERDUE, "", "", "", "{}"]),
    "redeem": _batch("f1", asks=_REDEEM),
    "recall": _recall,
    "rollback": _batch(asks=_ROLLBACK),
    "expire": _batch(asks=[LATE, OLD, "none"]),
    "revoke": _batch(asks=[HELD, "{}", OLD, "{}", SPENT, "{}"]),
    "lapse": _lapse,
    "stocktake": _stocktake,
}
WRITES = {
    "claim",
    "publish",
    "adjust",
    "attach",
    "issue",
    "reserve",
    "release",
    "redeem",
    "rollback",
    "expire",
    "revoke",
    "lapse",
}


async def _fails(work: Awaitable[Any]) -> bool:
    """Whether *work* ends with the error that failing_at() injects; any other error is the test's."""
    try:
        await work
    except ResponseError as error:
        if "injected" not in str(error):
            raise
        return True
    return False


async def _busy_shard(door: Door) -> ShardUnderTest:
    shard = await open_shard(
        door, per_holder=3, per_day=50, per_holder_per_day=3, budget_minor=90_000, days=a_day(now_ms() - 1000)
    )
    await shard.claim(an_ask("old", key="0"), *(an_ask(holder) for holder in ("held", "spent", "overdue")))
    await shard.rule(validity_ms=1, expiry_returns="stock,slot")
    await shard.claim(an_ask("late"))
    await shard.rule(validity_ms=HOUR_MS)
    await shard.ask("reserve", HELD, "o-held", "", "by", HOUR_MS, "{}", OVERDUE, "o-late", "", "by", 1, "{}")
    await shard.ask("redeem", *a_redeem("RD-spent", SPENT), head=["f1"])
    return shard


def test_every_script_has_its_fault_run() -> None:
    """A new script can't be left out of these tests."""
    assert set(RUNS) == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
async def test_each_call_failing_in_turn_leaves_the_state_untouched(door: Door, name: str) -> None:
    """Fail redis.call 1, 2, 3 … of a script: each time it ends with the error and every key is as it was."""
    shard = await _busy_shard(door)
    script, run = load_script(name), RUNS[name]
    if name == "attach":
        await shard.rule(server="the Redis before")
    before, number = await shard.dump(), 0
    while number < 50:
        number += 1
        if not await _fails(run(shard, failing_at(script, number))):
            break
        assert await shard.dump() == before, f"call {number} of {name} left a trace"

    assert number > 1, "no call was made to fail"
    assert (await shard.dump() != before) == (name in WRITES)


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_a_first_publish_that_fails_leaves_no_shard(door: Door, name: str) -> None:
    """On an empty Redis every failing call of publish leaves nothing; the other writers refuse without writing."""
    shard = ShardUnderTest(door)
    script = load_script(name)
    for number in range(1, 20):
        try:
            if name == "publish":
                flat = [part for item in some_rules().items() for part in item]
                await door.call(failing_at(script, number), shard.shard, 1, 1, pack(flat))
                break
            reply = await RUNS[name](shard, failing_at(script, number)) if name != "attach" else None
            assert reply is None or name in WRITES - {"publish", "attach"}
        except ResponseError:
            assert set((await shard.dump()).values()) == {b"none"}

    assert (await door.redis.exists(shard.shard.key("rules"))) == (name == "publish")


USED = {
    "claim": {"hset", "decrby", "xadd", "hget", "hmget", "get", "time"},
    "adjust": {"hset", "incrby", "xadd", "hget", "hmget", "get", "time"},
    "issue": {"hset", "decrby", "xadd", "hget", "hmget", "get", "time"},
    "redeem": {"hset", "hdel", "zrem", "xadd", "hmget", "zscore", "get", "time"},
    "rollback": {"hset", "hdel", "incrby", "xadd", "hget", "hmget", "get", "time"},
}
DENIED = ["hset", "hdel", "decrby", "incrby", "zadd", "zrem", "xadd", "hget", "hmget", "zscore", "get", "time"]


@pytest.mark.parametrize("name", sorted(USED))
@pytest.mark.parametrize("denied", DENIED)
async def test_a_denied_command_leaves_the_state_untouched(door: Door, denied: str, name: str) -> None:
    """A Redis user who may not run one of a script's commands gets an error, and nothing has changed."""
    shard = await _busy_shard(door)
    rights = ["reset", "on", ">secret", "~*", "+@all", f"-{denied}"]
    redis: Any = door.redis
    await redis.execute_command("ACL", "SETUSER", "limited", *rights)
    limits = {"call_ms_max": 30_000, "connect_ms_max": 30_000}
    limited = Door(connect(_url(door, "limited:secret"), connections_max=2, **limits))
    before = await shard.dump()

    if denied in USED[name]:
        with pytest.raises((ResponseError, Refused)):
            await RUNS[name](ShardUnderTest(limited), load_script(name))
    else:
        await RUNS[name](ShardUnderTest(limited), load_script(name))

    assert (await shard.dump() == before) == (denied in USED[name])
    await limited.close()
    await redis.execute_command("ACL", "DELUSER", "limited")


def _url(door: Door, user: str) -> str:
    pool: Any = door.redis.connection_pool
    return f"redis://{user}@{pool.connection_kwargs['host']}:{pool.connection_kwargs['port']}"


async def test_out_of_memory_grants_nothing_and_changes_nothing(door: Door) -> None:
    """With maxmemory reached, what writes is refused before its first line; with room again it goes through."""
    shard = await _busy_shard(door)
    before = await shard.dump()
    await door.redis.config_set("maxmemory", 1)

    for name in sorted(WRITES - {"attach"}):
        with pytest.raises(Refused, match="maxmemory"):
            await RUNS[name](shard, load_script(name))
    assert await shard.dump() == before

    await door.redis.config_set("maxmemory", 0)
    assert (await shard.claim(an_ask("new"))).replies[0] != Outcome.NOT_READY
    assert (await shard.ask("redeem", *a_redeem("RD-1", OLD), head=["f1"]))[0][0] == Outcome.DONE


async def test_at_the_edge_of_memory_every_claim_is_whole_or_not_at_all(door: Door) -> None:
    """Claims until memory ends somewhere: stock, holders, coupons and entries agree to the coupon."""
    shard = await open_shard(door, stock=100_000)
    used = (await door.redis.info("memory"))["used_memory"]
    await door.redis.config_set("maxmemory", used + 300_000)
    granted, refused = 0, False
    for number in range(400):
        try:
            rush = await shard.claim(*(an_ask(f"h{number}-{n}") for n in range(64)))
            granted += len(rush.replies)
        except Refused:
            refused = True
            break

    assert refused
    assert granted > 0
    await door.redis.config_set("maxmemory", 0)
    redis, key = door.redis, shard.shard.key
    assert await shard.stock() == 100_000 - granted
    assert await redis.hlen(key("holders")) == await redis.hlen(key("coupons")) == granted
    assert sum(entry.count for entry in await shard.entries()) == granted + 2


async def test_a_flushed_script_cache_is_reloaded_under_load(door: Door) -> None:
    """SCRIPT FLUSH again and again while 50 callers claim: each claim is decided once, none is lost."""
    shard = await open_shard(door, stock=2000)
    done = asyncio.Event()

    async def flush() -> None:
        while not done.is_set():
            await door.redis.script_flush()

    flushing = asyncio.create_task(flush())

    async def claims(caller: int) -> list[int]:
        return [int((await shard.claim(an_ask(f"{caller}-{n}"))).replies[0]) for n in range(20)]  # type: ignore[arg-type]

    seqs = [seq for mine in await _some_at_a_time(claims, 50) for seq in mine]
    done.set()
    await flushing

    assert sorted(seqs) == list(range(3, 1003))
    assert await shard.stock() == 1000


async def _some_at_a_time(work: Callable[[int], Awaitable[list[int]]], count: int) -> list[list[int]]:
    room = asyncio.Semaphore(8)

    async def one(number: int) -> list[int]:
        async with room:
            return await work(number)

    return await asyncio.gather(*(one(number) for number in range(count)))
