"""The files of the product, and of its tests."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("portal", "terminals", "recovery")


def python_files(*folders: str) -> list[Path]:
    """Python files under the folders, migrations left out."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "migrations" not in path.parts and not any(part.startswith(".") for part in path.parts)
    )


def product() -> list[Path]:
    """The code that runs at a customer's."""
    return [ROOT / "manage.py", *python_files(*ROOMS)]


def templates() -> list[Path]:
    """Every page and element."""
    return sorted((ROOT / "templates").rglob("*.html"))


def migrations() -> list[Path]:
    """Every migration."""
    return sorted(
        path
        for room in ROOMS
        for path in (ROOT / room / "migrations").glob("*.py")
        if path.stem != "__init__"
    )


def name(path: Path) -> str:
    """The path as people write it."""
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    """The dotted name of a module."""
    return name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
