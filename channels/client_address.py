"""Whose address a connection comes from, where proxies stand before this node. Pure.

Each proxy adds the address that it was spoken to from, on the right of `X-Forwarded-For`; what is
further left was said by whoever spoke to it, and may be a lie. So the list is read from the right,
and only as far as those who wrote it are trusted: the first address that is no proxy of ours is the
client's.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

# As some proxies write them: `192.0.2.1:4711`, `[2001:db8::1]:4711`, `[2001:db8::1]`.
_WITH_PORT: Final = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
# What one household or one machine has of IPv6: whoever has one address there has all of them.
_IPV6_PREFIX: Final = 64


def parse_networks(text: str) -> tuple[Network, ...] | None:
    """Networks from a list with commas, such as `10.0.0.0/8, ::1`; None if it is none."""
    try:
        return tuple(ip_network(name.strip()) for name in text.split(","))
    except ValueError:
        return None


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The address of the client.

    Args:
        peer: who the connection is from; empty where that has no address.
        forwarded: the `X-Forwarded-For` of its request; empty if there is none.
        trusted: the proxies that are believed.
    """
    address = _read(peer) if trusted else None
    if address is None or not _is_among(address, trusted):
        return peer
    for said in reversed(forwarded.split(",")):
        before = _read(said)
        if before is None:  # not an address: nobody knows what it means, nor what is left of it
            break
        address = before
        if not _is_among(address, trusted):
            break
    return str(address)


def group_of(address: str) -> str:
    """Those who count as one with this address: of IPv6 the /64, else the address itself."""
    if ":" not in address:
        return address
    read = _read(address)
    if isinstance(read, IPv6Address):
        return str(ip_network((read, _IPV6_PREFIX), strict=False))
    return address if read is None else str(read)


def _read(text: str) -> Address | None:
    """An address, with a port or without; None if it is none."""
    text = text.strip()
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        text = with_port[1] or with_port[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_among(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
