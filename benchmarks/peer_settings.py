"""The product's settings for the compared Django views: no middleware at all, which is kind to Django."""

from portal.settings import *  # noqa: F403 - all of them

MIDDLEWARE = []
ROOT_URLCONF = "benchmarks.peers"
