"""What the documents name exists, and what has to be documented is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from portal.audit import Tag
from portal.limits import GUARDS, SHIELDS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "terminals", "recovery")
OPERATIONS = ROOT / "docs/operations.md"
SECURITY = ROOT / "docs/security.md"
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# Folders and files that exist only once Rekey has run.
MADE_LATER = ("var/", ".venv/", "secrets/", "locale/zh_Hans/LC_MESSAGES/django.mo")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(
    r"(?:[A-Za-z0-9_.*-]+/)+[A-Za-z0-9_.*-]*|[A-Za-z0-9_.-]+\.(?:py|md|yml|toml|txt)|Makefile|Dockerfile"
)
CHECK_ID = re.compile(r'id="([a-z]+\.[EW][0-9]+)"')
READER = re.compile(r"env\.[a-z]+|secret|os\.environ\.get|os\.getenv")
MODULE = re.compile(r"(?:portal|terminals|recovery|tests)(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
ROW = re.compile(r"^\| `([^`]+)` \|(.+)\|$", re.MULTILINE)


def named(path: Path) -> str:
    """How a document is called in a test's id."""
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=named)


def section(path: Path, heading: str) -> str:
    """The text under one heading, up to the next of the same or a higher level."""
    text = path.read_text("utf-8")
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert match, f"{named(path)} has no heading “{heading}”"
    rest = text[match.end() :]
    return re.split(rf"^#{{1,{len(match[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(path: Path, heading: str) -> dict[str, list[str]]:
    """First cell, which is code, to the cells after it, of the tables under one heading."""
    found = ROW.findall(section(path, heading))
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in found}


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


def environment_reads() -> Iterator[tuple[str, str, ast.Call | ast.Subscript]]:
    """Every name that our code reads from the environment: the name, the kind of reader, the node."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                yield from reads_of(node)


def reads_of(node: ast.AST) -> Iterator[tuple[str, str, ast.Call | ast.Subscript]]:
    """What one node reads: `env.str("X")`, `secret("X")`, `os.environ.get("X")`, `os.environ["X"]`."""
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        reader = ast.unparse(node.func)
        if READER.fullmatch(reader):
            yield str(node.args[0].value), reader.removeprefix("env."), node
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        name = node.slice
        if ast.unparse(node.value) == "os.environ" and isinstance(name, ast.Constant):
            yield str(name.value), "os.environ.get", node


KINDS = {
    "str": "text",
    "bool": "yes/no",
    "int": "number",
    "float": "number",
    "list": "list",
    "dict": "pairs",
    "db": "URL",
    "secret": "secret",
    "os.environ.get": "text",
}


def test_every_setting_is_in_the_table_and_the_table_names_no_other() -> None:
    read = {name for name, _, _ in environment_reads()}
    assert rows(OPERATIONS, "Settings").keys() == read


def test_the_table_tells_the_type_and_the_default_that_the_code_has() -> None:
    table = rows(OPERATIONS, "Settings")
    for name, reader, node in environment_reads():
        kind, default, *_ = table[name]
        assert kind == KINDS[reader], name
        plain = plain_default(node)
        if plain is not None:
            assert default == plain, name


def plain_default(node: ast.Call | ast.Subscript) -> str | None:
    """The default as the table shows it, when it is a plain value in the code."""
    words = node.keywords if isinstance(node, ast.Call) else []
    value = next((word.value for word in words if word.arg == "default"), None)
    if isinstance(value, ast.Dict):
        return "empty"
    if not isinstance(value, ast.Constant):
        return None
    return {"": "empty", "False": "no", "True": "yes"}.get(str(value.value), f"`{value.value!s}`")


# ── what has a table of its own ─────────────────────────────────────────────────────────────────────────────


def test_every_system_check_is_explained() -> None:
    sources = [path.read_text("utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert rows(OPERATIONS, "System checks").keys() == set(CHECK_ID.findall("\n".join(sources)))


def test_every_limit_is_in_the_table_with_its_rate() -> None:
    table = {name: cells[0].strip("`") for name, cells in rows(SECURITY, "Limits").items()}
    assert table == GUARDS | SHIELDS


def test_log_events_to_watch_for_are_written_somewhere() -> None:
    sources = "\n".join(path.read_text("utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    told = re.findall(r"^\| log events? ([^|]+)\|", section(OPERATIONS, "What to watch"), re.MULTILINE)
    events = [event for cell in told for event in CODE.findall(cell)]
    assert events
    assert [event for event in events if f'"{event}"' not in sources] == []


@each_document
def test_audit_tags_that_are_named_exist(document: Path) -> None:
    tags = set(Tag.values)
    told = re.findall(r"`((?:portal|terminals|recovery):[a-z-]+:[a-z-]+)`", document.read_text("utf-8"))
    assert set(told) <= tags


# ── what is pointed at ──────────────────────────────────────────────────────────────────────────────────────


@each_document
def test_every_internal_link_leads_somewhere(document: Path) -> None:
    for target in LINK.findall(FENCE.sub("", document.read_text("utf-8"))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        aim = (document.parent / path).resolve() if path else document
        assert aim.exists(), target
        if anchor:
            assert anchor in anchors(aim), target


def anchors(path: Path) -> set[str]:
    """The anchors that a renderer makes of headings."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(path.read_text("utf-8")))
    return {heading.strip().replace(" ", "-") for heading in plain}


@each_document
def test_every_path_that_is_named_exists(document: Path) -> None:
    for text in CODE.findall(FENCE.sub("", document.read_text("utf-8"))):
        if not PATH.fullmatch(text) or text.startswith(MADE_LATER):
            continue
        if "/" in text and not (ROOT / text.split("/")[0]).exists():
            continue  # a URL's path or a media type
        assert list(ROOT.glob(text.rstrip("/"))) or list(document.parent.glob(text.rstrip("/"))), text


@each_document
def test_every_module_that_is_named_exists(document: Path) -> None:
    for text in CODE.findall(document.read_text("utf-8")):
        name = text.removesuffix("()")
        if MODULE.fullmatch(name):
            assert known(name.split(".")), name


def known(parts: list[str]) -> bool:
    """Whether the dotted name is a module of ours, or something that one defines."""
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        if base.is_dir() and length == len(parts):
            return True
        source = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if source.exists():
            return all(re.search(rf"\b{name}\b", source.read_text("utf-8")) for name in parts[length:])
    return False


@each_document
def test_every_command_that_is_named_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    made = re.findall(r"(?:^|`|\$ |[A-Z]+=\S+ )make ([a-z-]+)", text, re.MULTILINE)
    assert set(made) <= targets
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= get_commands().keys()


def test_the_readme_tests_as_continuous_integration_does() -> None:
    called = re.findall(r"\bmake ([a-z-]+)", (ROOT / ".ci/run").read_text("utf-8"))
    assert called == ["test"]
    assert re.search(r"^make test\b", README.read_text("utf-8"), re.MULTILINE)


@each_document
def test_documents_name_no_machine(document: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:work|home|root|Users)/", document.read_text("utf-8"))
