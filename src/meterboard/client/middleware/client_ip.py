"""The IP address of a caller. Headers are used only when a trusted proxy sent them."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal

ProxyHeader = Literal["X-Forwarded-For", "Forwarded"]
UNIX = "unix"
"""Trusts connections through a Unix domain socket, which have no address."""
MAX_CHARACTERS = 64
"""The longest address, zone included. Longer text is never parsed or cached."""
_for = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;,"\s]*))', re.IGNORECASE)


class Addresses:
    """
    Finds the client's address behind trusted proxies.

    Only the header that these proxies set is read: they pass the other one on as the client sent it.
    """

    def __init__(self, trusted: Sequence[str], header: ProxyHeader) -> None:
        """`trusted` are networks such as `10.0.0.0/8`, addresses, or `unix`. Raises: ValueError: an invalid one."""
        if header not in ("X-Forwarded-For", "Forwarded"):
            raise ValueError(f"proxy_header is {header!r}: use X-Forwarded-For or Forwarded.")
        self.header = header
        self.trusts_proxies = bool(trusted)
        self._networks = [ip_network(network) for network in trusted if network != UNIX]
        self._trusts_unix = UNIX in trusted
        self._is_trusted = lru_cache(maxsize=4_096)(self._is_in_networks)

    def client(self, peer: str | None, forwarded: str) -> str | None:
        """
        Returns the client's address; None when it is unknown.

        `peer` opened the connection; `forwarded` is the header's value, several joined by commas.
        """
        found = address(peer) if peer else None
        if not forwarded or not (self._is_trusted(found) if found else self._trusts_unix and not peer):
            return found
        # From the end, and no further than needed: an untrusted client controls the beginning.
        for element in reversed(forwarded.split(",")):
            hop = self._hop(element.strip())
            if hop is None:
                break  # hidden or invalid: the proxy that added it is the last known address
            found = hop
            if not self._is_trusted(hop):
                break
        return found

    def _hop(self, element: str) -> str | None:
        if self.header == "X-Forwarded-For":
            return address(_without_port(element))
        match = _for.search(element)
        return match and address(_without_port(match[1] or match[2] or ""))

    def _is_in_networks(self, text: str) -> bool:
        parsed = ip_address(text)
        return any(parsed in network for network in self._networks)


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def address(text: str) -> str | None:
    """
    Returns an address in its canonical form; None for what is none.

    A copy of the server's `canonical_ip`, which the client can't import: the two agree on every text.
    """
    return _address(text) if len(text) <= MAX_CHARACTERS else None


@lru_cache(maxsize=16_384)
def _address(text: str) -> str | None:
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed).partition("%")[0]
