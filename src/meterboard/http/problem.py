"""Problem documents (RFC 9457): how programs are answered when a request fails."""

from http import HTTPStatus

import msgspec

MEDIA_TYPE = "application/problem+json"


def problem_document(status: int, kind: str, detail: str, **extra: object) -> bytes:
    """Returns the body of a problem. `kind` is the last part of its type; `extra` are further members."""
    return msgspec.json.encode(
        {
            "type": f"urn:meterboard:{kind}",
            "title": HTTPStatus(status).phrase,
            "status": int(status),
            "detail": detail,
            **extra,
        }
    )
