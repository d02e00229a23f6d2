"""The two steps of signing in, as a test takes them."""

from __future__ import annotations

from typing import Any

from django.test import Client

from portal.codes import derive_code
from portal.models import Challenge
from portal.secrets import pepper
from tests.cast import PASSWORD

HOME = "/home"
DOORS = {
    "owner": ("/sign-in", "/sign-in/code", HOME),
    "staff": ("/admin/login/", "/admin/login/code/", "/admin/"),
}


def give_password(client: Client, door: str, username: str, password: str = PASSWORD, **more: str) -> Any:
    return client.post(DOORS[door][0], {"username": username, "password": password, **more})


def texted() -> str:
    challenge = Challenge.objects.latest("created_at")
    return derive_code(pepper(), challenge.id, challenge.purpose)


def another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def enter(client: Client, door: str = "owner", **more: str) -> Any:
    give_password(client, door, door, **more)
    return client.post(DOORS[door][1], {"code": texted()})
