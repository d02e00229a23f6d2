"""`make messages`: collect what the sources want translated, keep what is known, compile. Needs no gettext.

Files given as arguments hold further translations, one `english<TAB>chinese` a line.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES"
PO, MO = FOLDER / "django.po", FOLDER / "django.mo"
ROOMS = ("portal", "terminals", "recovery")
SINGLE, PLURAL, CONTEXT = None, (1, 2), ((1, "c"), 2)
KEYWORDS = {
    "_": SINGLE,
    "gettext": SINGLE,
    "gettext_lazy": SINGLE,
    "gettext_noop": SINGLE,
    "ngettext": PLURAL,
    "ngettext_lazy": PLURAL,
    "pgettext": CONTEXT,
    "pgettext_lazy": CONTEXT,
    "npgettext": ((1, "c"), 2, 3),
}
Message = tuple[int, str | tuple[str, ...], list[str], str | None]


def collected() -> Catalog:
    """Everything that the sources mark for translation."""
    catalog = Catalog(
        locale="zh_Hans",
        project="Rekey",
        charset="utf-8",
        header_comment="# Rekey in Chinese (Simplified).",
        msgid_bugs_address="",
        last_translator="",
        language_team="zh_Hans",
    )
    for path, line, (_, text, comments, context) in _marked():
        name = path.relative_to(ROOT).as_posix()
        catalog.add(text, None, [(name, line)], auto_comments=comments, context=context)
    return catalog


def _marked() -> Iterator[tuple[Path, int, Message]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield from _extracted(path, path.read_text("utf-8"))
    for path in sorted((ROOT / "templates").rglob("*")):
        if path.suffix in {".html", ".txt", ".svg"}:
            yield from _extracted(path, as_python(path.read_text("utf-8"), path.name))


def as_python(template: str, name: str) -> str:
    """The template's marked texts as calls that a Python reader understands, each on its own line."""
    calls = templatize(template, origin=name)
    return "\n".join(line.strip() for line in calls.splitlines())


def _extracted(path: Path, source: str) -> Iterator[tuple[Path, int, Message]]:
    found = extract("python", io.BytesIO(source.encode()), KEYWORDS, ["Translators:"], {"encoding": "utf-8"})
    for message in found:
        yield path, message[0], message


def committed() -> Catalog:
    """The catalogue in the repository; empty when there is none yet."""
    if not PO.exists():
        return Catalog(locale="zh_Hans", project="Rekey")
    with PO.open("rb") as file:
        return read_po(file, locale="zh_Hans")


def compiled(catalog: Catalog) -> bytes:
    """The catalogue as Django reads it."""
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def merged(known: Catalog, wanted: Catalog) -> Catalog:
    """What is wanted, with the translations that are known; nothing is guessed from similar texts."""
    for message in wanted:
        old = known.get(message.id, message.context)
        if message.id and old is not None and old.string:
            message.string = old.string
    wanted.fuzzy = False
    return wanted


def take_over(catalog: Catalog, lines: Iterator[str]) -> None:
    """Fill in translations from `english<TAB>chinese` lines."""
    for line in lines:
        english, tab, chinese = line.rstrip("\n").replace("\\n", "\n").partition("\t")
        message = catalog.get(english)
        for one in [message] if message is not None else []:
            one.string = (chinese,) if one.pluralizable else chinese
        if tab and message is None:
            print(f"not in the sources: {english[:70]}")


def main(files: list[str]) -> int:
    """Write the catalogue and its compiled form; returns 1 while something is untranslated."""
    catalog = merged(committed(), collected())
    for name in files:
        take_over(catalog, iter(Path(name).read_text("utf-8").splitlines()))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, catalog, width=100, sort_by_file=True, include_lineno=False, omit_header=False)
    MO.write_bytes(compiled(committed()))
    missing = [message for message in catalog if message.id and not message.string]
    print(f"{len(catalog)} texts, {len(missing)} without a translation")
    for message in missing:
        print(f"  {message.id!r}  {message.locations[0][0]}")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
