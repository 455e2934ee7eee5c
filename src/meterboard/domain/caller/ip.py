"""
The canonical form of an IP address, in which events, filters and logs are compared.

`meterboard.client` has a copy, since it imports nothing of the server; a test compares the two.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

MAX_IP = 64
"""Characters of an IP address as it is sent. It bounds the cache of `canonical_ip` to about 20 MB."""


def canonical_ip(text: str) -> str:
    """
    Returns the one spelling of an address: RFC 5952 for IPv6, an IPv4-mapped IPv6 address as the IPv4 address it is.

    A zone is removed: it names an interface of the sender's machine. Raises: ValueError: `text` is not an address.
    """
    if len(text) > MAX_IP:
        raise ValueError(text)
    return _canonical_ip(text)


def ip_or_none(text: str) -> str | None:
    """Returns the canonical form of an address. None: `text` is not an address."""
    try:
        return canonical_ip(text)
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def _canonical_ip(text: str) -> str:
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(address).partition("%")[0]
    return str(address)
