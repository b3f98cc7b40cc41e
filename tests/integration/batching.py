"""What the tests of the batcher share: asks whose answers are awaited, and a batcher to ask."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.asks import Ask, Decided, Rush, ScriptReply, read_reply
from gateway.batcher import Batcher
from gateway.queue import Undecided
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from lua.door import Door
from lua.keys import CampaignId, HolderId, Shard, key_hash, payload_hash
from lua.link import Link

Answer = Decided | Undecided


class Waiting(Ask):
    """An ask whose answer is a future."""

    def __init__(self, holder: str, key: str) -> None:
        super().__init__(HolderId(holder), key_hash(key) + payload_hash(b"{}"), "")
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def decided(self, rush: Rush, reply: ScriptReply, code: str) -> None:
        self._done(read_reply(rush, reply, code))

    def undecided(self, why: Undecided) -> None:
        self._done(why)

    def _done(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class Failing(Waiting):
    """An ask whose caller fails on its answer."""

    def decided(self, rush: Rush, reply: ScriptReply, code: str) -> None:
        raise RuntimeError("the caller's own failure")


class Desk:
    """A batcher and what was asked of it."""

    def __init__(self, link: Link, telemetry: Telemetry, **settings: int) -> None:
        self.batcher = Batcher(link, msgspec.structs.replace(Settings(), **settings), telemetry)

    def ask(self, holder: str, key: str = "", campaign: str = "c") -> "asyncio.Future[Answer]":
        """Submit one claim; the future is done when it is answered."""
        waiting = Waiting(holder, key or holder)
        self.batcher.submit(Shard(CampaignId(campaign), 0), 1, waiting)
        return waiting.answer


NewDesk = Callable[..., Desk]


def outcomes(answers: Sequence[Answer]) -> list[Any]:
    """Outcome or problem code of each."""
    return [answer.outcome if isinstance(answer, Decided) else answer.code for answer in answers]


async def evalsha_calls(door: Door) -> int:
    """Script calls the server has run."""
    return int((await door.redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0))
