"""Structured log lines, with every possible secret and person taken out before they are written."""

from __future__ import annotations

import re
from typing import Any

import structlog

MASK = "[hidden]"
# Values under these keys are never written, whatever they hold.
HIDDEN_KEYS = re.compile(
    r"phone|code|password|passwd|token|secret|authorization|cookie|session|csrf|body|args|kwargs|otp|pepper|sealed",
    re.IGNORECASE,
)
# Codes that describe an outcome are worth reading and hide nothing.
SHOWN_KEYS = frozenset({"code_name", "error_code", "status_code"})
HTTP_STATUSES = frozenset(range(100, 600))
SHAPES = (
    re.compile(r"\+[0-9]{8,15}"),
    re.compile(r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])"),
    re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+"),
    re.compile(r"(?i)bearer\s+\S+"),
    # The code of a terminal's screen, in the address that its QR leads to.
    re.compile(r"(?<=/t/)[A-Za-z]{4}-?[A-Za-z]{4}(?![A-Za-z])"),
    # What stands behind a path may be somebody's search for a phone, however it is spaced.
    re.compile(r"(?<=\S)\?\S+$"),
)
QUIET = (
    "twilio",
    "urllib3",
    "uvicorn.access",
    "asyncio",
    "kombu",
    "amqp",
    "celery.beat",
    "celery.worker.request",
    "celery.worker.strategy",
    "celery.app.trace",
    "django.db.backends",
    "httpcore",
    "httpx",
)


def scrub_text(text: str) -> str:
    """The text without phone numbers, signed tokens and bearers."""
    for shape in SHAPES:
        text = shape.sub(MASK, text)
    return text


def scrub(value: Any) -> Any:
    """The same value with texts scrubbed and hidden keys masked, through lists and dicts."""
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, dict):
        return {key: MASK if hides(str(key), inner) else scrub(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(inner) for inner in value]
    return value


def hides(key: str, value: Any = None) -> bool:
    """Whether a value under this key must not be written. An HTTP status may be called `code`."""
    if key in SHOWN_KEYS or (key == "code" and isinstance(value, int) and value in HTTP_STATUSES):
        return False
    return HIDDEN_KEYS.search(key) is not None


def redact(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """The structlog processor that applies `scrub` to every line, tracebacks included."""
    return {key: MASK if hides(key, value) else scrub(value) for key, value in event.items()}


SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]


def logging_config(level: str) -> dict[str, Any]:
    """The LOGGING dictionary: one JSON line per event on standard error; talkative libraries are hushed."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
                "foreign_pre_chain": SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in QUIET},
    }
