"""How a running server proves that it holds a data folder: it answers a challenge with a digest of a secret."""

import hmac

PATH = "/v1/instance"
MAX_CHALLENGE = 128
"""Characters. Commands send 64; a longer challenge is refused, since hashing takes time."""


def proof(secret: str, challenge: str) -> str:
    """Returns the answer to a challenge. It can't be computed without the secret, nor used for another challenge."""
    return hmac.new(secret.encode(), challenge.encode(), "sha256").hexdigest()
