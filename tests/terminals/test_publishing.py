"""Keysets are published as a root has signed them, or not at all, and served for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terminals import jose
from terminals.keys import issuer, keyfiles, roots
from terminals.models import IssuerKey, Keyset
from terminals.protocol import TYP_KEYSET
from tests.cast import PairedTill
from tests.terminals.keys import next_keyset, standing
from tests.terminals.work import delivered

pytestmark = pytest.mark.django_db


class TestPublishing:
    @pytest.fixture
    def root(self, issuer_keys: Path) -> dict[str, str]:
        return keyfiles.load(issuer_keys / keyfiles.ROOT_FILE)

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"ver": 3}, "2 is next"),
            ({"ver": 1}, "2 is next"),
            ({"iss": "https://elsewhere.example"}, "not for http://testserver"),
            ({"exp": 1}, "run out"),
            ({"roots": []}, "not a keyset"),
            ({"keys": "none"}, "not a keyset"),
        ],
        ids=str,
    )
    def test_what_no_terminal_would_take_is_not_published(
        self, issuer_keys: Path, root: dict[str, str], changes: dict[str, Any], why: str
    ) -> None:
        claims = issuer.draft(issuer_keys).claims | changes
        with pytest.raises(issuer.NotAccepted, match=why):
            issuer.publish(roots.sign(claims, root))
        assert issuer.current_keyset().version == 1

    def test_a_root_that_terminals_do_not_know_cannot_bring_itself_in(self, issuer_keys: Path) -> None:
        stranger = jose.generate_key(jose.SIGN)
        request = issuer.draft(issuer_keys, new_roots=[stranger])
        with pytest.raises(issuer.NotAccepted, match="do not know the root"):
            issuer.publish(roots.sign(request.claims, stranger))

    def test_a_signing_key_is_no_root(self, issuer_keys: Path) -> None:
        online = keyfiles.load(issuer_keys / keyfiles.SIGNING_FILE)
        with pytest.raises(issuer.NotAccepted, match="not a keyset signed by one of its roots"):
            issuer.publish(roots.sign(issuer.draft(issuer_keys).claims, online))

    def test_a_keyset_is_published_once(self, issuer_keys: Path, root: dict[str, str]) -> None:
        token = roots.sign(issuer.draft(issuer_keys).claims, root)
        issuer.publish(token)
        with pytest.raises(issuer.NotAccepted):
            issuer.publish(token)

    def test_after_a_restore_the_same_keyset_can_be_taken_in_again(
        self, issuer_keys: Path, root: dict[str, str], till: PairedTill
    ) -> None:
        token = roots.sign(issuer.draft(issuer_keys, rotate=True).claims, root)
        issuer.publish(token)
        current = standing("current").kid
        Keyset.objects.filter(version=2).delete()
        IssuerKey.objects.exclude(first_version=1).delete()
        IssuerKey.objects.update(last_version=1)
        IssuerKey.objects.filter(kid=current).update(activated_at=None)
        issuer.publish(token)
        assert standing("current").kid == current and standing("next")
        assert delivered(till).token


class TestRoots:
    def test_a_new_root_comes_beside_the_old_one_and_the_old_one_goes_later(self, issuer_keys: Path) -> None:
        old, new = keyfiles.load(issuer_keys / keyfiles.ROOT_FILE), jose.generate_key(jose.SIGN)
        both = issuer.draft(issuer_keys, new_roots=[old, new])
        assert both.signers == (jose.thumbprint(old),)
        issuer.publish(roots.sign(both.claims, old))
        alone = issuer.draft(issuer_keys, new_roots=[new])
        assert alone.signers == (jose.thumbprint(new),)
        issuer.publish(roots.sign(alone.claims, new))
        assert issuer.current_keyset().root_thumbprint == jose.thumbprint(new)
        with pytest.raises(issuer.NotAccepted):
            issuer.publish(roots.sign(issuer.draft(issuer_keys).claims, old))


class TestTheDoor:
    def test_a_keyset_is_served_for_ever_and_to_everybody(self, issuer_keys: Path, client: Any) -> None:
        next_keyset(issuer_keys, rotate=True)
        for version in (1, 2):
            answer = client.get(f"/terminal/v1/keysets/{version}")
            assert answer.status_code == 200 and answer["Content-Type"] == "application/jose"
            assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
            raw, _ = jose.verify_self_vouched(answer.content.decode(), TYP_KEYSET, "roots")
            assert raw["ver"] == version

    @pytest.mark.parametrize("version", ["2", "0", "99999999999", "9" * 40, "-1", "one", "1%00"])
    def test_the_end_of_the_walk_is_not_found_and_is_not_kept(
        self, issuer_keys: Path, client: Any, version: str
    ) -> None:
        answer = client.get(f"/terminal/v1/keysets/{version}")
        assert answer.status_code == 404 and answer.json()["code"] == "not_found"
        assert "no-store" in answer["Cache-Control"]
