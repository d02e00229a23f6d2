"""The compared Django views as uvicorn takes them, under ASGI and under WSGI."""

from __future__ import annotations

from typing import Any

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

wsgi = get_wsgi_application()
_asgi: Any = get_asgi_application()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Django, which knows no lifespan, behind one that answers it."""
    if scope["type"] != "lifespan":
        await _asgi(scope, receive, send)
        return
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})
