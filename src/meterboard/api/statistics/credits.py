"""GET /v1/credits and /v1/credits/returns."""

from litestar import get

from meterboard.domain.organization import Organization
from meterboard.service.credits import LiveCredits
from meterboard.service.reads import shared
from meterboard.service.statistics.answers import Credits, Returns


@get(
    "/v1/credits",
    summary="Credits of the rolling 24 hours",
    operation_id="GetCredits",
    tags=["Credits"],
)
@shared
def credits(organization: Organization, live_credits: LiveCredits) -> Credits:
    """What was used in (now - 24 h, now], every acknowledged event included."""
    return live_credits.now(organization)


@get(
    "/v1/credits/returns",
    summary="When used credits come back",
    operation_id="GetCreditsReturns",
    tags=["Credits"],
)
@shared
def credits_returns(organization: Organization, live_credits: LiveCredits) -> Returns:
    """The next 24 hours by the hour: each use comes back exactly 24 hours after its time."""
    return live_credits.returns(organization)
