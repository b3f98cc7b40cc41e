"""What a sale in a test ends with, above all one in which something was killed: the verdict."""

from collections.abc import Collection

from lua.door import Door, connect
from reconciler.verdict.books import scope_of, snapshot
from reconciler.verdict.figures import row_text
from reconciler.verdict.invariants import INVARIANTS
from reconciler.verdict.judging import judge, judge_by_books


async def prove_clean(door: Door, postgres_url: str, campaign: str | None = None, *, but: Collection[str] = ()) -> None:
    """Every invariant holds, of *campaign* or of everything, and those of *but* do not; else their rows are named."""
    found = await judge(door, postgres_url, campaign=campaign)
    broken = {each.name: f"{each.name}: {row_text(each.first)}" for each in found.invariants if not each.holds}
    assert broken.keys() == {*but}, "\n".join(broken.values())


async def prove_books(postgres_url: str, *names: str) -> None:
    """The invariants *names* hold by the books alone."""
    async with snapshot(postgres_url) as connection:
        scope = await scope_of(connection)
        found = [await judge_by_books(connection, each, scope) for each in INVARIANTS if each.name in names]
    assert [each.name for each in found] == [*names]
    assert [row_text(each.first) for each in found if not each.holds] == []


async def prove_clean_at(redis_url: str, postgres_url: str) -> None:
    """The same of a system of its own, by the addresses of its servers."""
    door = Door(connect(redis_url, connections_max=2, call_ms_max=30_000, connect_ms_max=30_000))
    try:
        await prove_clean(door, postgres_url)
    finally:
        await door.close()
