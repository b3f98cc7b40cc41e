"""A gateway that dies in the middle of redeeming several codes, at every point there is: all of them or none."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from gateway.errors import Refusal
from gateway.redeeming.bodies import RollbackBody, Stack
from lua.door import Door
from lua.link import Done, ScriptCall
from tests.conftest import redis_binaries
from tests.integration.campaigning import every_point
from tests.integration.stacking import DISCOUNTS, TILL, Process, StackSite, a_redemption, open_stack_site

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""The scripts have their turn on Redis 7 elsewhere; here the points between them matter."""
HELD_AT = 33
"""The point where all four codes are held and nothing is decided; if steps are added it moves, and its test says so."""
RETURNED = RollbackBody(reason="returned")


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[StackSite]:
    """Three campaigns on four shards."""
    async with open_stack_site(postgres_url, door) as site:
        yield site


TURNS_MAX = 50
"""Nobody needs so many to come to an end, however others are in his way."""
Redeem = Callable[[Process], Coroutine[Any, Any, tuple[Stack, bool]]]


def redeeming(order: str, codes: tuple[str, ...]) -> Redeem:
    """The same request, whoever gets it."""
    return lambda process: process.stacks.redeem(codes, a_redemption(order, codes), f"key of {order}", TILL)


async def recover(process: Process) -> None:
    """Recovery until it finds nothing more."""
    for _ in range(TURNS_MAX):
        if not await process.recovery.once("worker"):
            return
    raise AssertionError("recovery finds no end")


async def ask_again(
    site: StackSite, order: str, codes: tuple[str, ...], *, told: Sequence[str] = ("unknown",), times: int = 2
) -> Stack:
    """The same request until it is decided. It may be *told* to wait for recovery, and nothing else."""
    for _ in range(times):
        process = site.process()
        try:
            stack, _ = await redeeming(order, codes)(process)
        except Refusal as refusal:
            if refusal.code not in told:
                raise
            await recover(site.process())
        else:
            return stack
    raise AssertionError("the same request is never decided")


async def heal(site: StackSite, healer: str, order: str, codes: tuple[str, ...]) -> None:
    """Bring a stack to its end that a death has left somewhere."""
    match healer:
        case "again":
            await ask_again(site, order, codes)
        case "recovery":
            await recover(site.process())
        case "two recoveries":
            await asyncio.gather(recover(site.process()), recover(site.process()))
        case "recovery and again":
            # To a recovery that counts nothing as idle what is asked just now is left half done too: it undoes it, and
            # he is told to repeat it; or it is at the stack at this moment.
            told = ("unknown", "overloaded")
            await asyncio.gather(recover(site.process()), ask_again(site, order, codes, told=told, times=TURNS_MAX))


@pytest.mark.parametrize("healer", ["again", "recovery", "two recoveries", "recovery and again"])
async def test_a_process_killed_at_any_point_leaves_all_or_nothing(site: StackSite, healer: str) -> None:
    """
    Between any two calls of Redis and commits of Postgres: afterwards every code is redeemed for its part or none is
    touched, nothing is held, every unit is accounted for; and the request repeated redeems all of them once.
    """
    for at in every_point():
        order = f"o-{at}"
        codes = await site.claimed(order)

        died = await site.killed(at, redeeming(order, codes))
        await heal(site, healer, order, codes)

        done = await site.prove_all_or_none(codes)
        if healer in ("again", "recovery and again"):
            assert done
        stack = await ask_again(site, order, codes)
        assert await site.prove_all_or_none(codes)
        assert stack.discount.minor == 5000
        if not died:
            assert at > 30, "a stack of four has more points than that"
            return


async def test_a_request_repeated_while_its_stack_is_undone(site: StackSite) -> None:
    """A recovery killed anywhere: the same request undoes the rest and then redeems, and is not told of the undoing."""
    for at in every_point():
        order = f"o-{at}"
        codes = await site.claimed(order)
        assert await site.killed(HELD_AT, redeeming(order, codes))
        died = await site.killed(at, lambda process: process.recovery.once("worker"))

        stack = await ask_again(site, order, codes)

        assert stack.discount.minor == 5000
        assert await site.prove_all_or_none(codes)
        if not died:
            assert at > 10, "four holds go, and two states are committed"
            return


@pytest.mark.parametrize("healer", ["again", "recovery"])
async def test_a_process_killed_while_it_undoes_leaves_nothing(site: StackSite, healer: str) -> None:
    """A code that another order gets hold of after the look: however far it came nothing stays, but that hold."""
    for at in every_point():
        order = f"o-{at}"
        codes = await site.claimed(order)
        stolen = Thief(site, codes[2], place=2)
        died = await site.killed(at, stolen.act(redeeming(order, codes)))
        if healer == "recovery":
            await recover(site.process())
        else:
            try:
                await ask_again(site, order, codes)
            except Refusal as refusal:
                assert refusal.code in ("reserved_by_other", "conditions_not_met")

        await recover(site.process())
        done = healer == "again" and not stolen.was_there
        assert await site.taken(codes) == (DISCOUNTS if done else (0, 0, 0, 0))
        assert await site.letters(codes) == ("uuuc" if done else "ccrc" if stolen.was_there else "cccc")
        await site.release_all_of("thief")
        await site.prove_whole()
        if not died:
            return


