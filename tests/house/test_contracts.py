"""Which room may look into which, and which way inside a room: the contracts hold and can fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.rules import imports
from tests.house.sources import ROOMS, ROOT, module, product

PLANTED = {
    "Arrows point down": ("portal/planted.py", "import recovery.models\n"),
    "Redis is spoken": ("recovery/planted.py", "import redis\n"),
    "JOSE has one door": ("terminals/planted.py", "from joserfc import jws\n"),
    "Twilio is known": ("recovery/planted.py", "import twilio.rest\n"),
    "Kernels know no framework": ("terminals/policy.py", "\nimport django\n"),
}


DOORS = re.compile(
    r"(polling\.|people\.|entry\.|desk\.|.*_)?(views|urls|admin|admin_site|tasks|api|pages|poll|poll_metrics)(\..*)?|management.*"
)
MODELS = re.compile(r".*\.models(\..*)?")
# What models stand on.
GROUND = {"portal.codes", "portal.fields", "portal.secrets", "terminals.protocol"}


def is_door(module: str) -> bool:
    room, _, rest = module.partition(".")
    return room in ROOMS and DOORS.fullmatch(rest) is not None


def steps(graph: dict[str, set[str]]) -> list[str]:
    """Imports that lead from a verb to a door, or from models to a verb."""
    wrong = [
        f"{module} → {target}"
        for module, targets in graph.items()
        for target in targets
        if (is_door(target) and not is_door(module))
        or (MODELS.fullmatch(module) and not MODELS.fullmatch(target) and target not in GROUND)
    ]
    return sorted(wrong)


def test_inside_a_room_doors_use_verbs_and_verbs_use_models() -> None:
    texts = {module(path): path.read_text("utf-8") for path in product()}
    assert steps({one: imports(one, text, texts) for one, text in texts.items()}) == []


def test_a_planted_step_backwards_is_found() -> None:
    graph = {"terminals.commands": {"terminals.tasks"}, "portal.models": {"portal.audit", "portal.fields"}}
    assert steps(graph) == ["portal.models → portal.audit", "terminals.commands → terminals.tasks"]
    assert steps({"portal.views": {"portal.accounts"}, "portal.urls": {"portal.views"}}) == []


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_import_breaks_its_contract(contract: str, copy: Path) -> None:
    name, text = PLANTED[contract]
    with (copy / name).open("a") as file:
        file.write(text)
    done = lint(copy)
    assert done.returncode == 1
    broken = [line for line in done.stdout.splitlines() if line.startswith(contract) and "BROKEN" in line]
    assert broken or f"{contract}" in done.stdout.partition("Broken contracts")[2]


STOCK_PAGE = re.compile(r'{% url "admin:[a-z]+_[a-z]+_change" (?P<row>[^ %]+) %}')


def unquoted(template: str) -> list[str]:
    """Links to the admin's own pages that break for some ids: it reads an underscore as an escape."""
    return [found["row"] for found in STOCK_PAGE.finditer(template) if "|admin_urlquote" not in found["row"]]


def test_templates_quote_ids_for_the_admins_own_pages() -> None:
    pages = {str(path): path.read_text("utf-8") for path in (ROOT / "templates" / "admin").rglob("*.html")}
    assert pages and {path: unquoted(text) for path, text in pages.items() if unquoted(text)} == {}


def test_a_planted_unquoted_id_is_found() -> None:
    assert unquoted('<a href="{% url "admin:recovery_ticket_change" ticket.pk %}">') == ["ticket.pk"]
    assert unquoted('{% url "admin:recovery_ticket_change" ticket.pk|admin_urlquote %}') == []
