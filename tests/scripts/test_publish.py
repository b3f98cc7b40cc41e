"""publish.lua at its boundaries: what moves money is frozen from the first claim on, and a version counts once."""

import pytest

from lua.door import Door
from lua.outcomes import Outcome
from tests.builders import ShardUnderTest, an_ask, open_shard


async def test_what_moves_money_changes_until_the_first_claim_and_never_after(door: Door) -> None:
    """With no coupon out another digest is taken; with exactly one out it is FROZEN and every key is as it was."""
    shard = await open_shard(door, frozen="f1")
    assert await shard.publish(fresh=False, version=2, frozen="f2") == Outcome.DONE
    await shard.claim(an_ask("a"))
    before = await shard.dump()

    assert await shard.publish(fresh=False, version=3, frozen="f3") == Outcome.FROZEN
    assert await shard.dump() == before
    assert await shard.publish(fresh=False, version=3, frozen="f2", per_holder=5) == Outcome.DONE


@pytest.mark.parametrize("version", [1, 2])
async def test_a_version_that_is_there_or_older_changes_nothing(door: Door, version: int) -> None:
    """Publishing version 2 again, or version 1 after it, is UNCHANGED even with other rules, and writes nothing."""
    shard = await open_shard(door)
    await shard.publish(fresh=False, version=2)
    before = await shard.dump()

    assert await shard.publish(fresh=False, version=version, state="paused", frozen="f9") == Outcome.UNCHANGED
    assert await shard.dump() == before


async def test_a_shard_is_made_only_where_the_books_have_nothing_of_it(door: Door) -> None:
    """Without rules in Redis only a fresh shard is made; another epoch or another Redis is NOT_READY."""
    shard = ShardUnderTest(door)
    assert await shard.publish(fresh=False) == Outcome.NOT_READY
    assert set((await shard.dump()).values()) == {b"none"}
    assert await shard.publish(fresh=True) == Outcome.DONE

    assert await shard.publish(fresh=False, version=2, epoch=2) == Outcome.NOT_READY
    await shard.rule(server="another Redis")
    assert await shard.publish(fresh=False, version=2) == Outcome.NOT_READY
