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
    """Returns the credits that were used in (now - 24 h, now], including every acknowledged event."""
    return live_credits.now(organization)


@get(
    "/v1/credits/returns",
    summary="When used credits come back",
    operation_id="GetCreditsReturns",
    tags=["Credits"],
)
@shared
def credits_returns(organization: Organization, live_credits: LiveCredits) -> Returns:
    """Returns when used credits are free again, exactly 24 hours after their use: the next 24 hours by the hour."""
    return live_credits.returns(organization)
