"""
A phone's connection to the gateway: one at a time, kept between requests, made anew where it is gone.

Requests are put together by hand and answers parsed by what FastHttpUser is made of (geventhttpclient), without its
cookies, redirects and header objects: a process sends several times as many.
"""

import ipaddress
import random
import select
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import gevent.socket  # type: ignore[import-untyped]
from gevent import monkey
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketPoolResponse

from loadtest.run.faults import trickle

CONNECT_S_MAX = 10.0
BLOCK_BYTES = 16_384
IDLE_S_MIN = 0.9
"""A connection unused for so long may be closed by the gateway at any moment: it keeps none for less than a second."""

_poll = monkey.get_original("select", "poll")
"""The system's own: gevent's would wait, and select knows no file above 1023."""


class Answer(NamedTuple):
    """
    What came back. *status* 0: nothing did, and *says* why. *hung_up*: because the connection had been idle, and was
    closed by the other side just as the request was sent.
    """

    status: int
    replayed: bool
    retry_after_s: float
    body: bytes
    says: str = ""
    hung_up: bool = False


class _Kept(ConnectionPool):
    """A pool of one connection that knows how long it had not been used, and whether it is still there."""

    idle_s = 0.0
    """Of the connection that was got last; 0 if it was made for that."""
    _returned_s = 0.0

    def get_socket(self) -> gevent.socket.socket:
        self.idle_s = time.perf_counter() - self._returned_s
        return super().get_socket()

    def after_connect(self, sock: gevent.socket.socket) -> None:
        self.idle_s = 0.0
        super().after_connect(sock)

    def return_socket(self, sock: gevent.socket.socket) -> None:
        self._returned_s = time.perf_counter()
        super().return_socket(sock)

    def _resolve(self) -> list[Any]:
        """What is an address already is not sent through gevent's few threads, where a crowd that comes would queue."""
        try:
            address = ipaddress.ip_address(self._connection_host)
        except ValueError:
            return super()._resolve()
        family = gevent.socket.AF_INET6 if address.version == 6 else gevent.socket.AF_INET
        where = self._connection_host, self._connection_port
        return [(family, gevent.socket.SOCK_STREAM, gevent.socket.IPPROTO_TCP, "", where)]

    def _is_socket_alive(self, sock: gevent.socket.socket | None) -> bool:
        """With geventhttpclient's own select each connection above the 1023rd file would be made anew each time."""
        if sock is None or sock.fileno() < 0:
            return False
        poll = _poll()
        poll.register(sock.fileno(), select.POLLIN)
        return not poll.poll(0)


class _KeptSecure(_Kept, SSLConnectionPool):
    """The same over TLS."""


class Line:
    """Where a phone's requests go, one connection at a time, kept between them."""

    def __init__(self, url: str, patience_s: float) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._secure else 80)
        self.authority, self.base = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self.patience_s = patience_s
        self.pool = self._connecting()

    def _connecting(self) -> _Kept:
        kind = _KeptSecure if self._secure else _Kept
        where = self._host, self._port
        return kind(*where, *where, size=1, connection_timeout=CONNECT_S_MAX, network_timeout=self.patience_s)

    def close(self) -> None:
        """End the connection; the next request makes another one."""
        self.pool.close()
        self.pool = self._connecting()

    def send(self, request: bytes, method: str, slowly: random.Random | None = None) -> Answer:
        """Ask once; *slowly* in pieces, drawn by it."""
        try:
            connection = self.pool.get_socket()
        except OSError as error:
            return _none(f"no connection: {short(error)}")
        idle = self.pool.idle_s >= IDLE_S_MIN
        try:
            if slowly is None:
                connection.sendall(request)
            else:
                trickle(connection, request, slowly)
        except BaseException as error:
            self.pool.release_socket(connection)
            if isinstance(error, OSError):
                return _none(f"lost the connection: {short(error)}", idle and isinstance(error, ConnectionError))
            raise
        try:
            answer = HTTPSocketPoolResponse(connection, self.pool, block_size=BLOCK_BYTES, method=method)
            body = answer.read()
        except TimeoutError:
            return _none(f"no answer within {self.patience_s:g} s")
        except (OSError, HTTPParseError) as error:
            # HTTPConnectionClosed: before the first byte of an answer.
            return _none(f"lost the connection: {short(error)}", idle and isinstance(error, HTTPConnectionClosed))
        status = answer.get_code()
        replayed = status == 200 and answer.get("idempotency-replayed") == "true"
        retry_after: Any = answer.get("retry-after") if status in (429, 503) else None
        return Answer(status, replayed, float(retry_after) if isinstance(retry_after, str) else 0.0, body)


def _none(says: str, hung_up: bool = False) -> Answer:
    return Answer(0, False, 0.0, b"", says, hung_up)


def short(error: BaseException) -> str:
    """What went wrong with a connection, in a few words that are the same each time."""
    return f"{type(error).__name__} {error.args[0] if error.args else ''}".strip()
