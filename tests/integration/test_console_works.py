"""What the console does in the background, through workers that stop, die, and ask at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.console.books import work
from gateway.console.books.work import Progress, Works
from gateway.console.books.working import told
from gateway.console.locales import Words, choose
from gateway.errors import Refusal
from lua.door import Door
from lua.keys import WORKS_PREFIX
from tests.conftest import ON_VALKEY, Eventually

pytestmark = ON_VALKEY
NAME = "verdict:flash"
WORDS = Words(*choose("en", ""), "UTC")


@pytest.fixture
async def two(door: Door) -> AsyncIterator[tuple[Works, Works]]:
    """The works of two workers on one Redis."""
    here, there = Works(door.redis), Works(door.redis)
    yield here, there
    await here.close()
    await there.close()


async def state(works: Works) -> str:
    """That of the work as this worker sees it."""
    found = await works.load(NAME)
    return found.state if found else ""


async def test_one_at_a_time_and_every_worker_shows_it(two: tuple[Works, Works], eventually: Eventually) -> None:
    """Of two who ask at once one does it; how far it is, and what came of it, is seen from both."""
    here, there = two
    goes_on = asyncio.Event()

    async def do(progress: Progress) -> list[int]:
        progress.tell("limits", 3, 13)
        await goes_on.wait()
        return [1]

    begun = await asyncio.gather(here.begin(NAME, "ann", do), there.begin(NAME, "bob", do))
    assert sorted(begun) == [False, True]

    async def is_told() -> bool:
        found = await there.load(NAME)
        return found is not None and (found.step, found.done, found.of) == ("limits", 3, 13)

    await eventually(is_told, within_s=20)
    found = await there.load(NAME)
    assert found
    assert told(found, WORDS).step.startswith("No holder, no day")
    goes_on.set()

    async def is_done() -> bool:
        return await state(here) == await state(there) == "done"

    await eventually(is_done, within_s=20)
    found = await there.load(NAME)
    assert found
    assert bytes(found.result) == b"[1]"
    assert await there.begin(NAME, "bob", do), "it may be asked for again"


async def test_who_sees_that_it_is_done_may_begin_it_anew(
    two: tuple[Works, Works], door: Door, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what came of a work and the end of the claim on its name nobody is told that somebody is at it."""
    here, there = two
    waits: Any = door.redis.delete

    async def later(*names: str) -> int:
        await asyncio.sleep(0.5)
        return int(await waits(*names))

    async def do(_: Progress) -> str:
        return "it"

    async def is_done() -> bool:
        return await state(there) == "done"

    monkeypatch.setattr(door.redis, "delete", later)
    assert await here.begin(NAME, "ann", do)
    await eventually(is_done, within_s=20)
    assert await there.begin(NAME, "bob", do)
    await eventually(is_done, within_s=20)


async def test_a_worker_does_so_many_at_once(two: tuple[Works, Works], monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told that it is too much now; another worker may still do it."""
    monkeypatch.setattr("gateway.console.books.work.AT_ONCE_MAX", 1)
    here, there = two

    async def do(progress: Progress) -> None:
        await asyncio.Event().wait()

    assert await here.begin(NAME, "ann", do)
    with pytest.raises(Refusal) as refused:
        await here.begin("verdict:other", "ann", do)
    assert refused.value.code == "overloaded"
    assert await there.begin("verdict:other", "ann", do)


async def test_a_worker_that_stops_says_so(two: tuple[Works, Works]) -> None:
    """What it is at is cancelled, and the others show that at once; it may be begun anew."""
    here, there = two
    ended = asyncio.Event()

    async def do(_: Progress) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert await here.begin(NAME, "ann", do)
    await asyncio.sleep(0)
    await here.close()
    found = await there.load(NAME)
    assert found
    assert (found.state, found.trouble, ended.is_set()) == ("failed", "stopped", True)
    assert "stopped" in told(found, WORDS).trouble
    assert await there.begin(NAME, "bob", do)


async def test_what_a_dead_worker_was_at_is_lost(two: tuple[Works, Works], door: Door, eventually: Eventually) -> None:
    """Once nobody renews the claim others see it and take over; a worker that only slept writes over nothing."""
    here, there = two
    goes_on = asyncio.Event()

    async def slow(_: Progress) -> str:
        await goes_on.wait()
        return "late"

    assert await here.begin(NAME, "ann", slow)
    await door.redis.delete(f"{WORKS_PREFIX}{{{NAME}}}:at-it")  # as it runs out
    found = await there.load(NAME)
    assert found
    assert (found.state, told(found, WORDS).trouble) == ("lost", "The process that was at it is gone. Ask again.")
    assert await there.begin(NAME, "bob", slow)
    goes_on.set()

    async def is_done() -> bool:
        return await state(there) == "done"

    await eventually(is_done, within_s=20)
    found = await there.load(NAME)
    assert found
    assert found.who == "bob"


async def test_it_waits_for_its_turn(
    two: tuple[Works, Works], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that names a time is waited out and told; one that names none ends it, and so does a fault."""
    here, _ = two
    monkeypatch.setattr(work, "TURN_EVERY_S", 0.01)
    free, asked = asyncio.Event(), 0

    async def busy(_: Progress) -> str:
        nonlocal asked
        asked += 1
        if not free.is_set():
            raise Refusal("overloaded", "Another verdict is on its way.", retry_after_s=10)
        return "done"

    assert await here.begin(NAME, "ann", busy)

    async def waits() -> bool:
        found = await here.load(NAME)
        return found is not None and found.step == "turn" and asked > 2

    await eventually(waits, within_s=20)
    free.set()

    async def is_done() -> bool:
        return await state(here) == "done"

    await eventually(is_done, within_s=20)
    for fault, code in ((Refusal("overloaded", "It takes too long."), "overloaded"), (ValueError("x"), "internal")):

        async def fails(_: Progress, fault: Exception = fault) -> None:
            raise fault

        assert await here.begin(NAME, "ann", fails)

        async def failed() -> bool:
            return await state(here) == "failed"

        await eventually(failed, within_s=20)
        found = await here.load(NAME)
        assert found
        assert found.trouble == code
