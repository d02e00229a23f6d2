"""Every text has a Chinese translation, and what runs is what is written."""

from __future__ import annotations

import pytest
from babel.messages import Catalog
from babel.messages.catalog import Message
from babel.messages.checkers import checkers

from tests import catalogues


def untranslated(known: Catalog, wanted: Catalog) -> list[str]:
    """Texts of the sources that the catalogue does not have, or has without a translation."""
    found = ((one, known.get(one.id, one.context)) for one in wanted if one.id)
    return [str(one.id) for one, old in found if old is None or not old.string or old.fuzzy]


def broken(message: Message, catalog: Catalog) -> list[str]:
    """What is wrong with the placeholders of a translation."""
    return [f"{message.id}: {error}" for error in message.check(catalog)]


def test_every_text_is_translated() -> None:
    missing = untranslated(catalogues.committed(), catalogues.collected())
    assert not missing, f"run `make messages`; {len(missing)} missing:\n" + "\n".join(missing[:40])


def test_nothing_is_translated_that_no_source_says() -> None:
    wanted = catalogues.collected()
    stale = [str(one.id) for one in catalogues.committed() if one.id and not wanted.get(one.id, one.context)]
    assert stale == []


def test_placeholders_survive_translation() -> None:
    assert checkers
    known = catalogues.committed()
    assert [error for message in known if message.id for error in broken(message, known)] == []


def test_the_catalogue_is_not_marked_as_doubtful() -> None:
    """A fuzzy header makes compilers drop the whole file without a word."""
    assert catalogues.committed().fuzzy is False


def test_what_is_compiled_is_what_is_written() -> None:
    assert catalogues.MO.read_bytes() == catalogues.compiled(catalogues.committed())


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ('{% translate "Sign in" %}', "Sign in"),
        (
            "<p>{% blocktranslate trimmed with n=x %}\n  Seen {{ n }}\n  ago{% endblocktranslate %}",
            "Seen %(n)s ago",
        ),
        (
            "{% blocktranslate count n=x %}one{% plural %}{{ n }} many{% endblocktranslate %}",
            ("one", "%(n)s many"),
        ),
        ('{% url "x" as y %}{% if a %}\n    {{ _("Inside") }}{% endif %}', "Inside"),
    ],
)
def test_texts_of_templates_are_collected(template: str, wanted: object) -> None:
    source = catalogues.as_python(template, "planted.html")
    assert [message[1] for _, _, message in catalogues._extracted(catalogues.ROOT, source)] == [wanted]


def test_a_planted_gap_and_a_planted_placeholder_are_found() -> None:
    wanted, known = Catalog(locale="zh_Hans"), Catalog(locale="zh_Hans")
    wanted.add("Sign in")
    wanted.add("%(n)d left", flags=["python-format"])
    known.add("%(n)d left", "剩 %(m)d", flags=["python-format"])
    assert untranslated(known, wanted) == ["Sign in"]
    message = known.get("%(n)d left")
    assert message is not None
    assert broken(message, known)
