"""Changes for the worse of one module's source: a limit off by one, a condition turned, a guard left out.

Changed are bodies of functions and the module's own constants. Left alone are annotations, docstrings,
decorators, defaults, bodies of classes (fields, names of choices), and lines that only write a log.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OTHER_SUMS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
# Whose words nobody but a person reads (or a base class), and which names stand for types.
SILENT = ("log.", "assert ", "super().__init__(")
TYPES = ("Literal[", "Callable[", "TypeVar(")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the line, what stood there and what stands there now, the function (or constant) around it.

    `code` is the whole changed module for a function; for a constant it is its one statement.
    """

    path: Path
    line: int
    was: str
    now: str
    inside: str
    constant: bool
    code: CodeType

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line} {self.inside}: {self.was} → {self.now}"


@dataclass(frozen=True, slots=True)
class Place:
    """A function or a constant of a module, by its qualified name, and what stands in it."""

    name: str
    node: ast.stmt
    parts: list[tuple[ast.AST, str]]


def mutants_of(path: Path) -> list[Mutant]:
    """Every change of this module that can be compiled."""
    tree = ast.parse(path.read_text("utf-8"))
    made = []
    for place in places(tree):
        for holder, field in place.parts:
            for line, was, now in each_change(holder, field):
                constant = not isinstance(place.node, FUNCTION)
                source = ast.Module([place.node], []) if constant else tree
                code = compile(ast.fix_missing_locations(source), str(path), "exec")
                made.append(Mutant(path, line, was, now, place.name, constant, code))
    return made


def places(tree: ast.AST, around: str = "") -> Iterator[Place]:
    """Functions and methods, and assignments of the module itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FUNCTION):
            yield Place(around + node.name, node, [(node, "body")])
        elif isinstance(node, ast.ClassDef):
            yield from places(node, f"{around}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not around and node.value is not None:
            name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if not ast.unparse(node.value).startswith(TYPES):
                yield Place(name, node, [(node, "value")])


def each_change(holder: ast.AST, field: str) -> Iterator[tuple[int, str, str]]:
    """Make every change under this field in turn; each is undone when the next is asked for."""
    value = getattr(holder, field)
    for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
        if not isinstance(node, ast.AST) or is_idle(node):
            continue
        for changed in changes_of(node):
            put(holder, field, index, changed)
            yield line_of(node), words(node), words(changed)
            put(holder, field, index, node)
        for inner in node._fields:
            if inner not in ("annotation", "decorator_list", "returns", "args") or isinstance(node, ast.Call):
                yield from each_change(node, inner)


def put(holder: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    """Set a field, or one of its list."""
    if index is None:
        setattr(holder, field, node)
    else:
        getattr(holder, field)[index] = node


def line_of(node: ast.AST) -> int:
    """Where it begins; a comprehension bears no line of its own."""
    return next(inner.lineno for inner in ast.walk(node) if isinstance(inner, ast.expr | ast.stmt))


def is_idle(node: ast.AST) -> bool:
    """What says something to people only, or is not read at run time."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or (isinstance(node, ast.stmt) and ast.unparse(node).startswith(SILENT))


def words(node: ast.AST) -> str:
    """A node in one short line."""
    if isinstance(node, ast.operator | ast.cmpop | ast.boolop):
        return type(node).__name__
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())[:70]


def changes_of(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of this node."""
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.BinOp() | ast.IfExp():
            yield from other_terms(node)
        case ast.Constant(value=value):
            yield from (copied(node, other) for other in other_values(value))
        case ast.Call(func=func, args=args, keywords=named):
            # Of a query, without one of its conditions.
            for index in range(len(named)):
                yield copied(node, ast.Call(func, args, [*named[:index], *named[index + 1 :]]))
        case ast.comprehension(ifs=ifs) if ifs:
            yield ast.comprehension(node.target, node.iter, [], node.is_async)
        case ast.stmt():
            yield from other_statements(node)


def other_terms(node: ast.AST) -> Iterator[ast.AST]:
    """A comparison, a condition or a sum turned, and one of its parts alone."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for index, op in enumerate(ops):
                turned = [*ops[:index], OPPOSITES[type(op)](), *ops[index + 1 :]]
                yield copied(node, ast.Compare(left, turned, others))
        case ast.BoolOp(op=op, values=values):
            yield copied(node, ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values))
            yield from values
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OTHER_SUMS:
            yield copied(node, ast.BinOp(left, OTHER_SUMS[type(op)](), right))
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)


def other_values(value: object) -> list[ast.Constant]:
    """Neighbours of a constant."""
    if isinstance(value, bool):
        return [ast.Constant(not value)]
    if isinstance(value, int | float):
        return [ast.Constant(value + 1), ast.Constant(value - 1)]
    return [ast.Constant("")] if isinstance(value, str) and value else []


def other_statements(node: ast.stmt) -> Iterator[ast.AST]:
    """A statement that is left out, a condition that always or never holds, an answer that is none."""
    match node:
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield copied(node, ast.Pass())
        case ast.If(test=_, body=body, orelse=orelse):
            yield from (copied(node, ast.If(ast.Constant(always), body, orelse)) for always in (True, False))
        case ast.Return(value=value) if value is not None and not is_nothing(value):
            yield copied(node, ast.Return(ast.Constant(None)))


def is_nothing(value: ast.expr) -> bool:
    """False, "", 0 and None read the same to whoever asks; neighbours of the constant say more."""
    return isinstance(value, ast.Constant) and not value.value


def copied(where: ast.AST, node: ast.AST) -> ast.AST:
    """The new node at the place of the old one, so that code keeps its lines."""
    return ast.copy_location(node, where)
