"""Whose address a connection comes from, whatever is said about it."""

from ipaddress import ip_network

import pytest

from channels.client_address import client_address, group_of, parse_networks

TRUSTED = parse_networks("10.0.0.0/8, 2001:db8:ffff::/48") or ()


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # What a proxy wrote is believed, and so is what those wrote that it spoke for.
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:ffff::1", "2001:db8::1", "2001:db8::1"),
        # What a client wrote before a proxy is not.
        ("10.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "10.9.9.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        # A client that is no proxy may say what it likes.
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("192.0.2.1", "10.0.0.1", "192.0.2.1"),
        # Where nobody said anything, or only proxies did, it is the furthest that is known.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # As some proxies write addresses.
        ("10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
        # Behind what is no address nothing is known.
        ("10.0.0.1", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "192.0.2.1, ", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1;10.0.0.2", "10.0.0.1"),
        ("", "192.0.2.1", ""),
    ],
)
def test_the_first_address_that_is_no_proxy_is_the_clients(
    peer: str, forwarded: str, client: str
) -> None:
    """Read from the right, as far as those who wrote are trusted."""
    assert client_address(peer, forwarded, TRUSTED) == client


def test_nobody_is_believed_unless_named() -> None:
    """That is how a node is that stands alone."""
    assert client_address("10.0.0.1", "192.0.2.1", ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_a_household_has_a_whole_network_of_ipv6(address: str, group: str) -> None:
    """Its addresses count as one; any other address counts for itself."""
    assert group_of(address) == group


def test_networks_are_read_from_a_list() -> None:
    """An address is a network of one. What is none spoils the list."""
    expected = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert parse_networks("10.0.0.0/8, ::1") == expected
    assert [None] * 4 == [parse_networks(text) for text in ("", "10.0.0.1/8", "a,::1", "::1,")]
