"""Passwords tried by the hundred (T36): what their hashes take of memory is bounded by two at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, threading, time
import psutil
from argon2.low_level import Type, hash_secret
from django import setup
setup()
from portal.accounts import HASHES_AT_ONCE, HashSlots
from portal.hashers import RekeyArgon2Hasher as Cost
slots, done, me = HashSlots(int(sys.argv[1]) or HASHES_AT_ONCE, 100), [], psutil.Process()

def one():
    with slots.one():
        hash_secret(b"p" * 12, b"s" * 16, Cost.time_cost, Cost.memory_cost, Cost.parallelism, 32, Type.ID)
    done.append(1)

threads = [threading.Thread(target=one) for _ in range(100)]
before = most = me.memory_info().rss
for thread in threads:
    thread.start()
while len(done) < 100:
    most = max(most, me.memory_info().rss)
    time.sleep(0.001)
print((most - before) >> 20)
"""


def grown(folder: Path, at_once: int = 0) -> int:
    """By how many MiB a process grows while a hundred passwords are hashed in it, so many at once."""
    command = [sys.executable, "-c", PROGRAM, str(at_once)]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "REKEY_TEST_VAR": str(folder)}
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, env=env)
    return int(ran.stdout.split()[-1])


@pytest.mark.slow
def test_T36_a_hundred_sign_ins_at_once_take_less_than_64_mib(tmp_path: Path) -> None:
    bounded, control = grown(tmp_path), grown(tmp_path, at_once=12)
    print(f"\nmemory: {bounded} MiB with two at once, {control} MiB with twelve")
    assert bounded <= 64 < control
