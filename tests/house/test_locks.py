"""What is installed is pinned, hashed, and the same for running and for testing."""

from __future__ import annotations

import re

from tests.house.sources import ROOT

RUNTIME = (ROOT / "requirements.txt").read_text("utf-8")
DEV = (ROOT / "portal" / "requirements" / "dev.txt").read_text("utf-8")
ALIYUN = (ROOT / "portal" / "requirements" / "aliyun.txt").read_text("utf-8")
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ \\]+) \\$", re.MULTILINE)
NAME = re.compile(r"^([A-Za-z0-9._-]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall(lock))


def asked(name: str) -> set[str]:
    text = (ROOT / "portal" / "requirements" / name).read_text("utf-8")
    return {one.lower().replace("_", "-") for one in NAME.findall(text) if not one.startswith("-")}


def test_tests_run_on_what_customers_run() -> None:
    for lock in (RUNTIME, ALIYUN):
        assert {name for name, version in pins(lock).items() if pins(DEV).get(name) != version} == set()


def test_what_is_installed_on_request_changes_nothing_that_is_installed() -> None:
    shared = pins(RUNTIME).keys() & pins(ALIYUN).keys()
    assert {name for name in shared if pins(RUNTIME)[name] != pins(ALIYUN)[name]} == set()
    assert "alibabacloud-dysmsapi20170525" not in pins(RUNTIME)


def test_everything_that_is_asked_for_is_in_its_lock() -> None:
    assert asked("runtime.in") - pins(RUNTIME).keys() == set()
    assert asked("aliyun.in") - pins(ALIYUN).keys() == set()
    assert asked("dev.in") - pins(DEV).keys() == set()


def test_every_pin_has_a_hash_and_no_lock_names_an_index() -> None:
    for lock in (RUNTIME, ALIYUN, DEV):
        entries = re.split(r"\n(?=[a-z0-9])", lock.strip())
        assert len(entries) == len(pins(lock))
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
        assert "http" not in re.sub(
            r"^(http[a-z]*|aiohttp[a-z-]*)==.*|# via.*|#   .*", "", lock, flags=re.MULTILINE
        )
