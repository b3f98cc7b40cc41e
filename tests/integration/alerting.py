"""What the tests of alerts share: a watch whose clock is in their hands, a webhook's receiver, a mail server."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

from gateway.alerts import figures
from gateway.alerts.figures import Figures
from gateway.alerts.kinds import KINDS
from gateway.alerts.outward import Outward
from gateway.alerts.sending import Sending
from gateway.alerts.store import Alert, list_alerts
from gateway.alerts.watch import Watch
from gateway.console.live import reading
from gateway.limiter import Limiter
from gateway.probing import Probing
from gateway.sql import postgres
from lua.door import Door
from tests.http import Worker

LOOPBACK = "127.0.0.0/8"

# A server that is away is one that refuses here; one that is busy with other tests has its time to answer.
figures.LOOK_S_MAX = reading.LOOK_S_MAX = 60.0


class Watching:
    """A watch of *worker*'s servers that looks when it is told to, by a clock that goes on when it is told to."""

    def __init__(self, worker: Worker, limiter: Limiter, door: Door | None = None) -> None:
        here = worker.services
        self.worker, self.now_s = worker, 0.0
        probing = Probing(limiter, here.settings.code_failures_alarm)
        figures = Figures(door or here.door, here.pool, here.telemetry, probing, self._clock)
        self.watch = Watch(here.pool, figures, here.settings, self._clock)

    def _clock(self) -> float:
        return self.now_s

    async def look(self, after_s: float = 5.0) -> bool:
        """Look, so much later."""
        self.now_s += after_s
        return await self.watch.look()

    async def alerts(self, kind: str | None = None) -> list[Alert]:
        """Every alert there ever was, oldest first."""
        async with postgres(self.worker.services.pool) as connection:
            found = await list_alerts(connection, [kind] if kind else list(KINDS), limit=1000)
        return found[::-1]

    async def open(self, kind: str) -> list[tuple[str, float]]:
        """Subject and figure of the open alerts of *kind*."""
        return [(each.subject, each.figure) for each in await self.alerts(kind) if each.cleared_at is None]


@asynccontextmanager
async def open_watching(worker: Worker, door: Door | None = None) -> AsyncIterator[Watching]:
    """A watch beside *worker*'s own, which does not look by itself for a minute."""
    limiter = Limiter(worker.settings.redis_url, 20_000)
    try:
        yield Watching(worker, limiter, door)
    finally:
        await limiter.close()


def sending_of(worker: Worker) -> Sending:
    """Another sender beside the worker's own."""
    here = worker.services
    return Sending(here.pool, here.settings, Outward(here.settings.alert_networks), here.telemetry)


class Hook:
    """A webhook's receiver on loopback: remembers what came, and answers with *status*, or not at all where it is 0."""

    def __init__(self) -> None:
        self.status, self.location = 204, ""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.came = asyncio.Event()

    async def __aenter__(self) -> "Hook":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook/s3cret-path"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append((headers, body))
        self.came.set()
        if self.status:
            more = f"location: {self.location}\r\n" if self.location else ""
            writer.write(f"HTTP/1.1 {self.status} X\r\n{more}content-length: 0\r\n\r\n".encode())
        writer.close()


class MailServer:
    """An SMTP server on loopback that keeps what it gets; *refuse* is what it answers to a mail, if anything."""

    def __init__(self) -> None:
        self.refuse = ""
        self.got: list[EmailMessage] = []

    async def __aenter__(self) -> "MailServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                data = (await reader.readuntil(b"\r\n.\r\n")).replace(b"\r\n..", b"\r\n.")
                made: Any = email.message_from_bytes(data[:-3], policy=email.policy.default)
                self.got.append(made)
                writer.write(b"250 kept\r\n")
            elif verb == "RCPT" and self.refuse:
                writer.write(f"{self.refuse}\r\n".encode())
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
        writer.close()


def by(check: Callable[[Alert], bool], alerts: list[Alert]) -> list[Alert]:
    """Those of *alerts* for which *check* holds."""
    return [each for each in alerts if check(each)]
