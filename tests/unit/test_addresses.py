"""Whose address a request comes from, and that nobody can make one up."""

import pytest
from starlette.requests import Request

from gateway.addresses import Addresses, read_networks

PROXIES = "10.0.0.0/8, 192.0.2.7 ,fd00::/8"


@pytest.mark.parametrize("said", [[], ["203.0.113.9"], ["10.0.0.1, 203.0.113.9"], ["nonsense"]])
def test_without_trusted_proxies_the_peer_is_who_asks(said: list[str]) -> None:
    """X-Forwarded-For is not even read where nobody is trusted."""
    assert Addresses("").behind("198.51.100.4", said) == "198.51.100.4"


@pytest.mark.parametrize("said", [[], ["203.0.113.9"], ["203.0.113.9, 10.0.0.2"]])
def test_a_peer_that_is_no_proxy_of_ours_speaks_for_itself(said: list[str]) -> None:
    """Who comes past the proxies can't name another's address."""
    assert Addresses(PROXIES).behind("198.51.100.4", said) == "198.51.100.4"


@pytest.mark.parametrize(
    ("peer", "said", "address"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("192.0.2.7", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("fd00::1", ["203.0.113.9,10.0.0.2 , fd00::2"], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::/64"),
        ("10.0.0.1", ["fe80::1%eth0"], "fe80::/64"),
        ("10.0.0.1", ["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
    ],
)
def test_behind_proxies_the_last_address_that_is_not_theirs_counts(peer: str, said: list[str], address: str) -> None:
    """One proxy or several, one line or two, with a port or without, in either family."""
    assert Addresses(PROXIES).behind(peer, said) == address


@pytest.mark.parametrize("spoofed", ["198.51.100.4", "10.0.0.9", "198.51.100.4, 10.0.0.9", "nonsense", "", ",,,"])
def test_what_a_stranger_sends_along_is_not_believed(spoofed: str) -> None:
    """Whatever stands before what our proxy added, be it a victim's address or a proxy's, changes nothing."""
    addresses = Addresses(PROXIES)

    assert addresses.behind("10.0.0.1", [f"{spoofed}, 203.0.113.9"]) == "203.0.113.9"
    assert addresses.behind("10.0.0.1", [spoofed, "203.0.113.9"]) == "203.0.113.9"


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ([], "10.0.0.1"),
        (["nonsense"], "10.0.0.1"),
        (["203.0.113.9, nonsense, 10.0.0.2"], "10.0.0.2"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ],
)
def test_where_the_proxies_say_nothing_the_farthest_of_them_counts(said: list[str], address: str) -> None:
    """A line that can't be read is where believing ends."""
    assert Addresses(PROXIES).behind("10.0.0.1", said) == address


def test_the_addresses_of_an_ipv6_subscriber_are_one() -> None:
    """He has 2^64 of them, and they count as one; his neighbour's /64 is another."""
    addresses = Addresses("")
    one, same = addresses.behind("2001:db8:0:1::1", []), addresses.behind("2001:db8:0:1:ffff:ffff:ffff:ffff", [])

    assert one == same == "2001:db8:0:1::/64"
    assert addresses.behind("2001:db8:0:2::1", []) != one
    assert addresses.behind("203.0.113.9", []) != addresses.behind("203.0.113.10", [])


@pytest.mark.parametrize(("client", "address"), [(("203.0.113.9", 1), "203.0.113.9"), (None, "unknown")])
def test_the_peer_is_the_connection_s(client: tuple[str, int] | None, address: str) -> None:
    """A socket of another kind has no address, and all of those count as one."""
    scope = {"type": "http", "client": client, "headers": [(b"x-forwarded-for", b"198.51.100.4")]}

    assert Addresses("").of(Request(scope)) == address


def test_several_lines_are_read_as_one_list() -> None:
    """A request may have the header more than once: the lines follow each other."""
    headers = [(b"x-forwarded-for", b"198.51.100.4"), (b"x-forwarded-for", b"203.0.113.9, 10.0.0.2")]

    assert Addresses(PROXIES).of(Request({"type": "http", "client": ("10.0.0.1", 1), "headers": headers})) == (
        "203.0.113.9"
    )


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1;10.0.0.2"])
def test_a_list_that_can_t_be_read_is_refused_by_name(text: str) -> None:
    """A misspelt network is an error and not a network that trusts nobody, or everybody."""
    with pytest.raises(ValueError, match=text.partition("/")[0]):
        read_networks(f"192.0.2.7,{text}")
