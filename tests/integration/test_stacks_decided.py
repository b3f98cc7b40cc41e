"""What is told of a stack when a server goes away in the middle, and what recovery makes of many of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest

import gateway.redeeming.recovery as recovery_module
from gateway.errors import Refusal
from gateway.redeeming.bodies import RollbackBody
from gateway.redeeming.recovery import Recovery
from gateway.redeeming.stack_rows import StackItem, StackRow
from lua.door import Door, Full, Unreachable
from lua.link import Done, ScriptCall
from tests.conftest import redis_binaries
from tests.integration.campaigning import Trap, TrappedPool, every_point, open_pool
from tests.integration.stacking import DISCOUNTS, TILL, Process, StackSite, a_redemption, open_stack_site

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
NOTHING = (0, 0, 0, 0)


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[StackSite]:
    """Three campaigns on four shards."""
    async with open_stack_site(postgres_url, door) as site:
        yield site


class Away(Trap):
    """A trap that does not kill: from its point on, or once, Postgres does not answer."""

    def __init__(self, at: int, *, for_good: bool) -> None:
        super().__init__(at)
        self._left, self._for_good, self.sprung = at, for_good, False

    def point(self, name: str) -> None:
        """As Trap.point."""
        self._left -= 1
        if self._left < 0 and (self._for_good or not self.sprung):
            self.sprung = True
            raise psycopg.OperationalError(name)


class RefusingLink:
    """A link whose calls of one script, or from the *at*-th on, come to nothing."""

    def __init__(self, link: Any, error: Exception, script: str = "", at: int = 0) -> None:
        self._link, self._error, self._script, self._left = link, error, script, at

    def call(self, call: ScriptCall, payload: bytes, done: Done) -> None:
        """As Link.call."""
        self._left -= str(call).startswith(self._script)
        if str(call).startswith(self._script) and self._left < 0:
            asyncio.get_running_loop().call_soon(done, self._error)
        else:
            self._link.call(call, payload, done)


async def redeem(process: Process, order: str, codes: tuple[str, ...]) -> str:
    """What the request is told: a refusal's code, or done."""
    try:
        await process.stacks.redeem(codes, a_redemption(order, codes), f"key of {order}", TILL)
    except Refusal as refusal:
        return refusal.code
    return "done"


async def prove_told(site: StackSite, codes: tuple[str, ...], told: str) -> None:
    """After recovery: whoever was told that nothing was done has nothing redeemed."""
    while await site.process().recovery.once("worker"):
        pass
    taken = await site.taken(codes)
    assert told in ("done", "unknown", "not_ready", "overloaded")
    if told != "unknown":
        assert taken == (DISCOUNTS if told == "done" else NOTHING), told
    await site.prove_whole()


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
async def test_postgres_goes_away_anywhere(site: StackSite, for_good: bool) -> None:
    """Before or after any commit: not_ready is told only where nothing is redeemed later; else it is unknown."""
    seen = set[str]()
    for at in every_point():
        codes = await site.claimed(f"o-{at}")
        away = Away(at, for_good=for_good)
        process = Process(TrappedPool(site.site.pool, away), site.site.door, site.link)

        told = await redeem(process, f"o-{at}", codes)

        await prove_told(site, codes, told)
        seen.add(told)
        if not away.sprung:
            break
    assert {"not_ready", "unknown", "done"} <= seen


async def test_postgres_drops_the_connection_of_a_stack_that_is_decided(site: StackSite) -> None:
    """Its transaction is lost after the first code was redeemed: unknown, and finished by the same key."""
    codes = await site.claimed("o-1")

    class Dropping:
        def call(self, call: ScriptCall, payload: bytes, done: Done) -> None:
            if str(call).startswith("redeem"):
                ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                site.site.rows(f"{ends} AND datname = current_database()")
            site.link.call(call, payload, done)

    assert await redeem(Process(site.site.pool, site.site.door, Dropping()), "o-1", codes) == "unknown"
    assert await redeem(site.process(), "o-1", codes) == "done"
    assert await site.prove_all_or_none(codes)


@pytest.mark.parametrize("error", [Unreachable("away"), Full("full")], ids=["away", "full"])
async def test_redis_refuses_a_stack_that_is_decided(site: StackSite, error: Exception) -> None:
    """Away or full, at the first code or a later one: unknown, and the same key, or recovery, finishes it."""
    for at in range(len(DISCOUNTS)):
        codes = await site.claimed(f"o-{at}")
        refusing = Process(site.site.pool, site.site.door, RefusingLink(site.link, error, "redeem", at))

        assert await redeem(refusing, f"o-{at}", codes) == "unknown"
        if at % 2:
            assert await redeem(site.process(), f"o-{at}", codes) == "done"
        else:
            assert await site.process().recovery.once("worker")
        assert await site.prove_all_or_none(codes)


