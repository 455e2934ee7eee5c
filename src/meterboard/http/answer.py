"""A whole answer over ASGI, for applications that no framework serves."""

from collections.abc import Mapping

from litestar.types import Send


async def send_answer(
    send: Send, status: int, media_type: str, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    """Sends status, headers and body. `headers` are those beside the type and the length of the body."""
    head = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in (headers or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})
