"""release.lua, lapse.lua and inspect.lua: a hold that is let go, one whose time ends, and what is told of either."""

from lua.door import Door
from lua.entries import Changed, Step
from lua.outcomes import Outcome
from lua.scripts import load_script
from tests.builders import HOUR_MS, unpack
from tests.life import open_life


def released(code: str, holder: str, order: str, detail: str) -> Step:
    """The step of a hold that was let go."""
    return Step("released", code, holder, order, "", "claimed", "reserved", "outstanding", "1", "1", "", detail)


async def test_a_release_leaves_the_coupon_as_it_was_claimed(door: Door) -> None:
    """One step, and every record but the stream's and the seq is what it was before the hold."""
    shard = await open_life(door)
    [code] = await shard.claimed("ключ")
    before = await shard.dump()
    await shard.reserve(code, "o-1")

    [reply] = await shard.ask("release", code, "o-1", "ключ", "by", '{"reason":"asked"}')

    assert reply == [Outcome.DONE, "o-1", "ключ"]
    steps = list(released(code, "ключ", "o-1", '{"reason":"asked"}'))
    assert (await shard.entries())[-1] == Changed(1, 1, 1, shard.now, 5, steps)
    after = await shard.dump()
    assert {part for part in after if after[part] != before[part]} == {"counters", "entries"}


async def test_releases_come_in_their_order_of_precedence(door: Door) -> None:
    """NOT_READY > ABSENT > NOT_HOLDER > UNCHANGED > HELD > DONE; what is refused writes nothing."""
    shard = await open_life(door)
    held, free = await shard.claimed("a", "b")
    await shard.reserve(held, "o-1", by="x")
    told = [Outcome.HELD, "o-1", "x", shard.now + 1000, "a"]

    async with shard.unchanged():
        assert await shard.ask(
            "release", "NONE", "", "", "", "{}", held, "o-2", "b", "y", "{}", free, "", "a", "", "{}",
            free, "o-1", "b", "x", "{}", held, "o-2", "", "", "{}", held, "", "a", "y", "{}",
        ) == [Outcome.ABSENT, Outcome.NOT_HOLDER, Outcome.NOT_HOLDER, Outcome.UNCHANGED, told, told]  # fmt: skip
    await shard.rule(server="another Redis")
    async with shard.unchanged():
        assert await shard.ask("release", held, "", "", "", "{}") == [Outcome.NOT_READY]
        assert await shard.lapse() == [0, 0]


async def test_one_call_releases_once_and_holds_can_follow(door: Door) -> None:
    """Of two releases of a call the second is UNCHANGED; whatever order is asked for, the hold's own is told."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    await shard.reserve(code, "o-1")

    replies = await shard.ask("release", *[code, "", "", "", "{}"] * 2)

    assert replies == [[Outcome.DONE, "o-1", "a"], Outcome.UNCHANGED]
    assert (await shard.reserve(code, "o-2"))[0] == Outcome.DONE


async def test_a_hold_past_its_time_is_no_ones_to_release(door: Door) -> None:
    """Asked at the deadline: UNCHANGED, and the step says that it lapsed, not that it was asked."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    await shard.reserve(code, "o-1")
    await shard.move_to(shard.now + 1000)

    assert await shard.ask("release", code, "o-1", "", "", '{"reason":"asked"}') == [Outcome.UNCHANGED]
    assert await shard.steps(1) == [released(code, "a", "o-1", '{"reason":"lapsed"}')]


async def test_lapse_frees_what_is_overdue_the_longest_first(door: Door) -> None:
    """Of three overdue holds and one that is not, two go by their deadlines, then one; then nothing is written."""
    shard = await open_life(door)
    codes = await shard.claimed("a", "b", "c", "d")
    for code, ttl_ms in zip(codes, (30, 10, 20, 5000), strict=True):
        await shard.reserve(code, "o", ttl_ms=ttl_ms)
    await shard.move_to(shard.now + 30)

    assert await shard.lapse(2) == [2, 1]
    assert [step.code for step in await shard.steps(2)] == [codes[1], codes[2]]
    assert await shard.lapse(2) == [1, 0]
    assert (await shard.steps(1))[0] == released(codes[0], "a", "o", '{"reason":"lapsed"}')
    async with shard.unchanged():
        assert await shard.lapse(2) == [0, 0]
    assert (await shard.assert_balanced())["reserved"] == 1


async def test_lapse_frees_512_at_most(door: Door) -> None:
    """However many are asked for, a call stops at 512, and tells how many are overdue still."""
    shard = await open_life(door, 640)
    for at in range(0, 640, 128):
        codes = await shard.claimed(*(f"h{at + n}" for n in range(128)))
        await shard.ask("reserve", *[part for code in codes for part in (code, "o", "", "x", 1, "{}")])
    await shard.move_to(shard.now + 1)

    assert await shard.lapse(10_000) == [512, 128]
    assert await shard.lapse(10_000) == [128, 0]
    assert (await shard.assert_balanced())["outstanding"] == 640


async def test_inspect_tells_what_is_so_now_and_writes_nothing(door: Door) -> None:
    """Claimed, held, a hold that lapsed, past its time, absent: by the clock, whatever is booked."""
    shard = await open_life(door)
    first = shard.now
    free, held, late = await shard.claimed("a", "b", "c")
    await shard.reserve(held, "o-1", by="x", ttl_ms=HOUR_MS)
    await shard.reserve(late, "o-2")
    await shard.move_to(first + 1000)

    def told(state: str, holder: str, seq: int, *hold: object) -> list[object]:
        return [state, holder, seq, first, first + 24 * HOUR_MS, 1, 1, *(hold or ("", "", 0)), False]

    async with shard.unchanged():
        assert await shard.inspect(free, "", held, "any", "NONE", "", late, "") == [
            told("c", "a", 3), told("r", "b", 4, "o-1", "x", first + HOUR_MS), False, told("c", "c", 5),
        ]  # fmt: skip
        await shard.move_to(first + 24 * HOUR_MS)
        assert [one[0] for one in await shard.inspect(free, "", held, "", late, "")] == ["x", "x", "x"]
        assert [one[1] for one in await shard.held("b")] == ["x"]


async def test_a_hold_whose_record_was_lost_binds_nobody(door: Door) -> None:
    """Without `uses` a reserved coupon is told as claimed, to its holder too, and may be held again."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    await shard.reserve(code, "o-1")
    await door.redis.delete(shard.shard.key("uses"))

    [(told, state, *_)] = unpack(await door.call(load_script("held"), shard.shard, "a", with_server=False))

    assert (told, state) == (code, "c")
    assert [one[0] for one in await shard.inspect(code, "")] == ["c"]
