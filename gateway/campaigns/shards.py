"""
A campaign's shards in Redis: the script calls of a change, and what their failures mean to a marketer.

A shard's rules are written by publish.lua from what compile.py makes; nothing here spells a key.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from gateway.campaigns.compile import Rules
from gateway.errors import Refusal
from lua.door import Door, DoorError, LostReply
from lua.keys import CampaignId, Shard
from lua.outcomes import Outcome
from lua.scripts import Script, load_script

_LOOK, _PUBLISH, _ADJUST = load_script("look"), load_script("publish"), load_script("adjust")
_ISSUE, _REVOKE = load_script("issue"), load_script("revoke")

LOOKS_MAX = 50
"""Shards that are looked at in one go: it keeps Redis for a millisecond."""

_REPEAT = "Repeat the request: what was begun is finished then, and nothing is done twice."


class Look(msgspec.Struct, array_like=True, frozen=True):
    """A shard at one instant. *stock* is -1 and *rules* are empty where there is none; *ready* means it may serve."""

    now_ms: int
    ready: bool
    stock: int
    flat_rules: list[str]
    flat_counters: list[str]
    entries: int
    last_id: str

    @property
    def rules(self) -> Rules:
        """The rules by name."""
        return dict(zip(self.flat_rules[::2], self.flat_rules[1::2], strict=True))

    @property
    def claimed(self) -> int:
        """Coupons claimed of this shard and issued from it, ever."""
        return int(self._counter("claimed"))

    @property
    def seq(self) -> int:
        """State changes of this shard, ever."""
        return int(self._counter("seq"))

    def _counter(self, name: str) -> str:
        return dict(zip(self.flat_counters[::2], self.flat_counters[1::2], strict=True)).get(name, "0")


_look_decoder = msgspec.msgpack.Decoder(Look)


class Adjusted(msgspec.Struct, frozen=True):
    """What adjust.lua did: *seq* of the state change and *stock* after it; of a refusal, what is left."""

    outcome: Outcome
    seq: int
    stock: int


class Shards:
    """Every shard of any campaign, through one door."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def look(self, shard: Shard) -> Look:
        """The shard at this instant, its clock too, even where there is no shard. Errors: Refusal("not_ready")."""
        return _look_decoder.decode(await self._call(_LOOK, shard))

    async def look_all(self, campaign: CampaignId, shards: int) -> list[Look]:
        """Each shard, at its own instant. Errors: Refusal("not_ready") when Redis can't be reached."""
        return [await self.look(Shard(campaign, n)) for n in range(shards)]

    async def look_each(self, many: Sequence[Shard]) -> list[Look]:
        """Each of *many*, LOOKS_MAX at an instant. Errors: Refusal("not_ready") when Redis can't be reached."""
        found: list[Look] = []
        for begin in range(0, len(many), LOOKS_MAX):
            with _away():
                replies = await self._door.call_each(_LOOK, many[begin : begin + LOOKS_MAX])
            found += map(_look_decoder.decode, replies)
        return found

    async def now_ms(self, campaign: CampaignId) -> int:
        """Redis TIME where *campaign* lives, milliseconds since the epoch."""
        return (await self.look(Shard(campaign, 0))).now_ms

    async def publish(self, shard: Shard, rules: Rules, *, epoch: int, fresh: bool) -> Outcome:
        """
        Put *rules* into the shard: DONE, UNCHANGED or FROZEN.

        *fresh* says that the books have nothing of the shard, so that it may be created.
        Errors: Refusal("not_ready"), also when the shard is not the one the books know.
        """
        flat = [text for pair in rules.items() for text in pair]
        reply = await self._call(_PUBLISH, shard, "1" if fresh else "0", epoch, msgspec.msgpack.encode(flat))
        outcome = Outcome(reply)
        if outcome is Outcome.NOT_READY:
            raise not_ready(shard)
        return outcome

    async def adjust(self, shard: Shard, key: str, delta: int, reason: str, actor: str) -> Adjusted:
        """
        Move stock once a *key*: DONE, REPLAYED, STOCK_FLOOR or KEY_REUSED.

        Errors: Refusal("not_ready"), also when the shard is not the one the books know.
        """
        outcome, seq, stock = await self._call(_ADJUST, shard, key, delta, reason, actor)
        if outcome == Outcome.NOT_READY:
            raise not_ready(shard)
        return Adjusted(Outcome(outcome), seq, stock)

    async def issue(self, shard: Shard, asked: list[str | int]) -> list[int]:
        """One chunk of codes, as issue.lua takes and answers it. Errors: Refusal("not_ready") without an answer."""
        reply: list[int] = await self._call(_ISSUE, shard, msgspec.msgpack.encode(asked))
        return reply

    async def revoke(self, shard: Shard, asks: list[str]) -> list[int | list[int | str]]:
        """Revoke coupons, as revoke.lua takes and answers it. Errors: Refusal("not_ready") without an answer."""
        _, replies = msgspec.msgpack.decode(await self._call(_REVOKE, shard, msgspec.msgpack.encode(asks)))
        return list(replies)

    async def _call(self, script: Script, shard: Shard, *args: bytes | str | int) -> Any:
        with _away():
            return await self._door.call(script, shard, *args)


@contextmanager
def _away() -> Iterator[None]:
    """Errors: Refusal("not_ready") where Redis gave no answer."""
    try:
        yield
    except LostReply as error:
        raise Refusal("not_ready", f"Redis did not answer in time. {_REPEAT}") from error
    except DoorError as error:
        raise Refusal("not_ready", f"Redis can't be reached or refuses writes. {_REPEAT}") from error


def not_ready(shard: Shard) -> Refusal:
    """The refusal for a shard that has not been compared with the books since its Redis started."""
    return Refusal("not_ready", f"Shard {shard} is being compared with the books; nothing of it changes until then.")


def all_ready(campaign: CampaignId, looks: Sequence[Look]) -> Sequence[Look]:
    """*looks*, of shard 0 on. Errors: Refusal("not_ready") naming the first shard that may not serve."""
    for number, look in enumerate(looks):
        if not look.ready:
            raise not_ready(Shard(campaign, number))
    return looks
