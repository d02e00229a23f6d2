"""The machine under test: what it is, who runs on which core, and what everybody used of it."""

from __future__ import annotations

import os
import platform
import re
import resource
import time
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LIBRARIES = "Django uvicorn httptools redis hiredis celery cryptography joserfc psycopg".split()
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server under test, and the one of the load and of Redis."""

    server: int
    load: int

    @property
    def apart(self) -> bool:
        """Whether these are two cores."""
        return self.server != self.load


def cores() -> Cores:
    """The first two cores we may use; the same one twice on a machine that has only one."""
    free = sorted(os.sched_getaffinity(0))
    return Cores(free[0], free[1] if len(free) > 1 else free[0])


def pin(pid: int, core: int) -> None:
    """Keep a process, its threads and its later children on one core."""
    for task in (PROC / str(pid) / "task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def cpu_s(pid: int) -> float:
    """CPU seconds of a process with all its threads, those that ended too."""
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def precise_cpu_s(pid: int) -> float:
    """CPU seconds of the threads that live now, to the nanosecond."""
    tasks = (PROC / str(pid) / "task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def rss(pid: int) -> int:
    """Resident bytes of a process."""
    return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list((PROC / str(pid) / "task").iterdir()))


def own_cpu_s() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def busy_s() -> float:
    """Seconds that all cores together were not idle."""
    fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


class Meter:
    """What a span of time cost: per process, and what nobody of ours used."""

    def __init__(self, pids: Collection[int]) -> None:
        self._pids = list(pids)
        self._began = time.perf_counter()
        self._busy = busy_s()
        self._own = own_cpu_s()
        self._of = {pid: cpu_s(pid) for pid in self._pids}

    def read(self) -> Usage:
        """What was used since the meter was made."""
        seconds = time.perf_counter() - self._began
        of = {pid: cpu_s(pid) - before for pid, before in self._of.items()}
        own = own_cpu_s() - self._own
        foreign = max(0.0, busy_s() - self._busy - own - sum(of.values()))
        return Usage(seconds, of, own, foreign / seconds)


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds that passed, CPU seconds per process and of ourselves, and foreign CPU in cores."""

    seconds: float
    of: dict[int, float]
    own: float
    foreign: float


def raise_file_limit(wanted: int) -> None:
    """Allow this process and its children so many open files. Raises OSError where that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(
            f"{wanted} open files are needed and {hard} allowed: raise the hard limit (ulimit -Hn)."
        )
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def describe() -> list[tuple[str, str]]:
    """CPU, memory, kernel and versions; no names of hosts or folders."""
    model = re.search(r"model name\s*: (.+)", (PROC / "cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", (PROC / "meminfo").read_text())
    return [
        ("CPU", model.group(1) if model else platform.machine()),
        ("cores", str(os.cpu_count())),
        ("memory", f"{int(memory.group(1)) / 2**20:.1f} GiB" if memory else "unknown"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("libraries", ", ".join(f"{name} {version(name)}" for name in LIBRARIES)),
    ]
