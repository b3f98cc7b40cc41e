"""
Whose address a request comes from: the peer's, or what the proxies we trust say of it.

X-Forwarded-For is a list to whose end each proxy adds whom it got the request from. Only what a
trusted proxy added is believed: read from the end, the first address that is not one of theirs. What
stands before it was sent by a stranger and may say anything.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:  # the settings read networks here, and every command reads the settings
    from starlette.requests import HTTPConnection

Address = NewType("Address", str)
"""An IPv4 address, or the /64 of an IPv6 address: a subscriber has the whole of it."""

IPV6_PREFIX_BITS = 64

_Ip = IPv4Address | IPv6Address


def read_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks of a list separated by commas. Errors: ValueError naming the one that is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


class Addresses:
    """Tells addresses apart, where the networks of *trusted_proxies* are ours."""

    def __init__(self, trusted_proxies: str) -> None:
        self._trusted = read_networks(trusted_proxies)

    def of(self, connection: "HTTPConnection") -> Address:
        """Where the request comes from."""
        peer = connection.client.host if connection.client is not None else ""
        return self.behind(peer, connection.headers.getlist("x-forwarded-for"))

    def behind(self, peer: str, forwarded_for: Sequence[str]) -> Address:
        """The address that a connection of *peer* speaks for, by its X-Forwarded-For lines."""
        last = _read_ip(peer)
        if last is None:
            return Address(peer or "unknown")
        for said in reversed(",".join(forwarded_for).split(",")):
            before = _read_ip(said) if self._is_trusted(last) else None
            if before is None:
                break
            last = before
        return Address(_shown(last))

    def _is_trusted(self, address: _Ip) -> bool:
        return any(address in network for network in self._trusted)


def _read_ip(text: str) -> _Ip | None:
    """An address as proxies write it, perhaps with a port or in brackets; an IPv4 one in IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _shown(address: _Ip) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, IPV6_PREFIX_BITS), strict=False))
