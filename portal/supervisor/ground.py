"""The state folder before anything starts: private, with secrets made once, and held by one supervisor."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import socket
from pathlib import Path


class CannotStart(RuntimeError):
    """The reason in one sentence, for a person."""


def fresh_secrets() -> dict[str, str]:
    """New values for the three secrets of an installation."""
    return {
        "secret_key": secrets.token_urlsafe(48),
        "rekey_pepper": base64.b64encode(secrets.token_bytes(32)).decode(),
        "rekey_field_key": base64.b64encode(secrets.token_bytes(32)).decode(),
    }


def prepare(var: Path) -> bool:
    """Make the folder and any missing secret in it; returns whether one had to be made."""
    for folder in (var, var / "secrets", var / "log"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = False
    for name, value in fresh_secrets().items():
        made = write_once(var / "secrets" / name, value) or made
    return made


def write_once(path: Path, text: str) -> bool:
    """Write a file that only we can read, unless it is there; returns whether it was written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def lock(var: Path) -> int:
    """Hold the folder for as long as this process lives; returns the handle to keep open.

    Raises CannotStart when another supervisor holds it.
    """
    handle = os.open(var / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 32).decode().strip()
        os.close(handle)
        raise CannotStart(
            f"Rekey already runs from {var} (process {holder}). Stop it first, or set REKEY_VAR."
        ) from error
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def claim_port(host: str, port: int) -> None:
    """Raise CannotStart when something else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} is in use. Choose another one: PORT={port + 1} make run"
            ) from error
