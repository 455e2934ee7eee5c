"""Whose address a call comes from, when proxies stand in between."""

import pytest

from meterboard.client.middleware.client_ip import Addresses, ProxyHeader

TRUSTED = ["10.0.0.0/8", "2001:db8:ff::/48"]


@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        ("203.0.113.7", "6.6.6.6", "203.0.113.7"),  # not through a proxy of ours: anybody can write a header
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),  # the first one is what the client claimed
        ("10.0.0.1", "203.0.113.7, 10.9.9.9", "203.0.113.7"),
        ("10.0.0.1", "10.3.3.3, 10.9.9.9", "10.3.3.3"),
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:DB8::0:1", "2001:db8::1"),
        ("2001:db8:ff::1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, unknown, 10.9.9.9", "10.9.9.9"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (None, "203.0.113.7", None),
        ("testclient", "203.0.113.7", None),
        ("fe80::1%eth0", "", "fe80::1"),
    ],
)
def test_x_forwarded_for(peer: str | None, header: str, expected: str | None) -> None:
    assert Addresses(TRUSTED, "X-Forwarded-For").client(peer, header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ('For="[2001:db8::1]:4711";proto=https', "2001:db8::1"),
        ("proto=http; for=203.0.113.7;by=10.0.0.1", "203.0.113.7"),
        ("for=6.6.6.6, for=203.0.113.7, for=10.9.9.9", "203.0.113.7"),
        ("for=203.0.113.7, for=_hidden", "10.0.0.1"),
        ("by=10.0.0.2", "10.0.0.1"),
    ],
)
def test_forwarded(header: str, expected: str) -> None:
    assert Addresses(TRUSTED, "Forwarded").client("10.0.0.1", header) == expected


@pytest.mark.parametrize(("trusted", "expected"), [(["unix"], "203.0.113.7"), (TRUSTED, None)])
def test_a_proxy_that_comes_through_a_unix_socket(trusted: list[str], expected: str | None) -> None:
    header: ProxyHeader = "X-Forwarded-For"

    assert Addresses(trusted, header).client("", "203.0.113.7") == expected
