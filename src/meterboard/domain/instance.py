"""How a running server proves that it is the one that holds a data folder: it answers a challenge with a secret."""

import hmac

PATH = "/v1/instance"
MAX_CHALLENGE = 128
"""Characters. Commands send 64; a longer challenge is refused, since hashing is work."""


def proof(secret: str, challenge: str) -> str:
    """Returns the answer to a challenge. Only the holder of the secret can make it, and it can't be used again."""
    return hmac.new(secret.encode(), challenge.encode(), "sha256").hexdigest()
