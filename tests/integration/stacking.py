"""What the tests of stacks share: a site that redeems several codes as one, a process that dies, the proof."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec

from gateway.catalog import Catalog
from gateway.codes import CodeMaker
from gateway.issuing.resolve import Resolver
from gateway.redeeming.bodies import RedemptionBody
from gateway.redeeming.calls import Calls
from gateway.redeeming.coupons import Asker, Coupons
from gateway.redeeming.recovery import Recovery
from gateway.redeeming.redemptions import Redemptions
from gateway.redeeming.rollbacks import Rollbacks
from gateway.redeeming.stacks import Stacks
from gateway.settings import Settings
from gateway.worth.stack import Choose, Mode
from lua.door import Door
from lua.entries import Changed, Entry
from lua.link import Done, Link, ScriptCall
from tests.builders import ShardUnderTest, an_ask
from tests.integration.campaigning import Died, Site, Trap, TrappedDoor, TrappedPool, open_pool
from tests.integration.tilling import an_order
from tests.life import unit_book

TILL = Asker("", "key:till0001 till")
"""Who redeems here: somebody whose failures nobody counts."""
CAMPAIGNS: dict[str, dict[str, Any]] = {
    "flash": {"shards": 2},
    "ten": {"value": {"type": "percent", "basis_points": 1000, "cap_minor": 900}},
    "purse": {"value": {"type": "balance", "minor": 6000}},
}
PLACES = (("flash", 0), ("flash", 1), ("ten", 0), ("purse", 0))
PRICE, DISCOUNTS = 5000, (500, 500, 400, 3600)
"""An order of PRICE, and what a coupon of each of PLACES takes off it, one after the other."""


class Fatal(Trap):
    """A trap that tells when it has killed."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.killed = asyncio.Event()

    def point(self, name: str) -> None:
        """As Trap.point."""
        try:
            super().point(name)
        except Died:
            self.killed.set()
            raise


class TrappedLink:
    """A link with a point before and after each call. What dies at one is never answered."""

    def __init__(self, link: Link, trap: Trap) -> None:
        self._link, self._trap = link, trap

    def call(self, call: ScriptCall, payload: bytes, done: Done) -> None:
        """As Link.call."""

        def landed(reply: Any) -> None:
            if self._lives(f"after {call}"):
                done(reply)

        if self._lives(f"before {call}"):
            self._link.call(call, payload, landed)

    def _lives(self, name: str) -> bool:
        try:
            self._trap.point(name)
        except Died:
            return False
        return True


class Process:
    """The services of one gateway process, with nothing remembered."""

    def __init__(self, pool: Any, door: Door, link: Any) -> None:
        patient = msgspec.structs.replace(Settings(), claim_wait_ms_max=30_000)  # a Redis that stands still is no crowd
        calls, catalog = Calls(link, patient), Catalog(pool, door)
        coupons = Coupons(calls, Resolver(pool, catalog), cast(Any, None))
        redemptions = Redemptions(coupons, catalog)
        self.rollbacks, self.redemptions = Rollbacks(redemptions, pool), redemptions
        self.stacks = Stacks(pool, redemptions, self.rollbacks)
        self.recovery = Recovery(pool, self.stacks, idle_s=0)
        self.calls = calls


Act = Callable[[Process], Awaitable[Any]]


