"""WSGI entry for web processes that leave polling to others (design D10a)."""

import os

from django.core.wsgi import get_wsgi_application

from portal.checks import insist

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()
insist()
