"""A TCP proxy on loopback in front of a server, which can lose replies, stall, or cut, as a bad network does."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """
    Forwards to the server of *url*; use ``async with`` and connect to ``.url``.

    *lose_replies*: what the server answers from now on never arrives, and the connection is cut after it;
    *refuse*: new connections are closed at once. Both can be set and cleared while it runs.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self.lose_replies = False
        self.refuse = False
        self.lost = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._pipes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        user, at, _ = self._parts.netloc.rpartition("@")
        self.url = urlunsplit(self._parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Drop every connection."""
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.close()
            return
        assert self._parts.port is not None
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._parts.port)
        self._writers |= {writer, upstream_writer}
        there = asyncio.create_task(self._pipe(reader, upstream_writer, replies=False))
        back = asyncio.create_task(self._pipe(upstream_reader, writer, replies=True))
        self._pipes |= {there, back}
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, upstream_writer):
            end.close()
            with suppress(OSError):
                await end.wait_closed()
            self._writers.discard(end)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if replies and self.lose_replies:
                    self.lost += 1
                    return
                writer.write(data)
                await writer.drain()
