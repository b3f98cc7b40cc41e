"""A server that is far away: a proxy on this machine that delivers everything sent to it so much later."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

from loadtest.client import Address

PROXY_START_S_MAX = 10


@contextmanager
def distant(url: str, away_s: float) -> Iterator[str]:
    """Another URL of the server at *url*, by which everything sent arrives *away_s* later; the answers do not wait."""
    where, told = urlsplit(url), SimpleQueue[tuple[int, Callable[[], object]]]()
    address = (where.hostname or "127.0.0.1", where.port or 6379)
    thread = Thread(target=lambda: asyncio.run(_carry_all(address, away_s, told)), name="distance")
    thread.start()
    port, stop = told.get(timeout=PROXY_START_S_MAX)
    try:
        user, at, _ = where.netloc.rpartition("@")
        yield urlunsplit(where._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
    finally:
        stop()
        thread.join()


async def _carry_all(address: Address, away_s: float, told: "SimpleQueue[tuple[int, Callable[[], object]]]") -> None:
    """Tell the port and what stops it, and serve until then."""

    ends: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection(*address)
        ends.update((writer, there))
        await asyncio.gather(_carry(reader, there, away_s), _carry(back, writer, 0.0))

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    told.put((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stopping.set)))
    await stopping.wait()
    server.close()
    await asyncio.gather(*map(_end, ends), return_exceptions=True)


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    await writer.wait_closed()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, away_s: float) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await reader.read(65536):
            loop.call_later(away_s, writer.write, data)  # one delay for all, so nothing overtakes
    loop.call_later(away_s, writer.close)
