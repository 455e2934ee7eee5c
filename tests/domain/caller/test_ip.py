"""One spelling for each IP address, whichever way it came in."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meterboard.client.middleware.client_ip import address
from meterboard.domain.caller.ip import canonical_ip, ip_or_none

PARTS = st.text("0123456789abcdefF:.%/[] ", max_size=70)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("fe80::1%eth0", "fe80::1"),
        ("FE80::0:1%12", "fe80::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1%eth0", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_address_has_one_spelling_and_no_zone(sent: str, kept: str) -> None:
    assert canonical_ip(sent) == ip_or_none(sent) == kept


@pytest.mark.parametrize(
    "text", ["fe80::1%", "%eth0", "10.0.0.1%eth0", "10.0.0.01", "fe80::1%" + "x" * 64, "1" * 10_000]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert ip_or_none(text) is None
    with pytest.raises(ValueError, match=text[:4]):
        canonical_ip(text)


@given(PARTS | st.ip_addresses().map(str))
@example("10.0.0.1%eth0")
@example("fe80::1%")
@example("::ffff:10.0.0.1%eth0")
@example("fe80::1%" + "x" * 64)
def test_the_client_s_copy_reads_every_text_alike(text: str) -> None:
    assert address(text) == ip_or_none(text)
