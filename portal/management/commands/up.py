"""Run everything on this machine: Redis, migrations, demo, web, worker, beat and a till in software."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from portal import checks, redis_server
from portal.health import redis_and_worker
from portal.supervisor import ground, parts
from portal.supervisor.child import Child
from portal.supervisor.crew import Crew, GaveUp
from portal.supervisor.demo import Demo
from portal.supervisor.echo import Tail, show

READY_WITHIN_S = 60.0


class Command(BaseCommand):
    """The supervisor; it stays in the foreground and ends with its children."""

    help = "Run everything on this machine until Ctrl-C."
    # The settings can only be right after the first start has made the secrets.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, start, watch, stop."""
        self.began = time.monotonic()
        self.var: Path = settings.REKEY_VAR
        if ground.prepare(self.var):
            # Settings were read before the secrets existed.
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - ourselves, once
        os.environ |= {"REKEY_VAR": str(self.var), "PORT": str(options["port"])}
        crew = Crew()
        crew.listen()
        try:
            checks.insist()
            held = ground.lock(self.var)
            ground.claim_port(options["host"], options["port"])
            self._run(crew, options["host"], options["port"])
            os.close(held)
        except (ground.CannotStart, redis_server.NoRedisServer, GaveUp) as reason:
            raise CommandError(str(reason)) from reason
        finally:
            crew.stop()
        self.stdout.write("Stopped.")

    def _run(self, crew: Crew, host: str, port: int) -> None:
        self._start_redis(crew)
        self._build()
        tails = self._start_parts(crew, host, port)
        address = f"http://{host}:{port}"
        if not crew.wait_for(lambda: all_ready(address), READY_WITHIN_S):
            if not crew.stopping:
                raise GaveUp(f"Not ready in {READY_WITHIN_S:.0f} s; see {self.var}/log.")
            return
        self._start_till(crew, address, tails)
        self._step(f"ready after {time.monotonic() - self.began:.1f} s")
        crew.watch(lambda: show(tails))

    def _step(self, text: str) -> None:
        self.stdout.write(f"· {text}")
        self.stdout.flush()

    def _start_redis(self, crew: Crew) -> None:
        if os.environ.get("REDIS_URL"):
            self._step("Redis: the one of REDIS_URL")
            return
        self._step("Redis: embedded, on a socket")
        redis_server.socket_path(self.var).unlink(missing_ok=True)
        command = redis_server.server_command(self.var)
        crew.start(Child("redis", command, dict(os.environ), self._log("redis")))
        if not crew.wait_for(lambda: redis_server.answers(self.var), redis_server.START_WITHIN_S):
            raise GaveUp(f"Redis did not start; its log is {self._log('redis')}.")

    def _build(self) -> None:
        """What must be in place before the first request; the second time each step does nothing."""
        self._step("database: migrate")
        call_command("migrate", verbosity=0, interactive=False)
        stamp, now = self.var / "static.stamp", static_fingerprint()
        if not stamp.exists() or stamp.read_text() != now:
            self._step("static files: collect")
            call_command("collectstatic", verbosity=0, interactive=False, clear=True)
            stamp.write_text(now)
        for name, arguments in (("issuerkeys", ["init"]), ("loaddemo", [])):
            if name in get_commands():
                self._step(f"{name}")
                call_command(name, *arguments)
        connections.close_all()

    def _start_parts(self, crew: Crew, host: str, port: int) -> list[Tail]:
        self._step("web, worker, beat")
        keys = self.var / "issuer"
        rows = (
            ("worker", parts.worker(), parts.environment("worker", keys)),
            ("beat", parts.beat(self.var / "beat"), parts.environment("beat")),
            ("web", parts.web(host, port), parts.environment("web")),
        )
        tails = [Tail(settings.SMS_CONSOLE_FILE, "短信 SMS │ ")]
        for name, command, env in rows:
            tails.append(Tail(self._log(name), f"{name} │ ", only_loud=True))
            crew.start(Child(name, command, env, self._log(name)))
        return tails

    def _start_till(self, crew: Crew, address: str, tails: list[Tail]) -> None:
        if not (self.var / "demo.json").exists():
            return
        demo = Demo.read(self.var)
        tails.append(Tail(self._log("till"), "终端 till │ "))
        command = demo.till_command(address)
        connections.close_all()
        crew.start(Child("till", command, parts.environment("manage"), self._log("till"), grace_s=2))
        self.stdout.write(demo.welcome(settings.REKEY_ORIGIN))

    def _log(self, name: str) -> Path:
        return self.var / "log" / f"{name}.log"


def all_ready(address: str) -> bool:
    """Whether the web answers and a worker with its key has reported."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=3):  # noqa: S310 - our own address
            return all(redis_and_worker().values())
    except OSError:
        return False


def static_fingerprint() -> str:
    """Changes when a static file of ours or a package does."""
    digest = hashlib.sha256((settings.BASE_DIR / "requirements.txt").read_bytes())
    for folder in settings.STATICFILES_DIRS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()
