"""GET /v1/instance: proves to commands on this machine that this server holds their data folder."""

from litestar import MediaType, get

from meterboard.domain.instance import MAX_CHALLENGE, PATH, proof
from meterboard.errors import InvalidParameter


@get(PATH, include_in_schema=False, media_type=MediaType.TEXT)
async def instance(instance_secret: str, challenge: str = "") -> str:
    """
    Returns the proof for a challenge. It needs no key, since commands request it before they send theirs.

    Raises: InvalidParameter: the challenge is missing or too long.
    """
    if not 1 <= len(challenge) <= MAX_CHALLENGE:
        raise InvalidParameter(
            "challenge", f"challenge has {len(challenge)} characters: use 1 to {MAX_CHALLENGE}."
        )
    return proof(instance_secret, challenge)
