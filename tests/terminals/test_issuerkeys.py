"""The key ceremony as an operator performs it: on the command line, with the root here or elsewhere."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from terminals import checks, jose
from terminals.keys import ceremony, issuer, keyfiles, keyreport, roots
from terminals.models import IssuerKey, Keyset, TerminalStatus
from tests.cast import pair_on_paper
from tests.terminals.keys import standing

pytestmark = pytest.mark.django_db
PASSPHRASE = "seven boats in the harbour"


def run(*words: object) -> str:
    """What `manage.py issuerkeys` prints."""
    out = StringIO()
    call_command("issuerkeys", *map(str, words), stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture(autouse=True)
def told_nothing(settings: Settings) -> None:
    """`manage.py` is told no signing key, unlike the worker that the other tests play."""
    settings.REKEY_ISSUER_KEY_FILE = ""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases that are not slow to try: these tests are not about guessing."""
    monkeypatch.setattr(roots, "COST", (16, 8, 1))


@pytest.fixture
def passphrase(tmp_path: Path, quick: None) -> Path:
    """A file with the passphrase."""
    file = tmp_path / "passphrase"
    file.touch(0o600)
    file.write_text(PASSPHRASE + "\n")
    return file


@pytest.fixture
def vault(tmp_path: Path, passphrase: Path) -> Path:
    """The folder of a machine that no network reaches, with an encrypted root in it."""
    folder = tmp_path / "vault"
    folder.mkdir()
    run("newroot", folder / "root.pem", "--passphrase-file", passphrase)
    return folder


@pytest.fixture
def host(tmp_path: Path, vault: Path, passphrase: Path) -> Path:
    """The issuer folder of a server whose root never was on it."""
    folder = tmp_path / "host"
    carry(folder, vault, passphrase, "init", "--root-public", vault / "root.pub")
    return folder


def carry(folder: Path, vault: Path, passphrase: Path, *words: object, root: str = "root.pem") -> str:
    """Write a request, carry it to the root, have it signed, carry it back and import it."""
    request = vault / "request.json"
    said = run(*words, "--dir", folder, "--request", request)
    said += run("sign", request, "--root", vault / root, "--passphrase-file", passphrase)
    return said + run("import", vault / "request.jws")


class TestTheRoot:
    def test_it_is_written_encrypted_in_a_form_that_other_tools_read(
        self, tmp_path: Path, passphrase: Path
    ) -> None:
        said = run("newroot", tmp_path / "root.pem", "--passphrase-file", passphrase)
        root = roots.load(tmp_path / "root.pem", PASSPHRASE)
        assert jose.thumbprint(root) in said
        raw = (tmp_path / "root.pem").read_bytes()
        assert root["d"].encode() not in raw and jose.unb64u(root["d"]) not in raw
        command = ["openssl", "pkey", "-in", str(tmp_path / "root.pem"), "-passin"]
        opened = subprocess.run([*command, f"pass:{PASSPHRASE}"], capture_output=True, check=True)
        assert b"BEGIN PRIVATE KEY" in opened.stdout

    def test_at_its_full_cost_it_is_written_and_read_by_others_too(self, tmp_path: Path) -> None:
        public = roots.make(tmp_path / "root.pem", PASSPHRASE)
        command = ["openssl", "pkey", "-in", str(tmp_path / "root.pem"), "-passin", f"pass:{PASSPHRASE}"]
        shown = subprocess.run([*command, "-pubout", "-outform", "DER"], capture_output=True, check=True)
        assert shown.stdout.endswith(jose.unb64u(public["x"]))

    def test_guessing_its_passphrase_is_slow(self) -> None:
        n, r, p = roots.COST
        assert 128 * n * r >= 2**24 and p >= 16
        assert 128 * n * r < 2**25, "OpenSSL grants a file no more"

    def test_only_its_owner_can_read_it_and_it_is_never_overwritten(
        self, vault: Path, passphrase: Path
    ) -> None:
        assert stat.S_IMODE((vault / "root.pem").stat().st_mode) == 0o600
        with pytest.raises(CommandError):
            run("newroot", vault / "root.pem", "--passphrase-file", passphrase)
        assert sorted(path.name for path in vault.iterdir()) == ["root.pem", "root.pub"]

    def test_the_public_half_tells_nothing(self, vault: Path) -> None:
        assert set(json.loads((vault / "root.pub").read_text())) == {"kty", "crv", "x"}

    @pytest.mark.parametrize("wrong", ["", "another passphrase"])
    def test_a_wrong_passphrase_opens_nothing(self, vault: Path, wrong: str) -> None:
        with pytest.raises(roots.CannotOpen):
            roots.load(vault / "root.pem", wrong)

    def test_a_short_passphrase_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="at least 12"):
            roots.make(tmp_path / "root.pem", "short")
        assert not (tmp_path / "root.pem").exists()

    @pytest.mark.parametrize(
        "content", [b"", b"{}", b"[]", b'{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}']
    )
    def test_a_file_that_is_no_root_is_said_to_be_none(self, tmp_path: Path, content: bytes) -> None:
        for name in ("root.jwk", "root.pem"):
            keyfiles.write_new(tmp_path / name, content)
            with pytest.raises(roots.CannotOpen):
                roots.load(tmp_path / name, PASSPHRASE)

    def test_the_person_is_asked_twice_and_must_say_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([PASSPHRASE, PASSPHRASE + "!"])
        monkeypatch.setattr("terminals.management.commands.issuerkeys.getpass", lambda _: next(answers))
        with pytest.raises(CommandError, match="not the same"):
            run("newroot", tmp_path / "root.pem")


