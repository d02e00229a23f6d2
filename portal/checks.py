"""What must hold before Rekey starts, each under a stable id; docs/operations.md says what to do."""

from __future__ import annotations

import base64
import binascii
import importlib.util
from typing import Any
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register, run_checks  # noqa: A004
from django.core.exceptions import ImproperlyConfigured

from portal.audit_chain import keyfile

TAG = "rekey"
ROLES = ("web", "poll", "worker", "beat", "manage")
GATEWAYS = {
    "SMS_GATEWAY": ("console", "twilio", "aliyun"),
    "VOICE_GATEWAY": ("off", "console", "twilio"),
    "MAIL_GATEWAY": ("off", "file", "smtp"),
}
FOR_SHOW = {"SMS_GATEWAY": "console", "VOICE_GATEWAY": "console", "MAIL_GATEWAY": "file"}
ALIYUN_NEEDS = ("ALIYUN_ACCESS_KEY_ID", "ALIYUN_ACCESS_KEY_SECRET", "ALIYUN_SIGN_NAME", "ALIYUN_TEMPLATES")
TWILIO_NEEDS = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM", "TWILIO_CALLBACK_ORIGIN")
SECRET_KEY_LENGTH = 50
KEY_BYTES = 32


def insist() -> None:
    """Refuse to start a process whose settings are wrong. Raises ImproperlyConfigured with every reason."""
    wrong = [message for message in run_checks(tags=[TAG]) if message.is_serious()]
    if wrong:
        raise ImproperlyConfigured("\n".join(f"{message.id}: {message.msg}" for message in wrong))


def for_show() -> bool:
    """Whether this is a demo or a developer's run, where codes may be shown and plain http is fine."""
    return bool(settings.REKEY_DEMO or settings.DEBUG)


def _secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:
        return ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


@register(TAG)
def attempts_outlive_requests(**_: Any) -> list[CheckMessage]:
    """E001: a failed request must not give an attempt back."""
    if any(database.get("ATOMIC_REQUESTS") for database in settings.DATABASES.values()):
        return [Error("ATOMIC_REQUESTS is on: a page that rolls back undoes attempts.", id="rekey.E001")]
    return []


@register(TAG)
def codes_are_not_printed(**_: Any) -> list[CheckMessage]:
    """E002: the gateways of the demo show codes to whoever reads their output."""
    if for_show():
        return []
    return [
        Error(f"{name}={value} shows codes; it is for the demo only.", id="rekey.E002")
        for name, value in FOR_SHOW.items()
        if getattr(settings, name) == value
    ]


@register(TAG)
def secrets_are_set(**_: Any) -> list[CheckMessage]:
    """E003, E004, E005: the three secrets exist and are long enough."""
    found: list[CheckMessage] = []
    if len(_secret_key()) < SECRET_KEY_LENGTH:
        found.append(Error(f"SECRET_KEY needs {SECRET_KEY_LENGTH} characters.", id="rekey.E003"))
    if len(_decoded(settings.REKEY_PEPPER)) < KEY_BYTES:
        found.append(Error(f"REKEY_PEPPER needs {KEY_BYTES} bytes in base64.", id="rekey.E004"))
    if len(_decoded(settings.REKEY_FIELD_KEY)) != KEY_BYTES:
        found.append(Error(f"REKEY_FIELD_KEY must be {KEY_BYTES} bytes in base64.", id="rekey.E005"))
    return found


@register(TAG)
def sqlite_queues_its_writers(**_: Any) -> list[CheckMessage]:
    """E006: deferred transactions on SQLite fail as soon as two writers meet."""
    for database in settings.DATABASES.values():
        mode = database.get("OPTIONS", {}).get("transaction_mode")
        if database["ENGINE"].endswith("sqlite3") and mode != "IMMEDIATE":
            return [Error("SQLite needs transaction_mode IMMEDIATE.", id="rekey.E006")]
    return []


@register(TAG)
def only_workers_can_sign(**_: Any) -> list[CheckMessage]:
    """E007: stealing a web process must not mint resets (design D6)."""
    if settings.REKEY_ISSUER_KEY_FILE and settings.REKEY_ROLE != "worker":
        return [Error(f"A {settings.REKEY_ROLE} process is told the signing key.", id="rekey.E007")]
    return []


@register(TAG)
def trail_can_be_signed(**_: Any) -> list[CheckMessage]:
    """W036: without its key nobody signs the audit trail."""
    path = keyfile.key_path()
    if path is not None and settings.REKEY_ROLE == "worker" and not for_show() and not path.is_file():
        return [Warning(f"There is no {path.name} to sign the audit trail with.", id="rekey.W036")]
    return []


@register(TAG)
def names_are_known(**_: Any) -> list[CheckMessage]:
    """E008, E009: a role and a gateway that exist."""
    found: list[CheckMessage] = []
    if settings.REKEY_ROLE not in ROLES:
        found.append(Error(f"REKEY_ROLE must be one of {', '.join(ROLES)}.", id="rekey.E008"))
    found += [
        Error(f"{name} must be one of {', '.join(known)}.", id="rekey.E009")
        for name, known in GATEWAYS.items()
        if getattr(settings, name) not in known
    ]
    return found


