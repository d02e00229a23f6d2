"""`manage.py issuerkeys`: issuer keys and the keysets that list them, with the root here or elsewhere."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from getpass import getpass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from terminals import jose
from terminals.keys import ceremony, issuer, keyfiles, keyreport, revocation, roots
from terminals.models import IssuerKey
from terminals.protocol import ProtocolError

# What the machine with the root does: it has no secrets of an installation, so it cannot pass its checks.
ELSEWHERE = ("newroot", "sign")
TROUBLE = (
    ceremony.Unreadable, issuer.NoKeyset, issuer.NotAccepted, roots.CannotOpen, revocation.NoNext,
    keyfiles.OpenToOthers, ProtocolError, OSError,
)  # fmt: skip


class Command(BaseCommand):
    """Makes, renews and revokes issuer keys; docs/operations.md has the ceremony step by step."""

    help = "Issuer keys and keysets: init, rotate, switch, revoke, roots, newroot, sign, import, status."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One sub-command each."""
        doors = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        init = doors.add_parser("init", help="root, issuer keys and keyset 1; again changes nothing")
        init.add_argument("--encrypt", action="store_true", help="write the root encrypted (root.pem)")
        init.add_argument("--root-public", type=Path, help="the root was made elsewhere: its public half")
        rotate = doors.add_parser("rotate", help="the next key takes over, a new one is published ahead")
        switch = doors.add_parser("switch", help="the next key takes over at once; needs no root")
        revoke = doors.add_parser("revoke", help="a key was stolen: stop using it, then tell terminals")
        revoke.add_argument("key", help="its kid, or the name of its file (a kid may begin with a hyphen)")
        change = doors.add_parser("roots", help="add a root beside the present one, or drop one")
        change.add_argument("--add", type=Path, metavar="PUBLIC", help="public half of the new root")
        change.add_argument("--drop", metavar="THUMBPRINT", help="thumbprint of the root to leave out")
        new = doors.add_parser("newroot", help="make a root in a file (.pem encrypted, .jwk in the clear)")
        new.add_argument("file", type=Path)
        sign = doors.add_parser("sign", help="where the root is: sign a request")
        sign.add_argument("file", type=Path)
        sign.add_argument("--out", type=Path, help="where the signed keyset goes; else beside the request")
        doors.add_parser("import", help="publish a signed keyset").add_argument("file", type=Path)
        status = doors.add_parser("status", help="how keys stand and what is due; exit code 1 if anything")
        for door in (init, rotate, switch, revoke, change, status):
            usual = settings.REKEY_VAR / keyfiles.KEY_FOLDER
            door.add_argument("--dir", type=Path, default=usual, help="folder of the key files")
        for door in (init, rotate, revoke, change):
            door.add_argument("--request", type=Path, help="write a request for the machine with the root")
        for door in (rotate, revoke, change, sign):
            door.add_argument("--root", type=Path, help="file of the root")
        for door in (init, rotate, revoke, change, new, sign):
            door.add_argument("--passphrase-file", type=Path, help="instead of being asked for it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do one thing and say what came of it."""
        action = options["action"]
        if action not in ELSEWHERE:
            self.check()
        try:
            getattr(self, f"_{action}")(options)
        except TROUBLE as error:
            raise CommandError(str(error)) from error

    # --- on the server ----------------------------------------------------------------------------------

    def _init(self, options: Mapping[str, Any]) -> None:
        folder, elsewhere = options["dir"], options["root_public"]
        if elsewhere is not None:
            request = issuer.draft(folder, new_roots=[ceremony.read_public(elsewhere)])
            self._publish(request, options)
            return
        if options["encrypt"] and not issuer.Keyset.objects.exists():
            file, passphrase = folder / keyfiles.LOCKED_ROOT_FILE, self._passphrase(options, twice=True)
            if not file.exists():
                roots.make(file, passphrase)
            root = roots.load(file, passphrase)
            issuer.publish(ceremony.sign(issuer.draft(folder, new_roots=[root]), root))
        keyset = issuer.init_keys(folder)
        self.stdout.write(f"keyset {keyset.version}, root {keyset.root_thumbprint}")

    def _rotate(self, options: Mapping[str, Any]) -> None:
        self._publish(issuer.draft(options["dir"], rotate=True), options)

    def _switch(self, options: Mapping[str, Any]) -> None:
        self.stdout.write(f"key {revocation.switch().kid} signs from now on")

    def _revoke(self, options: Mapping[str, Any]) -> None:
        named = Q(kid=options["key"]) | Q(file=options["key"])
        key = IssuerKey.objects.filter(named).first()
        if key is None:
            raise CommandError(f"no issuer key {options['key']}")
        again = revocation.revoke(key.kid)
        self.stdout.write(f"key {key.kid} signs nothing from now on; {again} commands signed anew")
        self._publish(issuer.draft(options["dir"]), options)

    def _roots(self, options: Mapping[str, Any]) -> None:
        present = [dict(root) for root in issuer.content(issuer.current_keyset()).roots]
        if options["add"] is not None:
            present.append(ceremony.read_public(options["add"]))
        kept = [root for root in present if jose.thumbprint(root) != options["drop"]]
        if not kept or (options["drop"] and len(kept) == len(present)):
            raise CommandError("--drop names no root, or the last one")
        self._publish(issuer.draft(options["dir"], new_roots=kept), options)

    def _import(self, options: Mapping[str, Any]) -> None:
        self._say_published(issuer.publish(options["file"].read_text("ascii", "replace")))

    def _status(self, options: Mapping[str, Any]) -> None:
        report = keyreport.report(options["dir"])
        for line in report.lines:
            self.stdout.write(line)
        for duty in report.due:
            self.stdout.write(self.style.WARNING(f"due: {duty}"))
        if report.due:
            raise SystemExit(1)

    def _publish(self, request: issuer.Request, options: Mapping[str, Any]) -> None:
        """Sign and publish here when the root is here, else write the request down."""
        out = options["request"]
        root = options.get("root") or roots.find(options["dir"])
        if out is not None:
            ceremony.write_request(out, request)
            self._summary(request)
            self.stdout.write(f"Written to {out}: sign it where the root is, then import what comes back.")
        elif root is None:
            raise CommandError("the root is not here: name its file (--root), or write a --request for it")
        else:
            self._say_published(issuer.publish(ceremony.sign(request, self._open(root, options))))

    def _say_published(self, keyset: issuer.Keyset) -> None:
        self.stdout.write(f"keyset {keyset.version} is published, root {keyset.root_thumbprint}")

    # --- where the root is ------------------------------------------------------------------------------

    def _newroot(self, options: Mapping[str, Any]) -> None:
        file: Path = options["file"]
        secret = self._passphrase(options, twice=True) if roots.is_locked(file) else ""
        public = roots.make(file, secret)
        ceremony.write_public(file.with_suffix(".pub"), public)
        self.stdout.write(f"root {jose.thumbprint(public)}")
        self.stdout.write(f"{file} is the key, {file.with_suffix('.pub')} is for the server")

    def _sign(self, options: Mapping[str, Any]) -> None:
        request = ceremony.read_request(options["file"])
        self._summary(request)
        if options["root"] is None:
            raise CommandError("name the file of the root (--root)")
        token = ceremony.sign(request, self._open(options["root"], options))
        out = options["out"] or options["file"].with_suffix(".jws")
        out.write_text(token + "\n", "ascii")
        self.stdout.write(f"Signed: {out}. Take it to the server and import it.")

    def _summary(self, request: issuer.Request) -> None:
        for line in ceremony.summary(request.claims):
            self.stdout.write(line)

    def _open(self, root: Path, options: Mapping[str, Any]) -> dict[str, str]:
        return roots.load(root, self._passphrase(options) if roots.is_locked(root) else "")

    def _passphrase(self, options: Mapping[str, Any], *, twice: bool = False) -> str:
        if options["passphrase_file"] is not None:
            return keyfiles.read(options["passphrase_file"]).decode().rstrip("\n")
        ask: Callable[[str], str] = getpass
        secret = ask("Passphrase of the root: ")
        if twice and ask("The same again: ") != secret:
            raise CommandError("the two are not the same")
        if twice and len(secret) < roots.PASSPHRASE_MIN:
            raise CommandError(f"a passphrase has at least {roots.PASSPHRASE_MIN} characters")
        return secret
