"""GET /v1/credits."""

from litestar import get

from meterboard.domain.organization import Organization
from meterboard.service.answers import Credits
from meterboard.service.credits import LiveCredits


@get("/v1/credits", summary="Credits of the rolling 24 hours", tags=["Credits"], sync_to_thread=True)
def credits(organization: Organization, live_credits: LiveCredits) -> Credits:
    """What was used in (now - 24 h, now], every acknowledged event included."""
    return live_credits.now(organization)