@register(TAG)
def twilio_is_complete(**_: Any) -> list[CheckMessage]:
    """E010: half an account sends nothing."""
    missing = [name for name in TWILIO_NEEDS if not getattr(settings, name)]
    if "twilio" in _texters() and missing:
        return [Error(f"Texts through twilio also need {', '.join(missing)}.", id="rekey.E010")]
    return []


def _texters() -> set[str]:
    """The gateways that carry texts to one dial code or another."""
    routed = (name for route in settings.SMS_ROUTES.values() for name in route.split("+"))
    return {settings.SMS_GATEWAY, *routed}


@register(TAG)
def aliyun_is_complete(**_: Any) -> list[CheckMessage]:
    """E032, E033: half an account sends nothing, and its SDK is installed on request only."""
    if "aliyun" not in _texters():
        return []
    found: list[CheckMessage] = []
    missing = [name for name in ALIYUN_NEEDS if not getattr(settings, name)]
    if missing:
        found.append(Error(f"Texts through aliyun also need {', '.join(missing)}.", id="rekey.E032"))
    if importlib.util.find_spec("alibabacloud_dysmsapi20170525") is None:
        found.append(Error("Aliyun's SDK is not installed.", id="rekey.E033"))
    return found


@register(TAG)
def routes_lead_somewhere(**_: Any) -> list[CheckMessage]:
    """E034: a route of known gateways for a dial code."""
    known = GATEWAYS["SMS_GATEWAY"]
    for code, names in settings.SMS_ROUTES.items():
        if not (code.isascii() and code.isdigit() and all(name in known for name in names.split("+"))):
            return [Error("SMS_ROUTES must look like 86=aliyun+twilio.", id="rekey.E034")]
    return []


@register(TAG)
def calls_and_mails_come_from_somewhere(**_: Any) -> list[CheckMessage]:
    """E030, E031: a number that can call, and an address that mail servers take."""
    found: list[CheckMessage] = []
    caller = (*TWILIO_NEEDS[:2], "TWILIO_VOICE_FROM", "TWILIO_CALLBACK_ORIGIN")
    missing = [name for name in caller if not getattr(settings, name)]
    if settings.VOICE_GATEWAY == "twilio" and missing:
        found.append(Error(f"VOICE_GATEWAY=twilio also needs {', '.join(missing)}.", id="rekey.E030"))
    if settings.MAIL_GATEWAY == "smtp" and settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        found.append(Error("MAIL_GATEWAY=smtp also needs MAIL_FROM.", id="rekey.E031"))
    return found


@register(TAG)
def origin_is_an_origin(**_: Any) -> list[CheckMessage]:
    """E011: scheme and host, nothing more; terminals compare it byte by byte."""
    parts = urlsplit(settings.REKEY_ORIGIN)
    plain = f"{parts.scheme}://{parts.netloc}" == settings.REKEY_ORIGIN and "@" not in parts.netloc
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        return [Error("REKEY_ORIGIN must look like https://rekey.example.", id="rekey.E011")]
    return []


@register(Tags.security, TAG, deploy=True)
def origin_is_secure(**_: Any) -> list[CheckMessage]:
    """E012: cookies, HSTS and the redirect follow from an https origin."""
    if not settings.REKEY_ORIGIN.startswith("https://") and not for_show():
        return [Error("REKEY_ORIGIN is not https.", id="rekey.E012")]
    return []


@register(Tags.security, TAG, deploy=True)
def proxies_are_counted(**_: Any) -> list[CheckMessage]:
    """W013: we do not end TLS ourselves, so an https origin means that a proxy stands in front."""
    if settings.REKEY_ORIGIN.startswith("https://") and settings.REKEY_TRUSTED_PROXIES == 0:
        return [Warning("REKEY_TRUSTED_PROXIES is 0: every visitor looks like the proxy.", id="rekey.W013")]
    return []


@register(Tags.security, TAG, deploy=True)
def redis_forgets_nothing_by_itself(**_: Any) -> list[CheckMessage]:
    """E014: under an evicting policy Redis drops inboxes and tasks when memory is short."""
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=None)
    try:
        with client:
            policy = client.info("memory").get("maxmemory_policy", "noeviction")
    except redis.RedisError:
        return [Warning("Redis does not answer, so its eviction policy is not known.", id="rekey.W015")]
    if policy != "noeviction":
        return [Error(f"Redis evicts ({policy}); set maxmemory-policy noeviction.", id="rekey.E014")]
    return []


@register(TAG)
def prices_and_caps_are_numbers(**_: Any) -> list[CheckMessage]:
    """E021: a cap or a price that is no number would fail when the first text is to go out."""
    for name in ("REKEY_DIAL_CODES", "REKEY_TEXT_PRICES"):
        pairs = getattr(settings, name)
        if not all(part.isascii() and part.isdigit() for pair in pairs.items() for part in pair):
            return [Error(f"{name} must look like 86=100,852=50.", id="rekey.E021")]
    return []
