"""Every setting of Rekey, each read once from the environment with a type and a safe default."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from csp.constants import NONE, SELF

from portal.logs import logging_config
from portal.redis_server import redis_url

# Lets `ModelAdmin[Merchant]` stand in code; Django itself has only some of its classes subscriptable.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()


def secret(name: str) -> str:
    """A secret from NAME or the file that NAME_FILE names, else from the state folder; empty when not set."""
    kept = REKEY_VAR / "secrets" / name.lower()
    return str(env.str(name, default=kept.read_text().strip() if kept.is_file() else ""))


# ── where and who ───────────────────────────────────────────────────────────────────────────────────────────
DEBUG = env.bool("DEBUG", default=False)
REKEY_DEMO = env.bool("REKEY_DEMO", default=False)
REKEY_ROLE = env.str("REKEY_ROLE", default="manage")
REKEY_VAR = Path(env.str("REKEY_VAR", default=str(BASE_DIR / "var")))
PORT = env.int("PORT", default=8000)
REKEY_ORIGIN = env.str("REKEY_ORIGIN", default=f"http://127.0.0.1:{PORT}").rstrip("/")
REKEY_HOTLINE = env.str("REKEY_HOTLINE", default="400-000-0000")
REKEY_TRUSTED_PROXIES = env.int("REKEY_TRUSTED_PROXIES", default=0)
SECURE = REKEY_ORIGIN.startswith("https://")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(REKEY_ORIGIN).hostname, "127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = [REKEY_ORIGIN]

# ── secrets: empty means "not set", which a system check refuses ────────────────────────────────────────────
SECRET_KEY = secret("SECRET_KEY")
REKEY_PEPPER = secret("REKEY_PEPPER")
REKEY_FIELD_KEY = secret("REKEY_FIELD_KEY")
# Only the worker is ever told where the signing key lies (design D6).
REKEY_ISSUER_KEY_FILE = env.str("REKEY_ISSUER_KEY_FILE", default="")

# ── apps ────────────────────────────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "portal.apps.PortalConfig",
    "terminals.apps.TerminalsConfig",
    "recovery.apps.RecoveryConfig",
    "portal.apps.RekeyAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_otp",
    "phonenumber_field",
    "ninja",
    "csp",
    "django_structlog",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "portal.middleware.GuardHeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "portal.sessions.SessionClockMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
ASGI_APPLICATION = "portal.asgi.application"
# The terminals' poll is a plain ASGI callable beside Django; named, because portal imports nothing above it.
POLL_APPLICATION = "terminals.polling.poll.Application"
POLL_PATH = "/terminal/v1/commands"
# No body is read beyond these: what a terminal may send (protocol §11), and a page with a list of terminals.
TERMINAL_PREFIX = "/terminal/"
TERMINAL_BODY_MAX = 32 * 1024
PAGE_BODY_MAX = 1024 * 1024
# Where merchants send photos; a picture of 4 MiB and what stands around it.
PHOTO_PREFIXES = ("/support/follow/ticket", "/support/tickets/")
PHOTO_BODY_MAX = 4 * 1024 * 1024 + 64 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = PHOTO_BODY_MAX
POLL_METRICS = "terminals.polling.poll_metrics.PollCollector"
TERMINAL_API = "terminals.api.api"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.middleware.page_facts",
            ]
        },
    }
]

# ── database: the only truth ────────────────────────────────────────────────────────────────────────────────
DATABASE_URL = env.str("DATABASE_URL", default="") or f"sqlite:///{REKEY_VAR / 'rekey.sqlite3'}"
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Deferred transactions fail with "database is locked" as soon as two writers meet; immediate ones queue.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(REKEY_VAR / "test.sqlite3")}
else:
    DATABASES["default"]["OPTIONS"] = DATABASES["default"].get("OPTIONS", {}) | {
        "connect_timeout": 2,
        "options": "-c statement_timeout=10000 -c lock_timeout=5000",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# ── Redis: transport and projection, never memory ───────────────────────────────────────────────────────────
REDIS_URL = env.str("REDIS_URL", default="") or redis_url(REKEY_VAR)
REDIS_TIMEOUT = 1.0

# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────
AUTH_USER_MODEL = "portal.User"
PASSWORD_HASHERS = ["portal.hashers.RekeyArgon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "portal.passwords.ShopWordsValidator"},
    {"NAME": "portal.passwords.GuessablePasswordValidator"},
]
LOGIN_URL = "portal:sign_in"
LOGIN_REDIRECT_URL = "terminals:home"
LOGOUT_REDIRECT_URL = "portal:signed_out"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
PHONENUMBER_DEFAULT_REGION = "CN"
PHONENUMBER_DB_FORMAT = "E164"

# ── cookies and headers ─────────────────────────────────────────────────────────────────────────────────────
COOKIE_PREFIX = "__Host-" if SECURE else ""
SESSION_ENGINE = "portal.session_store"
SESSION_COOKIE_NAME = COOKIE_PREFIX + "rekey_session"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = COOKIE_PREFIX + "rekey_csrf"
CSRF_FAILURE_VIEW = "portal.views.csrf_failure"
KNOWN_COOKIE_NAME = COOKIE_PREFIX + "rekey_known"
RECOVERY_COOKIE_NAME = COOKIE_PREFIX + "rekey_recovery"
LANGUAGE_COOKIE_NAME = "rekey_lang"
LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if REKEY_TRUSTED_PROXIES else None
# Under "no-referrer" browsers send `Origin: null` with our own forms, which the CSRF check rightly refuses.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200

# ── words and time ──────────────────────────────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = env.str("REKEY_TIME_ZONE", default="Asia/Shanghai")

# ── static files ────────────────────────────────────────────────────────────────────────────────────────────
STATIC_URL = "/static/"
STATIC_ROOT = env.str("REKEY_STATIC", default=str(REKEY_VAR / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env.str(
            "REKEY_STATICFILES", default="whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

# ── text messages ───────────────────────────────────────────────────────────────────────────────────────────
SMS_GATEWAY = env.str("SMS_GATEWAY", default="console")
SMS_CONSOLE_FILE = Path(env.str("SMS_CONSOLE_FILE", default=str(REKEY_VAR / "sms.log")))
TWILIO_ACCOUNT_SID = env.str("TWILIO_ACCOUNT_SID", default="")
TWILIO_AUTH_TOKEN = secret("TWILIO_AUTH_TOKEN")
TWILIO_FROM = env.str("TWILIO_FROM", default="")
TWILIO_API_BASE = env.str("TWILIO_API_BASE", default="")
TWILIO_CALLBACK_ORIGIN = env.str("TWILIO_CALLBACK_ORIGIN", default="")
TWILIO_TIMEOUT = env.float("TWILIO_TIMEOUT", default=10.0)
# Which gateways carry texts to a dial code, in order: "86=aliyun+twilio"; others go through SMS_GATEWAY.
SMS_ROUTES = env.dict("SMS_ROUTES", default={})
ALIYUN_ACCESS_KEY_ID = env.str("ALIYUN_ACCESS_KEY_ID", default="")
ALIYUN_ACCESS_KEY_SECRET = secret("ALIYUN_ACCESS_KEY_SECRET")
ALIYUN_SIGN_NAME = env.str("ALIYUN_SIGN_NAME", default="")
# Our texts as they are registered there: "code=SMS_100001,code.en=SMS_100002".
ALIYUN_TEMPLATES = env.dict("ALIYUN_TEMPLATES", default={})
ALIYUN_ENDPOINT = env.str("ALIYUN_ENDPOINT", default="https://dysmsapi.aliyuncs.com")
ALIYUN_TIMEOUT = env.float("ALIYUN_TIMEOUT", default=10.0)
# The last part of the address that reports are pushed to: long, random, and entered in the console there.
ALIYUN_REPORT_KEY = secret("ALIYUN_REPORT_KEY")
# Calls that speak a code; "off" offers none. Twilio's needs a number that can call.
VOICE_GATEWAY = env.str("VOICE_GATEWAY", default="console" if REKEY_DEMO else "off")
TWILIO_VOICE_FROM = env.str("TWILIO_VOICE_FROM", default="")

# ── e-mail ──────────────────────────────────────────────────────────────────────────────────────────────────
MAIL_GATEWAY = env.str("MAIL_GATEWAY", default="file" if REKEY_DEMO else "off")
MAIL_FOLDER = Path(env.str("MAIL_FOLDER", default=str(REKEY_VAR / "mail")))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("MAIL_FROM", default="rekey@localhost")
EMAIL_HOST = env.str("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.int("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = secret("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10

# Dial codes that texts may go to besides 86, with a cap each: "852=50" is fifty a day; "86=0" shuts ours.
REKEY_DIAL_CODES = env.dict("REKEY_DIAL_CODES", default={})
# What one text costs, in thousandths of a currency unit: "86=45,852=300".
REKEY_TEXT_PRICES = env.dict("REKEY_TEXT_PRICES", default={})

# ── who may read the numbers of a process at /metrics: networks, asked directly, never through a proxy ──────
REKEY_METRICS_FROM = [
    ip_network(network) for network in env.list("REKEY_METRICS_FROM", default=["127.0.0.1/32", "::1/128"])
]

# How hard the puzzle is that a browser solves before a fourth text in an hour: zero bits; 0 sets none.
REKEY_PUZZLE_BITS = env.int("REKEY_PUZZLE_BITS", default=15)

# ── how often people confirm that an address is still theirs, in days; 0 never asks ────────────────────────
REKEY_RECONFIRM_DAYS = env.int("REKEY_RECONFIRM_DAYS", default=75)

# ── how long what a second person has confirmed in the contact directory stands, in days ────────────────────
REKEY_DIRECTORY_DAYS = env.int("REKEY_DIRECTORY_DAYS", default=180)

# ── when somebody sits at the support desk, on workdays: the clocks of cases stand still for the rest ───────
REKEY_DESK_HOURS = env.str("REKEY_DESK_HOURS", default="09:00-18:00")

# ── limits that a deployment may tighten or, for a load test on loopback, widen: "name=rate" pairs ──────────
REKEY_LIMITS = env.dict("REKEY_LIMITS", default={})

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
# Addresses are personal; whoever needs one asks portal.network.
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
LOGGING = logging_config(LOG_LEVEL)