class TestTheRootElsewhere:
    def test_an_installation_can_begin_without_ever_having_its_root(self, host: Path, vault: Path) -> None:
        assert Keyset.objects.get().root_thumbprint == jose.thumbprint(
            ceremony.read_public(vault / "root.pub")
        )
        assert sorted(path.name for path in host.iterdir()) == [
            "signing-2.jwk",
            "signing-reset.jwk",
            "signing.jwk",
        ]

    def test_nothing_happens_before_the_import(self, host: Path, vault: Path, passphrase: Path) -> None:
        before = issuer.standings()
        run("rotate", "--dir", host, "--request", vault / "r.json")
        run("sign", vault / "r.json", "--root", vault / "root.pem", "--passphrase-file", passphrase)
        after = [one for one in issuer.standings() if one.state != "prepared"]
        assert [(one.key, one.state) for one in after] == [(one.key, one.state) for one in before]
        run("import", vault / "r.jws")
        assert Keyset.objects.count() == 2

    def test_what_is_signed_is_read_aloud_first(self, host: Path, vault: Path, passphrase: Path) -> None:
        said = carry(host, vault, passphrase, "rotate")
        for one in issuer.standings():
            assert said.count(one.key.kid) == 2  # by the server and by the machine with the root
        assert "keyset 2 of http://testserver" in said and said.count("may sign: factory_reset") == 4

    def test_the_request_and_what_comes_back_hold_no_secret(
        self, host: Path, vault: Path, passphrase: Path
    ) -> None:
        carry(host, vault, passphrase, "rotate")
        carried = (vault / "request.json").read_text() + (vault / "request.jws").read_text()
        for file in host.glob("*.jwk"):
            assert json.loads(file.read_text())["d"] not in carried

    def test_an_altered_request_shows_and_an_altered_keyset_is_refused(
        self, host: Path, vault: Path, passphrase: Path
    ) -> None:
        run("rotate", "--dir", host, "--request", vault / "r.json")
        run("sign", vault / "r.json", "--root", vault / "root.pem", "--passphrase-file", passphrase)
        token = (vault / "r.jws").read_text()
        (vault / "r.jws").write_text(token[:-10] + "AAAAAAAAA\n")
        with pytest.raises(CommandError):
            run("import", vault / "r.jws")
        assert Keyset.objects.count() == 1

    @pytest.mark.parametrize("content", ["", "{}", '{"form":"rekey-keyset-request/1"}', "not json", "[1]"])
    def test_a_file_that_is_no_request_is_not_signed(
        self, vault: Path, passphrase: Path, content: str
    ) -> None:
        (vault / "r.json").write_text(content)
        with pytest.raises(CommandError):
            run("sign", vault / "r.json", "--root", vault / "root.pem", "--passphrase-file", passphrase)

    def test_another_root_does_not_sign_it(self, host: Path, vault: Path, passphrase: Path) -> None:
        run("newroot", vault / "other.jwk")
        run("rotate", "--dir", host, "--request", vault / "r.json")
        with pytest.raises(CommandError, match="wanted is"):
            run("sign", vault / "r.json", "--root", vault / "other.jwk")

    def test_without_root_and_request_nothing_is_done_and_the_way_is_told(self, host: Path) -> None:
        with pytest.raises(CommandError, match="--request"):
            run("rotate", "--dir", host)
        assert Keyset.objects.count() == 1

    def test_a_stolen_key_stops_at_once_and_terminals_are_told_later(
        self, host: Path, vault: Path, passphrase: Path
    ) -> None:
        stolen = standing("current")
        with pytest.raises(CommandError, match="--request"):
            run("revoke", stolen.file, "--dir", host)
        stolen.refresh_from_db()
        assert stolen.revoked_at is not None and stolen.kid not in str(
            issuer.content(Keyset.objects.get()).revoked
        )
        carry(host, vault, passphrase, "revoke", stolen.file)
        assert issuer.content(issuer.keyset(2)).revoked == (stolen.kid,)

    def test_a_new_root_replaces_the_old_one_in_two_keysets(
        self, host: Path, vault: Path, passphrase: Path
    ) -> None:
        old = Keyset.objects.get().root_thumbprint
        run("newroot", vault / "second.pem", "--passphrase-file", passphrase)
        carry(host, vault, passphrase, "roots", "--add", vault / "second.pub")
        carry(host, vault, passphrase, "roots", f"--drop={old}", root="second.pem")
        said = [jose.thumbprint(root) for root in issuer.content(issuer.keyset(3)).roots]
        assert said == [issuer.keyset(3).root_thumbprint] != [old]

    def test_more_roots_than_terminals_read_are_refused(
        self, host: Path, vault: Path, passphrase: Path
    ) -> None:
        for name in ("b", "c", "d", "e"):
            run("newroot", vault / f"{name}.jwk")
        for name in ("b", "c", "d"):
            carry(host, vault, passphrase, "roots", "--add", vault / f"{name}.pub")
        with pytest.raises(CommandError):
            run("roots", "--add", vault / "e.pub", "--dir", host, "--request", vault / "r.json")

    @pytest.mark.parametrize("drop", ["nobody", "all"])
    def test_the_last_root_cannot_be_dropped(self, host: Path, drop: str) -> None:
        thumbprint = Keyset.objects.get().root_thumbprint if drop == "all" else drop
        with pytest.raises(CommandError, match="the last one"):
            run("roots", f"--drop={thumbprint}", "--dir", host, "--request", host / "r.json")


