"""One reader a worker, while somebody looks; everybody who looks gets what it read, each at his own pace."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.console.live.frame import Course, Frame
from gateway.console.live.reading import Reading
from gateway.errors import Refusal

log = logging.getLogger("fairclaim.live")

PAUSE_S = 1.0
"""From one reading to the next."""
FRESH_MS = 2000
"""A frame as old as this is still shown to who asks for one."""
GAP_MS_MAX = 10_000
"""Readings further apart than this have nothing to do with each other: more than two that wait for a server take."""
PAST_MAX = 300
"""Frames that are kept for who comes, or comes back."""
WATCHERS_MAX, OF_ONE_MAX = 64, 8
"""Who may look at once, a worker, and how often the same person."""

_encoder = msgspec.json.Encoder()


class Watcher:
    """
    Somebody who looks. He has one place: a frame that he was too slow to take gives way to the next.

    Whatever a browser does, so, no more than one frame waits for it here.
    """

    def __init__(self, name: str) -> None:
        self.name, self.is_over = name, False
        self._frame: bytes | None = None
        self._due = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """The newest there is."""
        self._frame = frame
        self._due.set()

    def end(self) -> None:
        """There will be no more."""
        self.is_over = True
        self._due.set()

    async def next(self, wait_s: float) -> bytes | None:
        """The newest frame that he did not have; None where there is none in time, or no more."""
        try:
            async with asyncio.timeout(wait_s):
                await self._due.wait()
        except TimeoutError:
            return None
        self._due.clear()
        frame, self._frame = self._frame, None
        return None if self.is_over else frame


class Live:
    """*look* takes a reading, every *pause_s* while somebody watches. What fails is logged, and tried again."""

    def __init__(self, look: Callable[[], Awaitable[Reading]], pause_s: float = PAUSE_S) -> None:
        self.look, self.pause_s = look, pause_s
        self.past: deque[Frame] = deque(maxlen=PAST_MAX)
        self.watchers: set[Watcher] = set()
        self._course, self._one_at_a_time = Course(), asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._is_over = False

    async def now(self) -> Frame:
        """The frame of this moment, or the one just before."""
        async with self._one_at_a_time:
            if self.past and abs(time.time() * 1000 - self.past[-1].at_ms) < FRESH_MS:  # clocks are set back too
                return self.past[-1]
            return await self._take()

    def join(self, name: str) -> Watcher:
        """The user *name* looks from now on, until leave(). Errors: Refusal("overloaded") with too many of them."""
        his = sum(each.name == name for each in self.watchers)
        if self._is_over or len(self.watchers) >= WATCHERS_MAX or his >= OF_ONE_MAX:
            raise Refusal("overloaded", "Too many watch at this moment.")
        watcher = Watcher(name)
        self.watchers.add(watcher)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """He looks no more."""
        self.watchers.discard(watcher)

    def since(self, at_ms: int) -> Sequence[Frame]:
        """The frames after *at_ms*, oldest first."""
        return [frame for frame in self.past if frame.at_ms > at_ms]

    def end(self) -> None:
        """The worker stops: no stream may keep it waiting."""
        self._is_over = True
        for watcher in self.watchers:
            watcher.end()

    async def close(self) -> None:
        """End, and take no more readings."""
        self.end()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})

    async def _read(self) -> None:
        due = time.monotonic()
        while self.watchers:
            try:
                async with self._one_at_a_time:
                    data = as_event("frame", await self._take())
                for watcher in self.watchers:
                    watcher.put(data)
            except Exception:
                log.exception("a reading failed")
            due = max(due + self.pause_s, time.monotonic())  # a slow reading is not made up for
            await asyncio.sleep(due - time.monotonic())

    async def _take(self) -> Frame:
        reading = await self.look()
        if not self.past or abs(reading.at_ms - self.past[-1].at_ms) > GAP_MS_MAX:
            self._course.forget()
            self.past.clear()
        frame = self._course.frame(reading)
        self.past.append(frame)
        return frame


def as_event(kind: str, content: Frame | list[Frame]) -> bytes:
    """An event of the stream; its id is the time of the last frame, so that any worker knows where to go on."""
    last = content if isinstance(content, Frame) else content[-1]
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (last.at_ms, kind.encode(), _encoder.encode(content))
