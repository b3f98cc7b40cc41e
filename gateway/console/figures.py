"""What the system is doing, in four figures: the gateway, Redis, the books, and how far these are behind."""

import asyncio
from typing import NamedTuple

import psycopg
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from gateway.console.locales import N_, Words
from gateway.services import Services
from gateway.status import ShardLag, drain_lag
from gateway.telemetry import CLAIMS
from lua.door import DoorError

LOOK_S_MAX = 1.5
"""How long a page waits for Redis and PostgreSQL."""
LAG_S_HIGH = 5.0
"""From here on the lag is shown as trouble: at half of the saturating rate it is below a second."""


class Figure(NamedTuple):
    """*name* and *says* around a *value*, all of them as shown; *state* is good, bad or unknown."""

    name: str
    value: str
    says: str
    state: str


async def figures(here: Services, words: Words) -> list[Figure]:
    """The four as they are now. A server that does not answer is a figure too."""
    memory, lags = await asyncio.gather(_memory(here), _lags(here))
    return [_gateway(here, words), _redis(memory, words), _books(lags, words), _lag(lags, words)]


async def _memory(here: Services) -> tuple[int, int] | None:
    """Bytes that Redis uses, and those it may use, 0 without a limit; None where it does not answer."""
    try:
        async with asyncio.timeout(LOOK_S_MAX):
            memory = await here.door.redis.info("memory")
    except (RedisError, OSError):
        return None
    return int(memory["used_memory"]), int(memory["maxmemory"])


async def _lags(here: Services) -> list[ShardLag] | None:
    try:
        async with asyncio.timeout(LOOK_S_MAX):
            return await drain_lag(here.door, here.pool)
    except (RedisError, DoorError, OSError, psycopg.Error, PoolTimeout):
        return None


def _gateway(here: Services, words: Words) -> Figure:
    answered = words.number(here.telemetry.count(CLAIMS))
    if here.pressure.closed_because:
        return Figure(
            words.say(N_("Gateway")), answered, words.say(N_("claims answered; closed for want of memory")), "bad"
        )
    return Figure(words.say(N_("Gateway")), answered, words.say(N_("claims answered; open for more")), "good")


def _redis(memory: tuple[int, int] | None, words: Words) -> Figure:
    name = words.say(N_("Redis"))
    if memory is None:
        return Figure(name, "–", words.say(N_("does not answer")), "bad")
    used, most = memory
    size = words.say(N_("%(mib)s MiB"), mib=words.number(round(used / 2**20, 1)))
    if not most:
        return Figure(name, size, words.say(N_("in use, without a limit")), "good")
    share = words.say(N_("in use, %(percent)s %% of its limit"), percent=words.number(round(used * 100 / most)))
    return Figure(name, size, share, "good")


def _books(lags: list[ShardLag] | None, words: Words) -> Figure:
    name = words.say(N_("Books"))
    if lags is None:
        return Figure(name, "–", words.say(N_("can't be compared")), "bad")
    booked = sum(each.seq - each.lag_seq for each in lags)
    return Figure(name, words.number(booked), words.say(N_("changes of open campaigns are booked")), "good")


def _lag(lags: list[ShardLag] | None, words: Words) -> Figure:
    name = words.say(N_("Drain lag"))
    if lags is None:
        return Figure(name, "–", words.say(N_("is not known")), "bad")
    seconds, behind = max((each.lag_s for each in lags), default=0.0), sum(each.lag_seq for each in lags)
    value = words.say(N_("%(seconds)s s"), seconds=words.number(round(seconds, 1)))
    if not behind:
        return Figure(name, value, words.say(N_("everything is in the books")), "good")
    says = words.say_many("%(num)s change is on its way", "%(num)s changes are on their way", behind)
    return Figure(name, value, says, "bad" if seconds >= LAG_S_HIGH else "good")