class TestTheRootHere:
    def test_a_small_site_keeps_it_encrypted_and_is_asked_for_the_passphrase(
        self, tmp_path: Path, passphrase: Path, settings: Settings
    ) -> None:
        settings.REKEY_VAR = tmp_path
        run("init", "--encrypt", "--passphrase-file", passphrase)
        run("init", "--encrypt", "--passphrase-file", passphrase)
        assert not (tmp_path / "issuer" / keyfiles.ROOT_FILE).exists()
        run("rotate", "--passphrase-file", passphrase)
        assert Keyset.objects.count() == 2
        assert checks.the_root_is_elsewhere() == []
        assert [message.id for message in checks.the_root_is_not_here_either()] == ["rekey.W018"]

    def test_rotating_twice_and_switching(self, issuer_keys: Path, settings: Settings) -> None:
        settings.REKEY_ISSUER_KEY_FILE = ""
        for _ in range(2):
            run("rotate", "--dir", issuer_keys)
        ahead = standing("next")
        assert ahead.kid in run("switch", "--dir", issuer_keys)
        with pytest.raises(CommandError, match="no key is published ahead"):
            run("switch", "--dir", issuer_keys)

    def test_a_key_that_nobody_knows_cannot_be_revoked(self, host: Path) -> None:
        with pytest.raises(CommandError, match="no issuer key"):
            run("revoke", "A" * 16, "--dir", host)


class TestStatus:
    def due(self, folder: Path) -> str:
        """What is due, as status says it; it exits with 1 if anything is."""
        duties = keyreport.report(folder).due
        if duties:
            with pytest.raises(SystemExit, match="1"):
                run("status", "--dir", folder)
        else:
            run("status", "--dir", folder)
        return "\n".join(duties)

    def test_nothing_is_due_in_a_well_kept_installation(self, host: Path) -> None:
        assert self.due(host) == ""

    def test_it_lists_every_key_and_where_its_file_is(self, host: Path) -> None:
        (host / "signing-2.jwk").unlink()
        said = run("status", "--dir", host)
        assert "signing.jwk: here" in said and "signing-2.jwk: elsewhere" in said
        assert all(key.kid in said for key in IssuerKey.objects.all())

    def test_before_the_beginning_it_says_how_to_begin(self, tmp_path: Path) -> None:
        assert "issuerkeys init" in self.due(tmp_path)

    def test_a_root_in_the_clear_is_due_for_moving(self, tmp_path: Path) -> None:
        run("init", "--dir", tmp_path)
        assert "the root lies in the clear" in self.due(tmp_path)

    def test_a_missing_reserve_a_silent_revocation_and_lost_keysets_are_due(self, host: Path) -> None:
        till = pair_on_paper()
        run("switch", "--dir", host)
        assert "no key is published ahead" in self.due(host)
        IssuerKey.objects.filter(file="signing.jwk").update(revoked_at=timezone.now())
        assert "terminals still believe key" in self.due(host)
        TerminalStatus.objects.create(terminal=till.terminal, keyset_version=4)
        assert "terminals report keyset 4" in self.due(host)

    @pytest.mark.parametrize(("days", "due"), [(300, False), (350, True)])
    def test_the_yearly_rotation_is_due_two_months_ahead(
        self, host: Path, monkeypatch: pytest.MonkeyPatch, days: int, due: bool
    ) -> None:
        then = timezone.now() + timedelta(days=days)
        monkeypatch.setattr(timezone, "now", lambda: then)
        assert ("ends soon" in self.due(host)) is due


def test_the_machine_with_the_root_needs_no_settings_and_no_database(
    vault: Path,
    host: Path,
    passphrase: Path,
    settings: Settings,
    django_assert_num_queries: Callable[..., object],
) -> None:
    run("rotate", "--dir", host, "--request", vault / "r.json")
    settings.SECRET_KEY = settings.REKEY_PEPPER = settings.REKEY_FIELD_KEY = ""
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        run("sign", vault / "r.json", "--root", vault / "root.pem", "--passphrase-file", passphrase)
        run("newroot", vault / "third.jwk")