class StackSite:
    """Campaigns of several shards, coupons for one order after the other, and processes that redeem them."""

    def __init__(self, site: Site, link: Link) -> None:
        self.site, self.link, self._numbers = site, link, dict[str, int]()
        self._shards = {place: ShardUnderTest(site.door, *place) for place in PLACES}
        self._entries: dict[tuple[str, int], list[Entry]] = {place: [] for place in PLACES}

    async def publish(self) -> None:
        """Every campaign of CAMPAIGNS."""
        for name, changes in CAMPAIGNS.items():
            await self.site.publish(id=name, stock=5000, limits={"per_holder": 1}, **changes)
            [row] = self.site.rows("SELECT number FROM campaigns WHERE id = %s", name)
            self._numbers[name] = row["number"]

    def process(self) -> Process:
        """A process that lives."""
        return Process(self.site.pool, self.site.door, self.link)

    async def killed(self, at: int, act: Act) -> bool:
        """Run *act* in a process that dies at point *at*; False if it came through."""
        trap = Fatal(at)
        door, pool = TrappedDoor(self.site.door, trap), TrappedPool(self.site.pool, trap)
        running = asyncio.ensure_future(act(Process(pool, door, TrappedLink(self.link, trap))))
        dying = asyncio.create_task(trap.killed.wait())
        await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        dying.cancel()
        await asyncio.wait({running})
        if not trap.killed.is_set():
            running.result()
        elif not running.cancelled():
            assert isinstance(running.exception(), Died)
        return trap.killed.is_set()

    async def claimed(self, order: str) -> tuple[str, ...]:
        """A coupon of each of PLACES."""
        codes = []
        for campaign, shard in PLACES:
            code = CodeMaker(self._numbers[campaign], shard).take(1)[0]
            rush = await self._shards[campaign, shard].claim(an_ask(f"holder of {order} {shard}", code=code))
            assert isinstance(rush.replies[0], int)
            assert rush.replies[0] > 0
            codes.append(str(code))
        return tuple(codes)

    async def _all_entries(self, place: tuple[str, int]) -> list[Entry]:
        """The whole stream of a shard; what was read before is not read again, for an entry never changes."""
        self._entries[place] += await self._shards[place].new_entries()
        return self._entries[place]

    async def hold(self, code: str, order: str, place: int) -> None:
        """A hold of somebody else."""
        shard = self._shards[PLACES[place]]
        [reply] = await shard.ask("reserve", code, order, "", "other", 600_000, "{}")
        assert reply[0] == 1, reply

    async def release_all_of(self, order: str) -> None:
        """Let go what *order* holds."""
        for place in PLACES:
            shard = self._shards[place]
            redis: Any = self.site.door.redis
            for code in await redis.zrange(shard.shard.key("holds"), 0, -1):
                await shard.ask("release", code.decode(), order, "", "", "{}")

    async def letters(self, codes: tuple[str, ...]) -> str:
        """The state of each code of PLACES, a letter each."""
        found = []
        for code, place in zip(codes, PLACES, strict=True):
            redis: Any = self.site.door.redis
            record = await redis.hget(self._shards[place].shard.key("coupons"), code)
            found.append(record[:1].decode())
        return "".join(found)

    async def taken(self, codes: tuple[str, ...]) -> tuple[int, ...]:
        """What was taken of each code and did not come back, by the streams."""
        taken = dict.fromkeys(codes, 0)
        for place in PLACES:
            for entry in await self._all_entries(place):
                for step in entry.each if isinstance(entry, Changed) else ():
                    if step.code in taken and step.verb in ("redeemed", "rolled_back"):
                        taken[step.code] += int(step.minor) * (1 if step.verb == "redeemed" else -1)
        return tuple(taken.values())

    async def prove_whole(self, held: int = 0) -> None:
        """Every shard's unit book balances with what is out, *held* of it held; no stack is open."""
        holds = 0
        for place, shard in self._shards.items():
            book = unit_book(await self._all_entries(place))
            assert sum(book.values()) == 0
            assert book["stock"] == await shard.stock()
            redis: Any = self.site.door.redis
            holds_here = await redis.zcard(shard.shard.key("holds"))
            assert book["reserved"] == holds_here
            holds += holds_here
        assert holds == held
        assert self.site.rows("SELECT id FROM stacks WHERE state NOT IN ('done', 'undone')") == []

    async def prove_all_or_none(self, codes: tuple[str, ...]) -> bool:
        """Every code was redeemed for its part, or none was touched; nothing is held. Whether they were."""
        await self.prove_whole()
        taken = await self.taken(codes)
        assert taken in (DISCOUNTS, (0,) * len(codes))
        all_taken = taken == DISCOUNTS
        assert await self.letters(codes) == ("uuuc" if all_taken else "cccc")
        return all_taken


def a_redemption(order: str, codes: tuple[str, ...], mode: Mode = Mode.ALL) -> RedemptionBody:
    """The body of a redemption of *codes*."""
    body = {"codes": codes, "order": an_order(order, PRICE), "mode": mode, "choose": Choose.GIVEN}
    return msgspec.convert(body, RedemptionBody).checked()


@asynccontextmanager
async def open_stack_site(postgres_url: str, door: Door) -> AsyncIterator[StackSite]:
    """A site with its campaigns published."""
    async with open_pool(postgres_url, connections_max=8) as pool:
        link = Link(door.redis, call_ms_max=30_000)
        site = StackSite(Site(pool, door, postgres_url), link)
        await site.publish()
        yield site
        await link.close()
