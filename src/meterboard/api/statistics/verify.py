"""GET /v1/verify."""

from litestar import get

from meterboard.domain.organization import Organization
from meterboard.service.reads import shared
from meterboard.service.verify import Verification, Verify


@get(
    "/v1/verify",
    summary="Check the statistics against the events",
    operation_id="GetVerification",
    tags=["Statistics"],
)
@shared
def verification(organization: Organization, verify: Verify) -> Verification:
    """Compares the statistics with the events. A difference of 0 means that they agree."""
    return verify.check(organization)
