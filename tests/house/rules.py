"""The measurable part of elegance (design §6): pure functions from source text to findings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import mccabe

FUNCTION_LINES = 50
FILE_LINES = 400
COMPLEXITY = 10
NESTING = 3
DOCSTRING_SHARE = 0.6

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCK = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
SCHEMA_FREE = {"RunPython", "RunSQL"}
INLINE = {
    "inline-script": re.compile(r"<script(?![^>]*\bsrc=)[^>]*>", re.IGNORECASE),
    "inline-style": re.compile(r"<style\b|\sstyle\s*=", re.IGNORECASE),
    "inline-handler": re.compile(r"""<[^>]*\son[a-z]+\s*=|javascript:""", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks one rule."""

    rule: str
    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


def functions(tree: ast.Module) -> list[Function]:
    """Every function and method, nested ones too."""
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]


def lines_of(node: Function) -> int:
    """Length from `def` to the last line; decorators do not count."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def nesting_of(node: ast.AST) -> int:
    """The deepest stack of blocks inside a function; `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTION, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(child, BLOCK):
            deepest = max(deepest, _block_depth(child))
        else:
            deepest = max(deepest, nesting_of(child))
    return deepest


def _block_depth(block: ast.AST) -> int:
    tail = block.orelse if isinstance(block, ast.If) else []
    if len(tail) == 1 and isinstance(tail[0], ast.If):
        own = ast.If(block.test, block.body, []) if isinstance(block, ast.If) else block
        return max(1 + nesting_of(own), _block_depth(tail[0]))
    return 1 + nesting_of(block)


def untyped(node: Function) -> list[str]:
    """Names of parameters without annotation, and `return`."""
    spec = node.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    named += [one for one in (spec.vararg, spec.kwarg) if one]
    missing = [one.arg for one in named if one.annotation is None and one.arg not in {"self", "cls"}]
    return missing + ([] if node.returns else ["return"])


def complexities(tree: ast.Module) -> Iterator[tuple[int, str, int]]:
    """(line, name, McCabe complexity) of each function."""
    visitor = mccabe.PathGraphingAstVisitor()
    visitor.preorder(tree, visitor)
    for graph in visitor.graphs.values():
        yield graph.lineno, graph.entity, graph.complexity()


def python_findings(path: str, source: str) -> list[Finding]:
    """What one Python file breaks."""
    tree = ast.parse(source)
    found = [Finding(rule, path, line, what) for rule, line, what in _file_rules(tree, source)]
    for node in functions(tree):
        found += [Finding(rule, path, node.lineno, what) for rule, what in _function_rules(node)]
    for line, name, complexity in complexities(tree):
        if complexity > COMPLEXITY:
            found.append(Finding("complexity", path, line, f"{name} has {complexity}"))
    return found


def _file_rules(tree: ast.Module, source: str) -> Iterator[tuple[str, int, str]]:
    length = source.count("\n")
    if length > FILE_LINES:
        yield "file-length", 1, f"{length} lines"
    summary = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    if not summary.endswith((".", "?", "!", "。")):
        yield "module-docstring", 1, "does not open with a sentence"


def _function_rules(node: Function) -> Iterator[tuple[str, str]]:
    if (length := lines_of(node)) > FUNCTION_LINES:
        yield "function-length", f"{node.name} has {length} lines"
    if (depth := nesting_of(node)) > NESTING:
        yield "nesting", f"{node.name} nests {depth} deep"
    if missing := untyped(node):
        yield "untyped", f"{node.name}: {', '.join(missing)}"
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            yield "import-in-function", f"{node.name}, line {inner.lineno}"


def public_names(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """(name, has a docstring) of public classes, functions and methods."""
    for node in tree.body:
        yield from _public(node, "")


def _public(node: ast.AST, prefix: str) -> Iterator[tuple[str, bool]]:
    if not isinstance(node, (*FUNCTION, ast.ClassDef)) or node.name.startswith("_") or node.name == "Meta":
        return
    yield prefix + node.name, ast.get_docstring(node) is not None
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            yield from _public(child, f"{prefix}{node.name}.")


def template_findings(path: str, source: str) -> list[Finding]:
    """Script, style or handlers inside a page, which the Content-Security-Policy would refuse."""
    return [
        Finding(rule, path, source.count("\n", 0, match.start()) + 1, match.group().strip()[:60])
        for rule, pattern in INLINE.items()
        for match in pattern.finditer(source)
    ]


def migration_findings(path: str, source: str) -> list[Finding]:
    """A name nobody chose, or data moved in the same file that changes the schema."""
    found = []
    if re.search(r"[0-9]{4}_(auto_|.*_and_more)", path):
        found.append(Finding("auto-named-migration", path, 1, "give it a name"))
    operations = {
        node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "migrations"
    } - {"swappable_dependency"}
    if operations & SCHEMA_FREE and operations - SCHEMA_FREE:
        found.append(Finding("mixed-migration", path, 1, "data and schema in one file"))
    return found


def imports(module: str, source: str, known: Iterable[str]) -> set[str]:
    """Those of the known modules that this one imports when it is loaded."""
    known = set(known)
    wanted: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & known
            wanted |= submodules or {node.module}
    return (wanted & known) - {module}


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other, by repeatedly taking away what imports nothing left."""
    left = {module: set(targets) for module, targets in graph.items()}
    while loose := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in loose:
            del left[module]
    while loose := [
        m for m in left if not any(m in targets for other, targets in left.items() if other != m)
    ]:
        for module in loose:
            del left[module]
    return [sorted(left)] if left else []
