"""
The HTTP server of one worker: uvicorn, and what it takes to be one of several on a port.

Each worker has a listening socket of its own, and the kernel shares the connections out over them by a hash. So those
of a worker that is away would wait until it is back. Every worker has its siblings' sockets too, and accepts what has
been waiting there.
"""

import asyncio
import gc
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

from gateway.settings import Settings
from gateway.stack.preflight import BACKLOG


def server_config(app: Any, settings: Settings, *, http: Any) -> uvicorn.Config:
    """How uvicorn serves *app* behind the protocol class *http*."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=http,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s_max,
        timeout_graceful_shutdown=settings.stop_s_max,
        backlog=BACKLOG,
    )


class Serving(uvicorn.Server):
    """One worker's server; *siblings* are the sockets that other workers accept from."""

    def __init__(self, config: uvicorn.Config, siblings: Sequence[socket.socket] = ()) -> None:
        super().__init__(config)
        self._siblings = {sibling.fileno(): sibling for sibling in siblings}
        self._waiting = select.poll()
        for descriptor, sibling in self._siblings.items():
            sibling.setblocking(False)
            self._waiting.register(descriptor, select.POLLIN)
        self._waited: set[int] = set()  # where somebody waited at the last tick

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """
        SIGTERM and SIGINT: accept no more, answer what is in flight, and return.

        uvicorn's own way raises the signal again at the end, and a good stop would look like a crash.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; what lives as long as the worker is then no longer walked by every full garbage collection."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: accept for a sibling where somebody has been waiting since the last tick."""
        waiting = {descriptor for descriptor, _ in self._waiting.poll(0)} if self._siblings else set()
        for descriptor in waiting & self._waited:
            await self._accept_from(self._siblings[descriptor])
        self._waited = waiting
        return await super().on_tick(counter)

    async def _accept_from(self, sibling: socket.socket) -> None:
        """Take every connection that waits there, as if it had come to us."""
        while not self.should_exit:
            try:
                connection, _ = sibling.accept()
            except OSError:  # nobody waits any more; or we may open no more files, and the next tick tries again
                return
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; whoever is still waiting at a sibling is the sibling's again."""
        for sibling in self._siblings.values():
            sibling.close()
        self._siblings = {}
        await super().shutdown(sockets)
