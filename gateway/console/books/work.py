"""
What takes minutes: done in the background when somebody asks, and kept in Redis for an hour, so every worker shows it.

Of one name there is one at a time, whichever worker is asked: who is at it has a claim on the name, which he renews
every few seconds. Where he died the claim runs out soon, the work counts as lost, and it may be asked for again; a
worker that stops says so at once. A work keeps itself whole: a verdict changes nothing, a close is one transaction.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.errors import Refusal
from lua.keys import WORKS_PREFIX

log = logging.getLogger("fairclaim.console")

KEPT_S = 3600
AT_ONCE_MAX = 16
"""Works of one worker, those that wait for their turn too; no more people look at a close at once."""
ALIVE_S = 20
SAYS_SO_EVERY_S = 5.0
TURN_EVERY_S = 2.0
TURN_S_MAX = 900.0
"""How long a work waits while another one that excludes it is done: a verdict takes ten minutes at most."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """
    Work that *who* asked for at *began_s*, and its *result* when it is done.

    *id* is the claim of whoever is at it. *step* is what is being done, with *done* of *of* such behind it. *trouble*
    is the code of what went wrong, with its *detail*. Units: times are seconds, since the epoch or in all.
    """

    id: str
    state: Literal["running", "done", "failed", "lost"]
    who: str
    began_s: float
    took_s: float = 0.0
    step: str = ""
    done: int = 0
    of: int = 0
    result: msgspec.Raw = msgspec.Raw(b"null")
    trouble: str = ""
    detail: str = ""

    @property
    def is_running(self) -> bool:
        """Whether somebody is at it."""
        return self.state == "running"


class Progress:
    """How far a work is. Whoever does it calls tell()."""

    def __init__(self) -> None:
        self.step, self.done, self.of = "", 0, 0
        self.told = asyncio.Event()

    def tell(self, step: str, done: int = 0, of: int = 0) -> None:
        """It is at *step*, with *done* of *of* behind it; no *of*: nobody knows how far that is."""
        self.step, self.done, self.of = step, done, of
        self.told.set()


Do = Callable[[Progress], Awaitable[Any]]


class Works:
    """The works of one worker, told to all of them through Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, name: str, who: str, do: Do) -> bool:
        """Do the work *name*; False where that is being done. Errors: Refusal, overloaded or not_ready."""
        if len(self._tasks) >= AT_ONCE_MAX:
            raise Refusal("overloaded", f"{AT_ONCE_MAX} works are under way already.")
        begun = Work(id=token_hex(8), state="running", who=who, began_s=time.time())
        try:
            if not await self._redis.set(_claim(name), begun.id, nx=True, ex=ALIVE_S):
                return False
            await self._redis.set(_record(name), msgspec.json.encode(begun), ex=KEPT_S)
        except (RedisError, OSError):
            raise Refusal("not_ready", "Redis can't be reached at the moment.") from None
        task = asyncio.create_task(self._follow(name, begun, do))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def load(self, name: str) -> Work | None:
        """The work *name* as it is; None where nobody asked for it within the hour. Errors: Refusal("not_ready")."""
        try:
            kept, claim = await self._redis.mget(_record(name), _claim(name))
        except (RedisError, OSError):
            raise Refusal("not_ready", "Redis can't be reached at the moment.") from None
        found = msgspec.json.decode(kept, type=Work) if kept else None
        if found is not None and found.is_running and claim != found.id.encode():
            return msgspec.structs.replace(found, state="lost")
        return found

    async def close(self) -> None:
        """Stop what this worker is at, and say so."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _follow(self, name: str, begun: Work, do: Do) -> None:
        """Do it, say how far it is and every few seconds that it goes on, and keep what came of it."""
        progress = Progress()
        work = asyncio.ensure_future(_outcome(begun, do, progress))
        try:
            while not work.done():
                told = asyncio.ensure_future(progress.told.wait())
                await asyncio.wait({work, told}, timeout=SAYS_SO_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                progress.told.clear()
                if not work.done():
                    at = {"step": progress.step, "done": progress.done, "of": progress.of}
                    await self._say(name, msgspec.structs.replace(begun, **at))
            await self._say(name, work.result())
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait({work})
            await self._say(name, _failed(begun, "stopped", "The gateway was stopped."))
            raise

    async def _say(self, name: str, work: Work) -> None:
        """Keep it, where it is still ours: who was thought dead does not write over another one's."""
        try:
            kept = await self._redis.get(_record(name))
            if kept and msgspec.json.decode(kept, type=Work).id != work.id:
                return
            # At once: whoever sees that it is over may ask for it again.
            async with self._redis.pipeline(transaction=True) as told:
                told.set(_record(name), msgspec.json.encode(work), ex=KEPT_S)
                if work.is_running:
                    told.set(_claim(name), work.id, ex=ALIVE_S)
                else:
                    told.delete(_claim(name))
                await told.execute()
        except (RedisError, OSError) as error:  # it goes on, and is lost to those who look if that lasts
            log.warning("nobody could be told how far a work is", extra={"work": name, "error": type(error).__name__})


async def _outcome(begun: Work, do: Do, progress: Progress) -> Work:
    """What came of it. Where another one excludes it, it waits for its turn."""
    until_s = time.monotonic() + TURN_S_MAX
    while True:
        try:
            result = msgspec.Raw(msgspec.json.encode(await do(progress)))
        except Refusal as refusal:
            if refusal.code != "overloaded" or refusal.retry_after_s is None or time.monotonic() > until_s:
                return _failed(begun, refusal.code, refusal.detail or "")
            progress.tell("turn")
            await asyncio.sleep(TURN_EVERY_S)
        except Exception:
            log.exception("a work failed", extra={"who": begun.who})
            return _failed(begun, "internal", "")
        else:
            return msgspec.structs.replace(begun, state="done", took_s=time.time() - begun.began_s, result=result)


def _failed(begun: Work, trouble: str, detail: str) -> Work:
    took_s = time.time() - begun.began_s
    return msgspec.structs.replace(begun, state="failed", trouble=trouble, detail=detail, took_s=took_s)


def _record(name: str) -> str:
    return f"{WORKS_PREFIX}{{{name}}}"


def _claim(name: str) -> str:
    return f"{WORKS_PREFIX}{{{name}}}:at-it"
