"""Proofs of somebody without a sign-in: a code to an address on file, paper, the app, a passkey."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import get_language

from portal import addresses, challenges, passkeys, recovery_codes, texting
from portal.challenges import Outcome
from portal.devices import TOTPDevice
from portal.entry import sitting as sittings
from portal.entry.rules import Proof, Target
from portal.entry.sitting import HOLDERS, Sitting, note, note_refused
from portal.limits import spend, take
from portal.models import Challenge, Channel
from portal.network import address_block, client_address
from portal.notices import CHANNELS

PURPOSE = "account"
PASSKEY = "account-passkey"


def send_code(request: HttpRequest, sitting: Sitting, proof: Proof, address_id: str = "") -> bool:
    """Send a code to the registered phone, a mailbox or a contact; whether one is on its way or was before.

    One that still waits for its code is not sent again here.
    """
    to, channel, locale = _where(sitting, proof, address_id)
    merchant = sitting.merchant
    if merchant is None or not to:
        return False
    before = awaited(sitting)
    if before is not None and before.to == to and challenges.tries_left(before):
        return True
    block = address_block(client_address(request))
    if texting.refusal(texting.Ask(to, block, merchant, sitting.source, channel=channel)):
        return False
    challenge = challenges.open_for(PURPOSE, to, channel, subject=sitting.subject)
    challenges.send(challenge, template_of(sitting, proof), locale, known_source=True)
    _keep(request, sitting, {"id": challenge.id, "proof": proof, "address": address_id})
    return True


def _where(sitting: Sitting, proof: Proof, address_id: str) -> tuple[str, str, str]:
    """Address, channel and language, read from what is on file now; an empty address when there is none."""
    language, merchant = get_language() or "zh-hans", sitting.merchant
    if merchant is None or proof not in {Proof.TEXT, *HOLDERS}:
        return "", "", language
    if proof is Proof.TEXT:
        return merchant.phone, Channel.SMS, language
    ways = sittings.written_to(merchant, proof)
    way = next((way for way in ways if way.id == address_id), None)
    return (way.to, CHANNELS[way.kind], way.locale) if way else ("", "", language)  # type: ignore[index]


def _keep(request: HttpRequest, sitting: Sitting, code: dict[str, str]) -> None:
    sitting.kept["code"] = code
    request.session[sittings.KEY] = sitting.kept


def template_of(sitting: Sitting, proof: Proof) -> str:
    """The message that carries the code."""
    if proof is Proof.CONTACT:
        return "help-code"
    return "join-code" if sitting.target is Target.JOIN else "account-code"


def awaited(sitting: Sitting) -> Challenge | None:
    """The challenge whose code is to be typed, dead ones as well."""
    return Challenge.objects.filter(id=sitting.kept["code"].get("id", "")).first()


def proof_awaited(sitting: Sitting) -> Proof:
    """What its code will prove."""
    return Proof(sitting.kept["code"].get("proof", Proof.TEXT))


def check_code(request: HttpRequest, sitting: Sitting, text: str) -> Outcome:
    """Judge a typed code, if its address is still the one on file; the proof is noted when it is right."""
    code, proof = sitting.kept["code"], proof_awaited(sitting)
    challenge = awaited(sitting)
    if challenge is None or sitting.merchant is None:
        return Outcome(False, "expired", 0)
    to, _channel, _locale = _where(sitting, proof, code["address"])
    outcome = challenges.check(challenge.id, PURPOSE, sitting.subject, text, accept=to == challenge.to)
    if not outcome.ok:
        note_refused(sitting, proof, outcome.reason)
        return outcome
    if proof is Proof.TEXT:
        addresses.note_confirmed(sitting.merchant, to)
    sitting.kept["code"] = {}
    note(request, sitting, proof)
    return outcome


def resend(request: HttpRequest, sitting: Sitting) -> None:
    """The same code again, when its time has come and the limits allow."""
    challenge = awaited(sitting)
    if challenge is None or challenges.next_send_in(challenge) or not challenges.sends_left(challenge):
        return
    block = address_block(client_address(request))
    ask = texting.Ask(challenge.to, block, sitting.merchant, sitting.source, channel=challenge.channel)
    if not texting.refusal(ask):
        template = template_of(sitting, proof_awaited(sitting))
        challenges.resend(challenge.id, template, get_language() or "zh-hans")


def use_paper(request: HttpRequest, sitting: Sitting, typed: str) -> bool:
    """Spend a recovery code of the shop; whether it was one. A sitting spends one at most."""
    if Proof.PAPER in sitting.given:
        return True
    if sitting.merchant is None or not recovery_codes.use(sitting.merchant, typed, sitting.actor):
        note_refused(sitting, Proof.PAPER, "wrong")
        return False
    note(request, sitting, Proof.PAPER)
    return True


def check_app(request: HttpRequest, sitting: Sitting, text: str) -> Outcome:
    """Judge a code of the account's app; for an account that there is not it is wrong. Raises TooMany."""
    spend("entry-per-account", sitting.kept["name"])
    device = TOTPDevice.objects.filter(user_id=sitting.kept["user"], confirmed=True).first()
    outcome = device.judge(text) if device is not None and sitting.user else _as_of_nobody(sitting)
    if outcome.ok:
        note(request, sitting, Proof.APP)
    else:
        note_refused(sitting, Proof.APP, outcome.reason)
    return outcome


def _as_of_nobody(sitting: Sitting) -> Outcome:
    """The same road as a wrong code of a real app."""
    tried = take("second-factor-per-account", f"name:{sitting.kept['name']}")
    return Outcome(False, "wrong", 1) if tried.ok else Outcome(False, "exhausted", 0)


def passkey_options(sitting: Sitting) -> str:
    """A challenge for whatever passkey is picked, as JSON; nothing is told about whose account this is."""
    return passkeys.assertion(PASSKEY, sitting.subject)


def check_passkey(request: HttpRequest, sitting: Sitting, response: str) -> bool:
    """Whether a passkey of this account signed. Raises TooMany."""
    spend("entry-per-account", sitting.kept["name"])
    passkey = passkeys.verify(PASSKEY, sitting.subject, response)
    if passkey is None or sitting.user is None or passkey.user_id != sitting.user.pk:
        note_refused(sitting, Proof.PASSKEY, "wrong")
        return False
    note(request, sitting, Proof.PASSKEY)
    return True
