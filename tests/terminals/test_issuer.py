"""Issuer keys in turn: who signs for whom, what keysets list, and a stolen key replaced without the root."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone
from pytest_django.fixtures import Settings

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery, jose
from terminals.keys import issuer, keyfiles, revocation, roots, signer
from terminals.models import Command, IssuerKey, Keyset, TerminalAlert, TerminalStatus
from terminals.protocol import FACTORY_RESET, LOCK, TYP_COMMAND
from tests.cast import PairedTill, make_terminal, pair_on_paper
from tests.terminals.keys import knows, listed, next_keyset, says, signer_of, standing
from tests.terminals.work import delivered, fresh, reset

pytestmark = pytest.mark.django_db


def later(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this many days pass for the issuer and the signer."""
    then = timezone.now() + timedelta(days=days)
    monkeypatch.setattr(timezone, "now", lambda: then)


class TestTheFirstKeyset:
    def test_lists_one_key_in_use_one_ahead_and_one_for_factory_resets(self, issuer_keys: Path) -> None:
        current, ahead = standing("current"), standing("next")
        resets = standing("current", issuer.RESET)
        assert listed(1) == {current.kid, ahead.kid, resets.kid}
        assert [key.file for key in (current, ahead, resets)] == [
            "signing.jwk",
            "signing-2.jwk",
            "signing-reset.jwk",
        ]

    def test_no_key_does_factory_resets_and_anything_else(self, issuer_keys: Path) -> None:
        for entry in says(1).keys:
            assert (FACTORY_RESET in entry.cmds) == (entry.cmds == (FACTORY_RESET,))

    def test_what_was_published_before_there_was_a_choice_goes_on_signing(self, issuer_keys: Path) -> None:
        """A keyset of one key, as the first release made it: rotating publishes what is missing."""
        Keyset.objects.all().delete()
        IssuerKey.objects.exclude(file="signing.jwk").delete()
        for name in ("signing-2.jwk", "signing-reset.jwk"):
            (issuer_keys / name).unlink()
        root = keyfiles.load(issuer_keys / keyfiles.ROOT_FILE)
        key = IssuerKey.objects.get()
        claims = issuer._claims([key], [jose.public_jwk(root)], 1, timezone.now())
        Keyset.objects.create(
            version=1, token=roots.sign(claims, root), root_thumbprint=jose.thumbprint(root)
        )
        assert signer.Ring().choose(LOCK, "trm_" + "A" * 16) == key
        with pytest.raises(signer.NoSigningKey):
            signer.Ring().choose(FACTORY_RESET, "trm_" + "A" * 16)
        next_keyset(issuer_keys, rotate=True)
        assert standing("current") == key and standing("next") and standing("current", issuer.RESET)


