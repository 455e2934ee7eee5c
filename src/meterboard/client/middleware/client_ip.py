"""Where a call came from. What a header says is believed only from proxies that are trusted by name."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal

ProxyHeader = Literal["X-Forwarded-For", "Forwarded"]
UNIX = "unix"
"""Trusts whoever comes through a Unix domain socket, and so has no address."""
MOST_CHARACTERS = 64
"""The longest text that may be an address, a zone included. Longer ones are never parsed or cached."""
_for = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;,"\s]*))', re.IGNORECASE)


class Addresses:
    """
    Finds the client behind trusted proxies.

    One header is read, the one that these proxies set: a proxy hands the other one on as the client sent it.
    """

    def __init__(self, trusted: Sequence[str], header: ProxyHeader) -> None:
        """`trusted` are networks such as `10.0.0.0/8`, addresses, or `unix`. Raises: ValueError: one is not."""
        if header not in ("X-Forwarded-For", "Forwarded"):
            raise ValueError(f"proxy_header is {header!r}: use X-Forwarded-For or Forwarded.")
        self.header = header
        self.believes = bool(trusted)
        self._networks = [ip_network(network) for network in trusted if network != UNIX]
        self._trusts_unix = UNIX in trusted
        self._trusts = lru_cache(maxsize=4_096)(self._is_trusted)

    def client(self, peer: str | None, forwarded: str) -> str | None:
        """
        The address of the client; None when it is not known.

        `peer` made the connection; `forwarded` is the header's value, several of them joined by commas.
        """
        found = address(peer) if peer else None
        if not forwarded or not (self._trusts(found) if found else self._trusts_unix and not peer):
            return found
        # From the end, and no further than needed: what a stranger sends at the beginning is never looked at.
        for element in reversed(forwarded.split(",")):
            hop = self._hop(element.strip())
            if hop is None:
                break  # hidden or nonsense: who added it is the last one that is known
            found = hop
            if not self._trusts(hop):
                break
        return found

    def _hop(self, element: str) -> str | None:
        if self.header == "X-Forwarded-For":
            return address(_without_port(element))
        match = _for.search(element)
        return match and address(_without_port(match[1] or match[2] or ""))

    def _is_trusted(self, text: str) -> bool:
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
    return _address(text) if len(text) <= MOST_CHARACTERS else None


@lru_cache(maxsize=16_384)
def _address(text: str) -> str | None:
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed).partition("%")[0]
