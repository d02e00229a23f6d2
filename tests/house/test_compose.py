"""The compose file is what we run: parsed, and its commands started on PostgreSQL and Redis over TCP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal import redis_server
from portal.supervisor import parts
from portal.supervisor.child import Child
from terminals.protocol import WAIT_MAX
from tests import postgres
from tests.house.sources import ROOT

OURS = ("migrate", "web", "poll", "worker", "beat")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def inside(command: list[str]) -> list[str]:
    """A command of ours as it reads in the image."""
    return ["python", *command[1:]]


def test_the_commands_are_those_of_one_machine() -> None:
    served = inside(parts.web("0.0.0.0", 8000))
    assert SERVICES["web"]["command"] == served
    assert SERVICES["poll"]["command"] == served
    assert SERVICES["worker"]["command"] == inside(parts.worker())
    assert SERVICES["beat"]["command"] == inside(parts.beat(Path("/var/lib/rekey/beat")))


def test_each_process_knows_its_role() -> None:
    roles = {name: SERVICES[name]["environment"]["REKEY_ROLE"] for name in OURS}
    assert roles == {"migrate": "manage", "web": "web", "poll": "poll", "worker": "worker", "beat": "beat"}


def test_only_the_worker_gets_the_signing_keys_and_cannot_change_them() -> None:
    mounts = {name: str(service.get("volumes", "")) for name, service in SERVICES.items()}
    assert [name for name, mount in mounts.items() if "issuer" in mount] == ["worker"]
    assert "/run/secrets/issuer:ro" in mounts["worker"]
    told = [name for name in OURS if "REKEY_ISSUER_KEY_FILE" in SERVICES[name]["environment"]]
    assert told == ["worker"]


def test_no_secret_stands_in_the_file() -> None:
    for name in OURS:
        for key, value in SERVICES[name]["environment"].items():
            if re.search("SECRET|PEPPER|_KEY|TOKEN|DATABASE_URL", key):
                assert key.endswith("_FILE") and value.startswith("/run/secrets/"), f"{name}: {key}"


def test_every_secret_that_is_used_is_declared() -> None:
    used = {one for service in SERVICES.values() for one in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


def test_everything_that_stays_up_is_watched() -> None:
    unwatched = [name for name, service in SERVICES.items() if "test" not in service.get("healthcheck", {})]
    assert unwatched == ["migrate"]


def test_only_the_proxy_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_images_are_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert [image for image in images if not re.search(r":[0-9]+\.[0-9]+", image)] == []


def test_our_processes_run_without_rights_and_cannot_write_their_image() -> None:
    assert re.search(r"^USER 10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name in OURS:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_redis_neither_evicts_nor_keeps() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly no" in command


def test_polls_go_to_the_poll_tier_and_the_rest_to_the_web() -> None:
    proxy = COMPOSE["configs"]["proxy"]["content"]
    assert "location = /terminal/v1/commands { proxy_pass http://poll;" in proxy
    assert "location / { proxy_pass http://web; }" in proxy
    held = re.search(r"proxy_read_timeout ([0-9]+)s", proxy)
    assert held is not None and int(held[1]) > WAIT_MAX
    assert not re.search(r"(?<!\$)\$[a-z]", proxy), "a dollar sign must be doubled in a compose file"


def test_the_image_holds_every_room() -> None:
    copied = re.findall(r"^COPY (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {"portal", "terminals", "recovery", "templates", "static", "locale", "manage.py"} <= set(copied)


@contextmanager
def redis_over_tcp(folder: Path) -> Iterator[str]:
    port = postgres.free_port()
    command = [redis_server.server_binary(), "--bind", "127.0.0.1", "--port", str(port)]
    command += [*SERVICES["redis"]["command"][1:], "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def environment(name: str, database: str, redis_url: str, folder: Path) -> dict[str, str]:
    """The service's environment, with files and servers of this machine in the places of the container's."""
    env = {"PATH": os.environ["PATH"], "REKEY_VAR": str(folder), "REKEY_STATIC": str(folder / "static")}
    for key, value in SERVICES[name]["environment"].items():
        env[key] = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: OUTSIDE[match[1]], value)
        env[key] = env[key].replace("/run/secrets/", f"{folder}/")
    (folder / "database_url").write_text(database)
    return env | {"REDIS_URL": redis_url}


OUTSIDE = {
    "REKEY_ORIGIN": "https://rekey.example",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_FROM": "+15005550006",
}


def ready(port: int) -> dict[str, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", headers={"Host": "rekey.example"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as refused:
        return dict(json.load(refused))
    except OSError as error:
        return {"status": str(error)}


@pytest.mark.live
def test_the_same_commands_run_on_postgresql_and_redis_over_tcp(tmp_path: Path) -> None:
    for name, text in {
        "secret_key": "k" * 60,
        "rekey_pepper": os.environ["REKEY_PEPPER"],
        "rekey_field_key": os.environ["REKEY_FIELD_KEY"],
        "twilio_auth_token": "made-up",
        "issuer/signing.jwk": "{}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    port = postgres.free_port()
    children: list[Child] = []
    with postgres.running() as database, redis_over_tcp(tmp_path) as redis_url:

        def command(name: str) -> tuple[list[str], dict[str, str]]:
            words = [sys.executable, *SERVICES[name]["command"][1:]]
            words = [str(tmp_path / "beat") if word.startswith("/var/lib") else word for word in words]
            words = [
                str(port) if word == "8000" else "127.0.0.1" if word == "0.0.0.0" else word for word in words
            ]
            return words, environment(name, database, redis_url, tmp_path)

        words, env = command("migrate")
        subprocess.run(words, env=env, cwd=ROOT, check=True, timeout=120, capture_output=True)
        try:
            for name in ("worker", "beat", "web"):
                words, env = command(name)
                children.append(Child(name, words, env, tmp_path / f"{name}.log"))
                children[-1].start()
            deadline = time.monotonic() + 90
            while (answer := ready(port)).get("status") != "ok" and time.monotonic() < deadline:
                time.sleep(0.2)
            words = [child.last_lines() for child in children]
            assert answer["status"] == "ok", f"{answer}\n" + "\n".join(words)
        finally:
            for child in reversed(children):
                child.stop()
