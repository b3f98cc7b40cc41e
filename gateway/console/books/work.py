"""
What takes minutes: done in the background when somebody asks, and kept in Redis for an hour, so every worker shows it.

A worker that is at it says so every few seconds: where it died, that is found out soon, and it may be asked for again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from redis.exceptions import RedisError

from gateway.errors import Refusal
from gateway.services import Services
from lua.keys import WORKS_PREFIX

KEPT_S = 3600
ALIVE_S = 20
SAYS_SO_EVERY_S = 5.0

_running: set[asyncio.Task[None]] = set()


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """
    Work that *who* asked for at *began_s*, and its *result* when it is done.

    *trouble* is the code of what went wrong, with its *detail*. Units: times are seconds, since the epoch or in all.
    """

    state: Literal["running", "done", "failed"]
    who: str
    began_s: float
    took_s: float = 0.0
    result: msgspec.Raw = msgspec.Raw(b"null")
    trouble: str = ""
    detail: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it is not over."""
        return self.state == "running"


async def begin(here: Services, name: str, who: str, do: Callable[[], Awaitable[Any]]) -> None:
    """Do the work *name*, unless that is being done. Errors: Refusal("not_ready")."""
    before = await load(here, name)
    if before is not None and before.is_running:
        return
    begun = Work(state="running", who=who, began_s=time.time())
    await _keep(here, name, begun, ALIVE_S)
    task = asyncio.create_task(_follow(here, name, begun, do))
    _running.add(task)
    task.add_done_callback(_running.discard)


async def load(here: Services, name: str) -> Work | None:
    """The work *name* as it is; None where nobody asked for it within the hour. Errors: Refusal("not_ready")."""
    try:
        kept = await here.door.redis.get(f"{WORKS_PREFIX}{name}")
    except (RedisError, OSError):
        raise Refusal("not_ready", "Redis can't be reached at the moment.") from None
    return msgspec.json.decode(kept, type=Work) if kept else None


async def _follow(here: Services, name: str, begun: Work, do: Callable[[], Awaitable[Any]]) -> None:
    """Do it, say every few seconds that it goes on, and keep what came of it."""
    work = asyncio.ensure_future(_outcome(begun, do))
    try:
        while not (await asyncio.wait({work}, timeout=SAYS_SO_EVERY_S))[0]:
            await _keep(here, name, begun, ALIVE_S)
        await _keep(here, name, work.result(), KEPT_S)
    finally:
        work.cancel()


async def _outcome(begun: Work, do: Callable[[], Awaitable[Any]]) -> Work:
    try:
        result = msgspec.Raw(msgspec.json.encode(await do()))
    except Refusal as refusal:
        took_s = time.time() - begun.began_s
        told = {"trouble": refusal.code, "detail": refusal.detail, "took_s": took_s}
        return msgspec.structs.replace(begun, state="failed", **told)
    return msgspec.structs.replace(begun, state="done", took_s=time.time() - begun.began_s, result=result)


async def _keep(here: Services, name: str, work: Work, seconds: int) -> None:
    """Errors: Refusal("not_ready")."""
    try:
        await here.door.redis.set(f"{WORKS_PREFIX}{name}", msgspec.json.encode(work), ex=seconds)
    except (RedisError, OSError):
        raise Refusal("not_ready", "Redis can't be reached at the moment.") from None
