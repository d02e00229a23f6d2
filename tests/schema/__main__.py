"""`python -m tests.schema` writes docs/openapi.json anew from what is served."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from terminals.api import api  # noqa: E402 - Django has to be set up first

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def served() -> str:
    """The document as text."""
    return json.dumps(api.get_openapi_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(served(), "utf-8")
