"""What of a request is counted."""

from typing import cast

import pytest
from litestar.types import HTTPScope

from meterboard.proxy.request import ip_of


@pytest.mark.parametrize(
    ("client", "ip"),
    [
        (("::ffff:10.0.0.1", 4711), "10.0.0.1"),
        (("fe80::1%eth0", 4711), "fe80::1"),
        (("/run/api.socket", None), None),
        (None, None),
    ],
)
def test_the_address_of_a_caller_is_canonical(client: object, ip: str | None) -> None:
    assert ip_of(cast(HTTPScope, {"client": client})) == ip
