"""The product's settings in an environment of their own: a fresh folder, made-up secrets, cheap hashes."""

import os
import tempfile
from pathlib import Path

os.environ |= {
    "REKEY_VAR": os.environ.get("REKEY_TEST_VAR") or tempfile.mkdtemp(prefix="rekey-"),
    "REKEY_ORIGIN": "http://testserver",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "SECRET_KEY": "tests-only-" + "k" * 50,
    "REKEY_PEPPER": "cGVwcGVyLWZvci10ZXN0cy1vbmx5LTAxMjM0NTY3ODk=",
    "REKEY_FIELD_KEY": "ZmllbGQta2V5LWZvci10ZXN0cy1vbmx5LTAxMjM0NTY=",
    "REKEY_STATICFILES": "django.contrib.staticfiles.storage.StaticFilesStorage",
    "SMS_GATEWAY": "console",
    "REKEY_DEMO": "1",
    "REKEY_PUZZLE_BITS": "0",
    "LOG_LEVEL": "DEBUG",
}
for name in ("REDIS_URL", "REKEY_ISSUER_KEY_FILE", "REKEY_ROLE", "DEBUG"):
    os.environ.pop(name, None)

from portal.settings import *  # noqa: E402, F403 - the environment above has to stand first

TEST_VAR = Path(os.environ["REKEY_VAR"])
PASSWORD_HASHERS = ["tests.hashers.CheapHasher"]
# WhiteNoise warns about a folder that collectstatic has not made yet, and warnings are errors here.
(TEST_VAR / "static").mkdir(parents=True, exist_ok=True)