async def test_redis_refuses_a_rollback_half_way(site: StackSite) -> None:
    """Nothing came back yet: not_ready; something did: unknown. The same key gives back the rest."""
    codes = await site.claimed("o-1")
    stack, _ = await site.process().stacks.redeem(codes, a_redemption("o-1", codes), "key", TILL)
    told = []
    for at in (0, 1):
        link = RefusingLink(site.link, Unreachable("away"), "rollback", at)
        with pytest.raises(Refusal) as refused:
            await roll_back(Process(site.site.pool, site.site.door, link), stack.id)
        told.append(refused.value.code)

    assert told == ["not_ready", "unknown"]
    assert (await roll_back(site.process(), stack.id))[0].amount.minor == 5000


async def roll_back(process: Process, stack: str) -> Any:
    """All of a stack, with one key."""
    return await process.stacks.roll_back(stack, RollbackBody(reason="returned"), "back", TILL)


async def left_half_done(site: StackSite, order: str) -> tuple[str, ...]:
    """The codes of a stack that is decided, and of which nothing is redeemed."""
    codes = await site.claimed(order)
    link = RefusingLink(site.link, Unreachable("away"), "redeem")
    assert await redeem(Process(site.site.pool, site.site.door, link), order, codes) == "unknown"
    return codes


def failing(process: Process, code: str, error: Callable[[], BaseException]) -> Process:
    """*process*, which can't redeem *code*."""
    redeem_one = process.stacks._steps.redeem

    async def redeeming(here: StackRow, number: int, item: StackItem, *more: Any) -> Any:
        if item.code == code:
            raise error()
        return await redeem_one(here, number, item, *more)

    process.stacks._steps.redeem = redeeming  # type: ignore[assignment, method-assign]
    return process


@pytest.mark.parametrize(
    "error", [lambda: Refusal("not_ready"), lambda: RuntimeError("broken")], ids=["waits", "broken"]
)
@pytest.mark.parametrize("turn", [1, 50])
async def test_what_can_not_be_recovered_holds_up_nothing(
    site: StackSite, monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException], turn: int
) -> None:
    """The oldest stack fails each time it is tried: the younger ones are done all the same, even one by one."""
    monkeypatch.setattr(recovery_module, "STACKS_MAX", turn)
    bad, *good = [await left_half_done(site, f"o-{n}") for n in range(3)]
    process = failing(site.process(), bad[0], error)

    for _ in range(4 if turn == 1 else 1):
        await process.recovery.once("worker")

    assert [await site.taken(codes) for codes in good] == [DISCOUNTS, DISCOUNTS]
    assert await site.process().recovery.once("worker")
    assert await site.prove_all_or_none(bad)


async def test_two_workers_do_not_recover_one_stack_at_once(site: StackSite) -> None:
    """Of two at the same time one takes each stack; what is tried is left alone for a while."""
    for n in range(4):
        await left_half_done(site, f"o-{n}")
    site.site.rows("UPDATE stacks SET updated_at = now() - interval '1 day' RETURNING id")
    tried: list[str] = []

    class Watching:
        async def take_further(self, stack: str, *, give_up: bool) -> Any:
            assert give_up
            tried.append(stack)
            await asyncio.sleep(0.05)
            raise Refusal("not_ready")

    workers = [Recovery(site.site.pool, Watching(), idle_s=3600) for _ in range(2)]  # type: ignore[arg-type]
    for _ in range(2):
        await asyncio.gather(*(worker.once("worker") for worker in workers))

    assert len(tried) == len(set(tried)) == 4


@pytest.mark.parametrize("state", ["holding", "committing", "undoing"])
async def test_one_connection_is_enough(site: StackSite, postgres_url: str, state: str) -> None:
    """A worker that knows no campaign yet, with a single connection: it ends the stack and does not wait for itself."""
    codes = await left_half_done(site, "o-1")
    site.site.rows("UPDATE stacks SET state = %s RETURNING id", state)
    async with open_pool(postgres_url, connections_max=1) as pool:
        fresh = Process(pool, site.site.door, site.link)

        assert await fresh.recovery.once("worker")
        other = await site.claimed("o-2")
        assert await redeem(Process(pool, site.site.door, site.link), "o-2", other) == "done"

    assert await site.prove_all_or_none(codes) == (state == "committing")
