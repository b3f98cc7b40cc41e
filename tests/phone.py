"""A client on a socket of its own: it sends exact bytes, and reads answers one by one, as they are on the wire."""

import asyncio
import re
import socket
import struct
from contextlib import suppress
from typing import Any, NamedTuple, Self

import msgspec

ANSWER_S_MAX = 60.0
"""No answer takes longer than that, however busy the machine; a test that waits for one that never comes has to end."""


def request_bytes(method: str, path: str, *lines: str, body: bytes | None = None) -> bytes:
    """The bytes of a request with Host, header *lines*, and a Content-Length if there is a body."""
    length = () if body is None else (f"Content-Length: {len(body)}",)
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: gateway", *lines, *length, "", ""))
    return head.encode("latin-1") + (body or b"")


class WireAnswer(NamedTuple):
    """An answer as it came; *headers* in their order, names as they were spelt."""

    status: int
    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def code(self) -> str:
        """The problem's code; '' for an answer that is no problem."""
        if self.header(b"content-type") != b"application/problem+json":
            return ""
        return str(msgspec.json.decode(self.body)["code"])

    def header(self, name: bytes) -> bytes | None:
        """The one value of a header, or None."""
        values = [value for each, value in self.headers if each == name]
        assert len(values) <= 1, values
        return values[0] if values else None

    def masked(self) -> "WireAnswer":
        """The answer without what no two answers share: date, request id, jitter, codes, seq, the time of a claim."""
        lengths = {b"content-length": b"right"} if self.header(b"content-length") == b"%d" % len(self.body) else {}
        differs = _DIFFERENT_HEADERS | lengths
        headers = [(name, differs.get(name, value)) for name, value in self.headers]
        return self._replace(headers=headers, body=_DIFFERS.sub(_only_name, self.body))


_DIFFERS = re.compile(
    rb'"(?:display_)?code":"[0-9A-Z]{4}[0-9A-Z-]{14,17}"|"codes":\[[^]]+\]|"seq":\d+'
    rb'|"(?:request_id|claimed_at|expires_at|server_time)":"[^"]*"'
)


def _only_name(found: re.Match[bytes]) -> bytes:
    return found[0].partition(b":")[0] + b":"


_DIFFERENT_HEADERS = {b"date": b"", b"x-request-id": b"", b"retry-after": b""}


class Phone:
    """One connection. Use ``async with``; it reads nothing that is not asked for."""

    def __init__(self, port: int, buffer_bytes: int | None = None) -> None:
        self._port, self._buffer_bytes = port, buffer_bytes
        self._read = bytearray()
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._buffer_bytes is not None:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                self.socket.setsockopt(socket.SOL_SOCKET, option, self._buffer_bytes)
        try:
            await self._loop.sock_connect(self.socket, ("127.0.0.1", self._port))
        except OSError:
            self.socket.close()
            raise
        return self

    async def __aexit__(self, *failure: Any) -> None:
        self.socket.close()

    async def send(self, data: bytes) -> None:
        """Send exactly that."""
        await self._loop.sock_sendall(self.socket, data)

    def end_sending(self) -> None:
        """Close one half: nothing more will be sent, answers are still read."""
        self.socket.shutdown(socket.SHUT_WR)

    def vanish(self) -> None:
        """Be gone with a reset, as a phone whose battery is empty."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def answer(self, *, bodiless: bool = False) -> WireAnswer:
        """The next answer; *bodiless* where none follows its head, whatever the head says (HEAD)."""
        async with asyncio.timeout(ANSWER_S_MAX):
            head = await self._until(b"\r\n\r\n")
            line, *lines = head[:-4].split(b"\r\n")
            pairs = [(name, value) for name, _, value in (each.partition(b": ") for each in lines)]
            status, headers = int(line.split(b" ")[1]), dict(pairs)
            if bodiless or status in (100, 204, 304):
                body = b""
            elif headers.get(b"transfer-encoding") == b"chunked":
                body = await self._chunks()
            else:
                body = await self._bytes(int(headers[b"content-length"]))
            return WireAnswer(status, line, pairs, body)

    async def ask(self, data: bytes) -> WireAnswer:
        """Send a request and read its answer."""
        await self.send(data)
        return await self.answer()

    def unread(self) -> bytes:
        """What has come and was not asked for, as far as it can be seen now."""
        with suppress(BlockingIOError):
            self._read += self.socket.recv(65536)
        return bytes(self._read)

    async def rest(self) -> bytes:
        """All that comes until the server closes, however it closes."""
        async with asyncio.timeout(ANSWER_S_MAX):
            with suppress(ConnectionResetError):
                while await self._more():
                    pass
        rest, self._read = bytes(self._read), bytearray()
        return rest

    async def _more(self) -> bytes:
        data = await self._loop.sock_recv(self.socket, 65536)
        self._read += data
        return data

    async def _until(self, mark: bytes) -> bytes:
        while (at := self._read.find(mark)) < 0:
            assert await self._more(), f"closed after {bytes(self._read)!r}"
        return await self._bytes(at + len(mark))

    async def _bytes(self, count: int) -> bytes:
        while len(self._read) < count:
            assert await self._more(), f"closed after {bytes(self._read)!r}"
        taken = bytes(self._read[:count])
        del self._read[:count]
        return taken

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._until(b"\r\n"), 16):
            body += (await self._bytes(size + 2))[:-2]
        await self._until(b"\r\n")
        return body
