"""The house rules hold, and each of them can fail."""

from __future__ import annotations

import ast
import statistics
import textwrap
from pathlib import Path

import pytest

from tests.house import rules, sources

EVERYTHING = [*sources.product(), *sources.python_files("tests", "benchmarks")]
BRANCHES = "\n".join(f"    if x == {n}:\n        return {n}" for n in range(12))
PLANTED = {
    "function-length": "def f(x: int) -> int:\n" + "    x += 1\n" * 50 + "    return x\n",
    "file-length": "x = 1\n" * 401,
    "complexity": f"def f(x: int) -> int:\n{BRANCHES}\n    return x\n",
    "nesting": """
        def f(x: int) -> None:
            for a in range(x):
                if a:
                    with open("x"):
                        while a:
                            a -= 1
    """,
    "untyped": "def f(x) -> None: ...\n",
    "import-in-function": "def f() -> None:\n    import os\n",
    "module-docstring": '"""No sentence"""\n',
}


@pytest.mark.parametrize("path", EVERYTHING, ids=sources.name)
def test_the_file_keeps_the_house_rules(path: Path) -> None:
    found = rules.python_findings(sources.name(path), path.read_text("utf-8"))
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("path", sources.templates(), ids=sources.name)
def test_the_page_has_nothing_inline(path: Path) -> None:
    found = rules.template_findings(sources.name(path), path.read_text("utf-8"))
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("path", sources.migrations(), ids=sources.name)
def test_the_migration_is_named_and_does_one_thing(path: Path) -> None:
    found = rules.migration_findings(sources.name(path), path.read_text("utf-8"))
    assert not found, "\n".join(map(str, found))


def test_no_module_imports_itself_through_others() -> None:
    texts = {sources.module(path): path.read_text("utf-8") for path in sources.product()}
    graph = {module: rules.imports(module, text, texts) for module, text in texts.items()}
    assert rules.cycles(graph) == []


def test_no_room_is_called_utils() -> None:
    nameless = {"utils", "helpers", "util", "helper", "misc", "common"}
    assert [sources.name(path) for path in EVERYTHING if path.stem in nameless] == []


def test_public_names_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in sources.product()]
    explained = [has for tree in trees for _, has in rules.public_names(tree)]
    share = sum(explained) / len(explained)
    lengths = [rules.lines_of(node) for tree in trees for node in rules.functions(tree)]
    knots = [knot for tree in trees for _, _, knot in rules.complexities(tree)]
    p95 = statistics.quantiles(lengths, n=20)[-1]
    with capsys.disabled():
        print(
            f"\n  house: {len(lengths)} functions, lines p50 {statistics.median(lengths):.0f}"
            f" p95 {p95:.0f} max {max(lengths)}; complexity mean {statistics.mean(knots):.1f}"
            f" max {max(knots)}; {share:.0%} of {len(explained)} public names explained"
        )
    assert share >= rules.DOCSTRING_SHARE


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_violation_is_found(rule: str) -> None:
    source = textwrap.dedent(PLANTED[rule])
    if rule != "module-docstring":
        source = f'"""A sentence."""\n{source}'
    assert [finding.rule for finding in rules.python_findings("planted.py", source)] == [rule]


def test_what_is_just_within_the_rules_is_not_found() -> None:
    source = textwrap.dedent('''
        """A sentence."""
        def f(x: int) -> int:
            if x == 1:
                return 1
            elif x == 2:
                return 2
            elif x == 3:
                return 3
            for a in range(x):
                if a:
                    while a:
                        a -= 1
            return x
    ''')
    assert rules.python_findings("fine.py", source) == []


@pytest.mark.parametrize(
    ("rule", "html"),
    [
        ("inline-script", "<script>alert(1)</script>"),
        ("inline-script", '<script type="module">x</script>'),
        ("inline-style", "<style>p {}</style>"),
        ("inline-style", '<p style="color: red">'),
        ("inline-handler", '<button class="a" onclick="x()">'),
        ("inline-handler", '<a href="javascript:void(0)">'),
    ],
)
def test_planted_inline_code_is_found(rule: str, html: str) -> None:
    assert rule in [finding.rule for finding in rules.template_findings("planted.html", html)]


def test_a_linked_script_is_fine() -> None:
    html = '<script src="/static/js/countdown.js" defer></script><p class="on">version="1"</p>'
    assert rules.template_findings("fine.html", html) == []


def test_a_planted_migration_is_found() -> None:
    both = "from django.db import migrations\noperations = [migrations.RunPython(f), migrations.AddField()]\n"
    found = rules.migration_findings("portal/migrations/0002_auto_20261124_1200.py", both)
    assert [finding.rule for finding in found] == ["auto-named-migration", "mixed-migration"]


def test_a_planted_cycle_is_found_and_a_tree_is_not() -> None:
    assert rules.cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert rules.cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
