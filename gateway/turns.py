"""
The turns of one connection's requests: each is answered after the ones before it, and none keeps it for ever.

uvicorn's own protocol with three things put right. Nothing is read while whole requests wait for their turn, so they
do not pile up. Refused requests that wait are answered in a loop, however many there are. And a connection has one
timer that looks whether its time is over (uvicorn makes one a request, and none for a request that never ends).
"""

import asyncio
from collections import deque
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class _Flow(FlowControl):
    """uvicorn's, but nothing more is read while somebody waits in *pipeline*."""

    def __init__(self, transport: asyncio.Transport, pipeline: "deque[tuple[Any, Any]]") -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Read on, unless somebody waits."""
        if not self._pipeline:
            super().resume_reading()


class Turns(HttpToolsProtocol):
    """
    One connection. *_due* is when it is dropped unless something happens before.

    Units: seconds; *_receipt_s_max* from a request's first byte to its last.
    """

    _receipt_s_max: float

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.cycle: Any = None  # of uvicorn's kind, or of the lane's
        self.pipeline: deque[tuple[Any, Any]] = deque()
        self._receiving = self._in_head = self._lingering = self._starting = False
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to watch: a connection that never asks anything is not kept."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self.idle_from_now()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_message_complete(self) -> None:
        """All of the request is there."""
        self._receiving = False
        self.idle_from_now()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out: go on with what was pipelined, or wait for the next request."""
        self.server_state.total_requests += 1
        if self._starting or self.transport.is_closing():
            return
        if not self._receiving:
            self._due = self.loop.time() + self.timeout_keep_alive
        if not (self.pipeline and self._start_next()):
            self.on_all_answered()
        if self.flow.read_paused:
            self.flow.resume_reading()
            if self._receiving:  # the rest could not come meanwhile
                self._due = self.loop.time() + self._receipt_s_max

    def _start_next(self) -> bool:
        """
        Give pipelined requests their turn until one has to be waited for, and tell whether one has.

        A loop, for each of thousands may be refused at once.
        """
        self._starting = True
        try:
            waited_for = False
            while self.pipeline and not waited_for:
                cycle, app = self.pipeline.pop()
                self._start_asgi_task(cycle, app)
                waited_for = not cycle.response_complete
            return waited_for
        finally:
            self._starting = False

    def on_all_answered(self) -> None:
        """Nobody waits on this connection any more."""

    # The clock

    def idle_from_now(self) -> None:
        """Nothing is under way, as far as this request goes: the connection is kept for so long."""
        self._due = self.loop.time() + self.timeout_keep_alive

    def receiving_from_now(self) -> None:
        """The rest of a request has to come within its time."""
        self._due = self.loop.time() + self._receipt_s_max

    def linger(self, within_s: float) -> None:
        """Write no more, and close in *within_s*, or when the other side does: what it still sends is thrown away."""
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._lingering, self._due = True, self.loop.time() + within_s
        self._watch()

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        wake = min(self._due, self.loop.time() + min(self.timeout_keep_alive, self._receipt_s_max))
        self._timer = self.loop.call_at(wake, self._look_at_clock)

    def _look_at_clock(self) -> None:
        """Drop the connection if its time is over; the timer never wakes later than any time that may have been set."""
        self._timer = None
        if self.transport.is_closing():
            return
        if self.loop.time() >= self._due:
            self._time_is_over()
        if not self.transport.is_closing():
            self._watch()

    def _time_is_over(self) -> None:
        if self._lingering:
            self.transport.close()
        elif not self._receiving and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()  # idle
        elif not self._receiving or self.flow.read_paused or self._waits_for_its_turn():
            self.receiving_from_now()  # it is us who are slow
        else:
            self.on_receipt_overdue()

    def _waits_for_its_turn(self) -> bool:
        """Whether earlier requests of the connection are to be answered before the one that is being received."""
        return bool(self.pipeline) or (self._in_head and self.cycle is not None and not self.cycle.response_complete)

    def on_receipt_overdue(self) -> None:
        """A request did not come in its time."""
        self.transport.close()

    def _unset_keepalive_if_required(self) -> None:
        """Nothing: the one timer of this class takes the place of uvicorn's timer a request."""