class TestRotation:
    def test_the_key_that_was_ahead_takes_over_and_another_is_ahead(self, issuer_keys: Path) -> None:
        first, second = standing("current"), standing("next")
        next_keyset(issuer_keys, rotate=True)
        assert (standing("previous"), standing("current")) == (first, second)
        assert standing("next").file == "signing-3.jwk"
        assert listed(2) >= {first.kid, second.kid, standing("next").kid}

    def test_there_is_no_flag_day_for_it_was_published_ahead(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        knows(till, 1)
        second = standing("next")
        next_keyset(issuer_keys, rotate=True)
        assert signer_of(delivered(till).token) == second.kid

    def test_a_key_is_used_only_for_terminals_that_report_its_keyset(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        old = standing("current", issuer.RESET)
        next_keyset(issuer_keys, rotate=True)
        new = standing("current", issuer.RESET)
        other = pair_on_paper(make_terminal())
        knows(till, 1)
        knows(other, 2)
        assert signer.Ring().choose(FACTORY_RESET, till.terminal.pk) == old
        assert signer.Ring().choose(FACTORY_RESET, other.terminal.pk) == new

    def test_a_terminal_that_never_said_is_served_by_the_key_it_is_likeliest_to_know(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        old = standing("current", issuer.RESET)
        next_keyset(issuer_keys, rotate=True)
        assert signer.Ring().choose(FACTORY_RESET, till.terminal.pk) == old
        knows(till, None)
        assert signer.Ring().choose(FACTORY_RESET, till.terminal.pk) == old

    def test_the_old_key_signs_for_laggards_for_ninety_days_and_not_longer(
        self, issuer_keys: Path, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = standing("current", issuer.RESET)
        next_keyset(issuer_keys, rotate=True)
        new = standing("current", issuer.RESET)
        knows(till, 1)
        later(89, monkeypatch)
        assert signer.Ring().choose(FACTORY_RESET, till.terminal.pk) == old
        later(2, monkeypatch)
        assert signer.Ring().choose(FACTORY_RESET, till.terminal.pk) == new

    @pytest.mark.parametrize(("days", "stays"), [(90 + 7 + 6, True), (90 + 7 + 8, False)])
    def test_the_old_key_stays_listed_until_its_last_token_has_ended_and_a_week_more(
        self, issuer_keys: Path, monkeypatch: pytest.MonkeyPatch, days: int, stays: bool
    ) -> None:
        old = standing("current")
        next_keyset(issuer_keys, rotate=True)
        later(days, monkeypatch)
        next_keyset(issuer_keys)
        assert (old.kid in listed(3)) is stays

    def test_five_rotations_keep_few_keys(self, issuer_keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(5):
            later(365, monkeypatch)
            next_keyset(issuer_keys, rotate=True)
        assert len(listed(6)) == 3 + 2  # one in use, one ahead, one before; a reset key and the one before
        assert standing("current").expires_at > timezone.now() + timedelta(days=365)
        assert all(len(keyset.token) < 4096 for keyset in Keyset.objects.all())

    def test_too_many_rotations_at_once_are_refused_before_anything_is_signed(
        self, issuer_keys: Path
    ) -> None:
        for _ in range(6):
            next_keyset(issuer_keys, rotate=True)
        with pytest.raises(issuer.NotAccepted, match="at most 16 keys"):
            issuer.draft(issuer_keys, rotate=True)
        assert issuer.current_keyset().version == 7

    def test_a_draft_that_is_never_published_leaves_nothing_behind(self, issuer_keys: Path) -> None:
        drafts = [issuer.draft(issuer_keys, rotate=True).claims["keys"] for _ in range(3)]
        assert [entry["jwk"] for entry in drafts[0]] == [entry["jwk"] for entry in drafts[2]]
        assert standing("current").file == "signing.jwk"


class TestScopes:
    def test_the_reset_key_signs_nothing_else_and_no_other_signs_a_reset(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        resets = signer.Ring().choose(FACTORY_RESET, till.terminal.pk)
        for kind in issuer.ORDINARY:
            assert signer.Ring().choose(kind, till.terminal.pk) != resets
        assert resets.commands == [FACTORY_RESET]

    def test_without_the_reset_keys_file_other_commands_go_out_all_the_same(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        (issuer_keys / keyfiles.RESET_FILE).unlink()
        assert delivered(till).token
        with pytest.raises(signer.NoSigningKey):
            signer.sign_command({"cmd": FACTORY_RESET, "aud": till.terminal.pk})

    def test_a_file_with_another_keys_content_signs_nothing(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        (issuer_keys / keyfiles.SIGNING_FILE).unlink()
        (issuer_keys / keyfiles.RESET_FILE).rename(issuer_keys / keyfiles.SIGNING_FILE)
        assert not delivery.deliver(reset(till).pk)

    def test_a_keyset_with_a_key_for_both_is_not_published(self, issuer_keys: Path) -> None:
        claims = issuer.draft(issuer_keys).claims
        claims["keys"][0]["cmds"].append(FACTORY_RESET)
        with pytest.raises(issuer.NotAccepted, match="factory resets and other"):
            issuer.publish(roots.sign(claims, keyfiles.load(issuer_keys / keyfiles.ROOT_FILE)))


class TestWhereTheKeysLie:
    @pytest.mark.parametrize("name", ["", keyfiles.SIGNING_FILE])
    def test_the_setting_names_the_folder_or_a_file_in_it(
        self, issuer_keys: Path, till: PairedTill, settings: Settings, name: str
    ) -> None:
        settings.REKEY_ISSUER_KEY_FILE = str(issuer_keys / name)
        assert signer_of(delivered(till).token) == standing("current").kid
        next_keyset(issuer_keys, rotate=True)
        knows(till, 2)
        assert signer_of(delivered(till, "05").token) == standing("current").kid

    def test_a_file_may_have_any_name(self, issuer_keys: Path, till: PairedTill, settings: Settings) -> None:
        mounted = issuer_keys / "issuer_key"
        (issuer_keys / keyfiles.SIGNING_FILE).rename(mounted)
        settings.REKEY_ISSUER_KEY_FILE = str(mounted)
        assert delivered(till).token


class TestEmergency:
    def test_the_next_key_takes_over_without_the_root(self, issuer_keys: Path, till: PairedTill) -> None:
        stolen, ahead = standing("current"), standing("next")
        (issuer_keys / keyfiles.ROOT_FILE).unlink()
        revocation.revoke(stolen.kid)
        assert standing("current") == ahead and standing("revoked") == stolen
        assert signer_of(delivered(till).token) == ahead.kid

    def test_every_open_command_is_signed_anew_under_its_own_id(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        stolen = standing("current")
        before = [delivered(till, operator) for operator in ("01", "03", "05")]
        commands.mark_fetched([before[0].jti or ""], timezone.now())
        assert revocation.revoke(stolen.kid) == 3
        for command in before:
            assert delivery.deliver(command.pk)
            again = fresh(command)
            assert signer_of(again.token) == standing("current").kid and again.jti != command.jti
            assert (again.seq or 0) > (command.seq or 0)

    def test_what_the_reset_key_or_another_key_signed_is_left_alone(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        command = delivered(till)
        assert revocation.revoke(standing("current", issuer.RESET).kid) == 0
        assert fresh(command).token == command.token

    def test_a_worker_that_was_signing_meanwhile_is_put_right_by_the_sweep(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        command, stolen = delivered(till), standing("current")
        IssuerKey.objects.filter(pk=stolen.pk).update(revoked_at=timezone.now())
        revocation.sweep()
        assert fresh(command).token == ""

    def test_it_is_told_and_staff_see_whose_commands_it_touched(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        stolen = standing("current")
        delivered(till)
        delivered(till, "05")
        revocation.revoke(stolen.kid)
        alert = TerminalAlert.objects.get(kind=TerminalAlert.Kind.KEY_REVOKED)
        assert (alert.terminal, alert.subject, alert.count) == (till.terminal, stolen.kid, 2)
        tags = set(
            AuditEvent.objects.filter(subject__in=[stolen.kid, standing("current").kid]).values_list("tag")
        )
        assert {(Tag.ISSUER_KEY_REVOKED,), (Tag.ISSUER_KEY_IN_USE,)} <= tags

    def test_terminals_that_saw_more_numbers_than_we_gave_are_pointed_out(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        TerminalStatus.objects.create(terminal=till.terminal, reported_hwm=7)
        pair_on_paper(make_terminal())
        revocation.revoke(standing("current").kid)
        alert = TerminalAlert.objects.get(kind=TerminalAlert.Kind.HWM_AHEAD)
        assert alert.terminal == till.terminal and alert.facts == {"given": 0, "seen": 7}

    def test_again_changes_nothing_more(self, issuer_keys: Path) -> None:
        stolen = standing("current")
        for _ in range(2):
            revocation.revoke(stolen.kid)
        assert standing("current").file == "signing-2.jwk"
        assert AuditEvent.objects.filter(tag=Tag.ISSUER_KEY_REVOKED).count() == 1

    def test_when_none_is_left_nothing_is_signed_until_the_root_has_spoken(
        self, issuer_keys: Path, till: PairedTill
    ) -> None:
        for _ in range(2):
            revocation.revoke(standing("current").kid)
        with pytest.raises(signer.NoSigningKey):
            signer.Ring().choose(LOCK, till.terminal.pk)
        with pytest.raises(revocation.NoNext):
            revocation.switch()
        next_keyset(issuer_keys)
        assert standing("current") and standing("next")
        assert len(says(2).revoked) == 2

    def test_the_following_keyset_names_it_and_lists_it_no_more(self, issuer_keys: Path) -> None:
        stolen = standing("current")
        revocation.revoke(stolen.kid)
        next_keyset(issuer_keys)
        assert says(2).revoked == (stolen.kid,) and stolen.kid not in listed(2)
        assert standing("next").file == "signing-3.jwk"

    def test_a_stolen_reserve_is_replaced_and_the_key_in_use_stays(self, issuer_keys: Path) -> None:
        current, ahead = standing("current"), standing("next")
        revocation.revoke(ahead.kid)
        next_keyset(issuer_keys)
        assert standing("current") == current and standing("next") != ahead


def test_the_beginning_of_a_token_is_told_as_it_is_written(issuer_keys: Path, till: PairedTill) -> None:
    token = delivered(till).token
    assert token.startswith(jose.beginning(TYP_COMMAND, signer_of(token)))


def test_signing_looks_once_at_the_keys_and_once_at_the_terminal_when_there_is_a_choice(
    issuer_keys: Path, till: PairedTill, django_assert_num_queries: Callable[..., Any]
) -> None:
    assert configured.REKEY_ISSUER_KEY_FILE
    with django_assert_num_queries(1):
        signer.Ring().choose(LOCK, till.terminal.pk)
    next_keyset(issuer_keys, rotate=True)
    with django_assert_num_queries(2):
        signer.Ring().choose(LOCK, till.terminal.pk)
    assert Command.objects.count() == 0
