"""ASGI entry: the terminals' poll beside Django, in one process (design D10, D10a)."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.utils.module_loading import import_string

from portal.bodies import bounded
from portal.checks import insist
from portal.metrics import registry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
pages = bounded(get_asgi_application())
insist()
registry.register(import_string(settings.POLL_METRICS)())
# Polls, and the server's start and stop, are the poll callable's; everything else goes to Django.
application: Any = import_string(settings.POLL_APPLICATION)(pages)