class Thief:
    """Holds a code for an order of its own as soon as a process reserves another one."""

    def __init__(self, site: StackSite, code: str, place: int) -> None:
        self._site, self._code, self._place, self.was_there = site, code, place, False

    def act(self, inner: Callable[[Process], Any]) -> Callable[[Process], Any]:
        """*inner*, with the theft before its first reservation."""

        async def run(process: Process) -> Any:
            step = process.calls.step

            async def stepping(verb: str, *parts: Any) -> Any:
                if verb == "reserve" and not self.was_there:
                    self.was_there = True
                    await self._site.hold(self._code, "thief", self._place)
                return await step(verb, *parts)

            process.calls.step = stepping  # type: ignore[method-assign, assignment]
            try:
                return await inner(process)
            except Refusal as refusal:
                assert refusal.code == "reserved_by_other"
                assert refusal.context["coupon"] == self._code

        return run


class SlowLink:
    """A link that lets each call through only after a recovery has been all the way."""

    def __init__(self, site: StackSite, script: str) -> None:
        self._site, self._script = site, script
        self._tasks = set[asyncio.Task[None]]()

    def call(self, call: ScriptCall, payload: bytes, done: Done) -> None:
        """As Link.call."""

        async def late() -> None:
            if str(call).startswith(self._script):
                await recover(self._site.process())
            self._site.link.call(call, payload, done)

        task = asyncio.create_task(late())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@pytest.mark.parametrize("script", ["reserve", "redeem"])
async def test_recovery_against_a_request_that_still_runs(site: StackSite, script: str) -> None:
    """
    A recovery that runs between every two steps of a slow request: given up while it held, it lets go what it held
    since; decided before, it is finished, once.
    """
    codes = await site.claimed("o-1")
    slow = Process(site.site.pool, site.site.door, SlowLink(site, script))

    if script == "reserve":
        with pytest.raises(Refusal) as refused:
            await redeeming("o-1", codes)(slow)
        assert refused.value.code == "overloaded"
        assert not await site.prove_all_or_none(codes)
    else:
        stack, again = await asyncio.wait_for(redeeming("o-1", codes)(slow), 120)
        assert (stack.discount.minor, again) == (5000, False)
    assert (await ask_again(site, "o-1", codes)).discount.minor == 5000
    assert await site.prove_all_or_none(codes)


async def test_a_hundred_times_at_once(site: StackSite) -> None:
    """The same stack by a hundred requests in eight processes: one redemption, the others replay or come again."""
    codes = await site.claimed("o-1")
    processes = [site.process() for _ in range(8)]

    async def ask(n: int) -> str:
        try:
            stack, _ = await redeeming("o-1", codes)(processes[n % 8])
        except Refusal as refusal:
            return refusal.code
        return str(stack.id)

    answers = await asyncio.gather(*(ask(n) for n in range(100)))

    assert len(set(answers) - {"unknown"}) <= 1
    assert (await ask_again(site, "o-1", codes)).discount.minor == 5000
    assert await site.prove_all_or_none(codes)


async def test_two_orders_want_the_same_codes(site: StackSite) -> None:
    """Given in opposite order by two orders at once, twenty times: at most one has all of them, and nothing is held."""
    for n in range(20):
        codes = await site.claimed(f"both {n}")

        async def ask(order: str, mine: tuple[str, ...]) -> int:
            try:
                stack, _ = await redeeming(order, mine)(site.process())
            except Refusal as refusal:
                assert refusal.code in ("reserved_by_other", "conditions_not_met", "invalid_state")
                return 0
            return stack.discount.minor

        got = await asyncio.gather(ask(f"a{n}", codes), ask(f"b{n}", codes[::-1]))

        assert sum(1 for minor in got if minor) <= 1
        assert sum(await site.taken(codes)) == sum(got)
        await site.prove_whole()


async def test_a_rollback_of_a_stack_cut_off_anywhere_is_finished_by_its_key(site: StackSite) -> None:
    """Killed at every point, then asked again with the same key: all of it came back once, and the same is answered."""
    for at in every_point():
        order = f"o-{at}"
        codes = await site.claimed(order)
        stack, _ = await redeeming(order, codes)(site.process())

        def roll_back(process: Process, stack: str = stack.id) -> Any:
            return process.stacks.roll_back(stack, RETURNED, "back", TILL)

        died = await site.killed(at, roll_back)
        back, _ = await roll_back(site.process())
        again, replayed = await roll_back(site.process())

        assert (back.amount.minor, replayed) == (5000, True)
        assert again == back
        assert await site.taken(codes) == (0, 0, 0, 0)
        assert await site.letters(codes) == "cccc"
        await site.prove_whole()
        if not died:
            return


async def test_the_log_says_what_was_left_half_done(site: StackSite, caplog: pytest.LogCaptureFixture) -> None:
    """An operator reads that recovery has ended a stack, and how."""
    for at in every_point():
        codes = await site.claimed(f"o-{at}")
        assert await site.killed(at, redeeming(f"o-{at}", codes))
        if await site.process().recovery.once("worker"):
            break

    assert any("was left half done and is undone" in record.getMessage() for record in caplog.records)
