"""
The door to other people's servers: a webhook is sent where its owner says, and nowhere that only we should reach.

A name is looked up here, every time, and its addresses are checked before one of them is connected to: what a name said
when it was typed in is no promise. Without TLS only addresses go that a setting names. A redirect is not followed, no
proxy of the environment is asked, and of an answer only the status is read.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore2

from gateway.addresses import read_networks
from gateway.alerts.reasons import BROKE, NO_ANSWER, NO_CONNECTION, NO_NAME, NOT_PUBLIC

URL_CHARS_MAX = 500
SECONDS_MAX = 15.0
"""From the look-up of the name to the status."""
_PHASES_S = {"connect": 5.0, "write": 5.0, "read": 10.0, "pool": 10.0}
_NAT64 = IPv6Network("64:ff9b::/96")

_LOOK_UPS = ThreadPoolExecutor(4, "alerts-names")
"""Threads of their own: a name server that does not answer must not hold those that quotes are reckoned in."""

_Ip = IPv4Address | IPv6Address


class Undelivered(Exception):
    """It did not arrive, or nobody knows whether it did; the text says why, and nothing of where to or what."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class BadUrl(ValueError):
    """A webhook can't be at this address; the text says what is allowed."""


class Outward:
    """Sends to public addresses by HTTPS, and to those of *networks* also by HTTP. Errors: ValueError."""

    def __init__(self, networks: str) -> None:
        self._allowed = read_networks(networks)
        self._doors = dict[str, httpcore2.AsyncConnectionPool]()

    async def _door_of(self, scheme: str) -> httpcore2.AsyncConnectionPool:
        """Made for the first who needs it: to read the certificates of a machine takes 40 ms, of a thread beside."""
        if scheme not in self._doors:
            context = None
            if scheme == "https":
                loop = asyncio.get_running_loop()
                context = await loop.run_in_executor(_LOOK_UPS, ssl.create_default_context)
            self._doors.setdefault(scheme, self._door(context, is_plain=context is None))
        return self._doors[scheme]

    def _door(self, context: ssl.SSLContext | None, *, is_plain: bool) -> httpcore2.AsyncConnectionPool:
        return httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=32,
            max_keepalive_connections=0,
            retries=0,
            network_backend=_Guarded(self, is_plain=is_plain),
        )

    def may_reach(self, address: _Ip, *, is_plain: bool) -> bool:
        """Whether a webhook may go to *address*: a public one, not by plain HTTP, or one of the networks of ours."""
        inner = _inner(address)
        if any(each in network for each in {address, inner} for network in self._allowed):
            return True
        return not is_plain and all(map(_is_public, {address, inner}))

    def check_url(self, text: str) -> str:
        """*text* as the address of a webhook. Errors: BadUrl."""
        if not (text.isascii() and text.isprintable() and " " not in text and len(text) <= URL_CHARS_MAX):
            raise BadUrl(f"at most {URL_CHARS_MAX} printable ASCII characters without a blank")
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
            (host or "").encode("idna")  # as the look-up does it: a label that is empty or too long is a ValueError
        except ValueError:
            raise BadUrl("an address such as https://hooks.example.com/fairclaim") from None
        if parts.scheme not in (("https", "http") if self._allowed else ("https",)) or not host:
            raise BadUrl("an address that begins with https://")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise BadUrl("an address without a user, a password and a fragment")
        literal = _read_ip(host)
        if literal is not None and not self.may_reach(literal, is_plain=parts.scheme == "http"):
            raise BadUrl("an address that is public; FAIRCLAIM_ALERT_NETWORKS allows others")
        return text

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """The status of the answer to *body*. Errors: Undelivered."""
        door = await self._door_of(urlsplit(url).scheme)
        sent = [(name.encode(), value.encode()) for name, value in headers]
        try:
            async with (
                asyncio.timeout(SECONDS_MAX),
                door.stream("POST", url, headers=sent, content=body, extensions={"timeout": _PHASES_S}) as answer,
            ):
                return int(answer.status)
        except Undelivered:
            raise
        except (httpcore2.TimeoutException, TimeoutError):
            raise Undelivered(NO_ANSWER) from None
        except httpcore2.ConnectError:
            raise Undelivered(NO_CONNECTION) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, OSError) as error:
            raise Undelivered(BROKE % {"what": type(error).__name__}) from None

    async def close(self) -> None:
        """Close every connection."""
        for door in self._doors.values():
            await door.aclose()


class _Guarded(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that a webhook may go to, and to no other."""

    def __init__(self, outward: Outward, *, is_plain: bool) -> None:
        self._outward, self._is_plain, self._inner = outward, is_plain, httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Errors: Undelivered where none of the addresses of *host* may be reached; as httpcore's."""
        addresses = [
            address
            for address in await _look_up(host, port)
            if self._outward.may_reach(address, is_plain=self._is_plain)
        ]
        if not addresses:
            raise Undelivered(NOT_PUBLIC)
        failure: Exception | None = None
        for address in addresses[:3]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def sleep(self, seconds: float) -> None:
        """As httpcore asks for between tries, of which there are none."""
        await asyncio.sleep(seconds)


async def _look_up(host: str, port: int) -> list[_Ip]:
    """Errors: Undelivered where there is no such name."""
    literal = _read_ip(host)
    if literal is not None:
        return [literal]
    try:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, look_up)
    except (OSError, UnicodeError):  # the second for a name that can't be one
        raise Undelivered(NO_NAME) from None
    return [ip_address(str(address[0]).partition("%")[0]) for *_, address in found]


def _read_ip(host: str) -> _Ip | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_public(address: _Ip) -> bool:
    if isinstance(address, IPv6Address) and address.is_site_local:  # fec0::/10 is global to the standard library
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: _Ip) -> _Ip:
    """The IPv4 address that an IPv6 address stands for, if it does: it is where the connection ends."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
