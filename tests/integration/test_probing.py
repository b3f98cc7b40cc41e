"""The alarm: too many failures through all workers, said once when it begins and once when it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.limiter import Limiter
from gateway.probing import FORGOTTEN_AFTER_S, Probing, is_probing
from lua.door import Door
from lua.keys import PROBING_KEY
from tests.conftest import ON_VALKEY, Eventually
from tests.integration.guesses import open_guesses
from tests.proxy import Proxy

pytestmark = ON_VALKEY

THRESHOLD = 6
LIMITER_MS_MAX = 30_000
"""A busy machine is no limiter that is away."""


@pytest.fixture
async def workers(redis_url: str) -> AsyncIterator[list[Probing]]:
    """The alarm as three workers have it."""
    limiters = [Limiter(redis_url, LIMITER_MS_MAX) for _ in range(3)]
    yield [Probing(limiter, THRESHOLD) for limiter in limiters]
    for limiter in limiters:
        await limiter.close()


@pytest.fixture
async def limiter(redis_url: str) -> AsyncIterator[Limiter]:
    """A limiter with no window of its own."""
    limiter = Limiter(redis_url, LIMITER_MS_MAX)
    yield limiter
    await limiter.close()


async def look(workers: list[Probing]) -> None:
    """All workers look at the same moment."""
    await asyncio.gather(*(worker.look() for worker in workers))


async def forget(door: Door) -> None:
    """As if all failures so far had passed."""
    await door.redis.delete(*[key async for key in door.redis.scan_iter("fc:failures:*")])


async def test_the_alarm_rises_and_ends_once_for_all_workers(
    workers: list[Probing], door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """No worker alone sees too many, all together do: one line; when they have passed, one line; and so again."""
    caplog.set_level(logging.WARNING, "fairclaim.probing")
    for rounds in (1, 2):
        await asyncio.gather(*(worker.count(THRESHOLD // 3 + 1) for worker in workers))
        await look(workers)
        assert await is_probing(door.redis)
        said = [record.message for record in caplog.records]
        assert said[2 * (rounds - 1) :] == ["codes are being guessed"]
        assert 0 < await door.redis.ttl(PROBING_KEY) <= FORGOTTEN_AFTER_S

        await forget(door)
        await look(workers)
        assert not await is_probing(door.redis)
        said = [record.message for record in caplog.records]
        assert said[2 * (rounds - 1) :] == ["codes are being guessed", "codes are no longer being guessed"]


async def test_failures_pass_by_themselves(limiter: Limiter, door: Door, eventually: Eventually) -> None:
    """With a window of a second too many are too many, and soon they are no more."""
    probing = Probing(limiter, THRESHOLD, window_s=1)

    async def rises() -> bool:
        await probing.count(THRESHOLD + 1)
        await probing.look()
        return await is_probing(door.redis)

    async def ends() -> bool:
        await probing.look()
        return not await is_probing(door.redis)

    await eventually(rises)  # on a busy machine the second may be over before the look
    await eventually(ends)


async def test_as_many_as_the_threshold_are_not_too_many(limiter: Limiter, door: Door) -> None:
    """It is beyond the threshold that the alarm rises, and at half of it that it ends, not between."""
    probing = Probing(limiter, THRESHOLD)  # a minute: nothing passes meanwhile
    await probing.count(THRESHOLD)
    await probing.look()
    assert not await is_probing(door.redis)

    await probing.count(10)  # more than is left, so it uses that up
    await probing.look()
    assert await is_probing(door.redis)

    for left, on in ((THRESHOLD // 2 + 1, True), (THRESHOLD // 2, False)):
        await forget(door)
        await probing.count(left)
        await probing.look()
        assert await is_probing(door.redis) is on


async def test_an_alarm_that_lasts_is_kept(limiter: Limiter, door: Door) -> None:
    """A worker that looks prolongs it; nobody looking, it is forgotten."""
    probing = Probing(limiter, THRESHOLD)
    await probing.count(100)
    await probing.look()
    await door.redis.expire(PROBING_KEY, 5)
    await probing.look()

    assert await door.redis.ttl(PROBING_KEY) > 5


async def test_the_alarm_is_on_the_metrics_page(
    redis_url: str, postgres_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    """Failures of holders at many addresses raise it by themselves; the gauge was 0 before."""
    async with open_guesses(redis_url, postgres_url, tmp_path, code_failures_alarm=THRESHOLD) as guesses:

        async def gauge() -> str:
            page = (await guesses.worker.http.get("/metrics")).text
            return next(line for line in page.splitlines() if line.startswith("fairclaim_code_probing"))

        async def rises() -> bool:
            return await gauge() == "fairclaim_code_probing 1"

        assert await gauge() == "fairclaim_code_probing 0"
        for n in range(THRESHOLD + 1):
            assert await guesses.told(f"eve-{n}", address=f"198.51.100.{n}") == [404]
        await eventually(rises)


async def test_no_redis_is_no_alarm_and_no_end_of_watching(
    redis_url: str, limiter: Limiter, door: Door, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    """A watch whose Redis is away goes on, and sees when it is back."""
    caplog.set_level(logging.DEBUG, "fairclaim.probing")
    async with Proxy(redis_url) as proxy:
        proxy.refuse = True
        watcher = Limiter(proxy.url, LIMITER_MS_MAX)
        watching = asyncio.create_task(Probing(watcher, THRESHOLD).watch())
        await Probing(limiter, THRESHOLD).count(THRESHOLD + 1)
        await eventually(lambda: any("unknown" in record.message for record in caplog.records))
        assert not await is_probing(door.redis)
        proxy.refuse = False

        async def rises() -> bool:
            return await is_probing(door.redis)

        await eventually(rises)
        watching.cancel()
        await watcher.close()
