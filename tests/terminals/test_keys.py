"""Issuer keys: made once, private, and said aloud when the root is where it should not be."""

from __future__ import annotations

import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from terminals import checks
from terminals.keys import issuer, keyfiles
from terminals.life.pairing_codes import alive
from terminals.models import IssuerKey, Keyset, Terminal
from tests.cast import make_terminal
from tests.portal.parallel import in_parallel
from tests.terminals.units import Unit

pytestmark = pytest.mark.django_db


class TestKeyFiles:
    def test_only_the_owner_can_read_them(self, issuer_keys: Path) -> None:
        for name in (keyfiles.ROOT_FILE, keyfiles.SIGNING_FILE):
            assert stat.S_IMODE((issuer_keys / name).stat().st_mode) == 0o600
        assert stat.S_IMODE(issuer_keys.stat().st_mode) == 0o700

    def test_making_them_again_changes_nothing(self, issuer_keys: Path) -> None:
        before = [(issuer_keys / name).read_text() for name in (keyfiles.ROOT_FILE, keyfiles.SIGNING_FILE)]
        assert issuer.init_keys(issuer_keys).version == 1
        Keyset.objects.all().delete()
        issuer.init_keys(issuer_keys)
        assert before == [
            (issuer_keys / name).read_text() for name in (keyfiles.ROOT_FILE, keyfiles.SIGNING_FILE)
        ]
        assert IssuerKey.objects.count() == 3

    def test_many_makers_at_once_agree_on_one_key(self, tmp_path: Path) -> None:
        keys = in_parallel(8, lambda: json.dumps(keyfiles.load_or_make(tmp_path / "one.jwk")))
        assert len(set(keys)) == 1 and list(tmp_path.iterdir()) == [tmp_path / "one.jwk"]

    def test_the_database_holds_no_private_half(self, issuer_keys: Path) -> None:
        kept = str(list(IssuerKey.objects.values())) + str(list(Keyset.objects.values()))
        for name in (keyfiles.ROOT_FILE, keyfiles.SIGNING_FILE):
            assert json.loads((issuer_keys / name).read_text())["d"] not in kept


class TestChecks:
    def test_a_root_key_on_the_host_is_said_aloud(self, issuer_keys: Path, settings: Settings) -> None:
        assert [message.id for message in checks.the_root_is_elsewhere()] == ["rekey.W016"]
        (issuer_keys / keyfiles.ROOT_FILE).unlink()
        assert checks.the_root_is_elsewhere() == []

    def test_a_root_key_in_the_usual_folder_is_found_by_every_process(
        self, tmp_path: Path, settings: Settings
    ) -> None:
        settings.REKEY_VAR = tmp_path
        keyfiles.load_or_make(tmp_path / keyfiles.KEY_FOLDER / keyfiles.ROOT_FILE)
        assert [message.id for message in checks.the_root_is_elsewhere()] == ["rekey.W016"]

    def test_a_signing_key_that_others_can_read_is_an_error(
        self, issuer_keys: Path, settings: Settings
    ) -> None:
        assert checks.the_signing_keys_are_private() == []
        Path(settings.REKEY_ISSUER_KEY_FILE).chmod(0o644)
        assert [message.id for message in checks.the_signing_keys_are_private()] == ["rekey.E017"]

    def test_a_signing_key_that_is_not_there_is_an_error(self, settings: Settings) -> None:
        settings.REKEY_ISSUER_KEY_FILE = "/nowhere/signing.jwk"
        assert [message.id for message in checks.the_signing_keys_are_private()] == ["rekey.E017"]


class TestCommands:
    def pairing_code(self, name: str, *more: str) -> str:
        """What the command prints."""
        out = StringIO()
        call_command("pairingcode", name, *more, stdout=out)
        return out.getvalue().strip()

    def test_issuerkeys_init_prints_the_thumbprint_that_terminals_pin(self, tmp_path: Path, db: None) -> None:
        out = StringIO()
        for _ in range(2):
            call_command("issuerkeys", "init", "--dir", str(tmp_path / "keys"), stdout=out)
        assert out.getvalue().count(issuer.current_keyset().root_thumbprint) == 2

    @pytest.mark.parametrize("name", ["serial", "number", "pk"])
    def test_pairingcode_takes_whatever_names_the_terminal(self, issuer_keys: Path, name: str) -> None:
        terminal = make_terminal()
        printed = self.pairing_code(str(getattr(terminal, name)), "--plain")
        assert printed.startswith("REKEY1:http://testserver|")
        code = printed.split("|")[1]
        assert Unit().pair(code).terminal.pk == terminal.pk

    def test_pairingcode_says_what_is_wrong(self, issuer_keys: Path) -> None:
        terminal = make_terminal()
        with pytest.raises(CommandError, match="No terminal"):
            self.pairing_code("nobody", "--plain")
        Terminal.objects.update(state=Terminal.State.REVOKED)
        with pytest.raises(CommandError, match="cannot be paired"):
            self.pairing_code(terminal.serial, "--plain")
        assert not alive(timezone.now()).exists()

    def test_pairingcode_needs_issuer_keys(self, db: None) -> None:
        with pytest.raises(CommandError, match="issuerkeys init"):
            self.pairing_code(make_terminal().serial, "--plain")
