"""The gateways of the demo: a line in a private file for a text or a call. Nothing leaves the machine."""

from __future__ import annotations

import os
import re
import secrets

from django.conf import settings
from django.utils import timezone

from portal.messaging.gateways import Accepted, Parcel, error_for

E164 = re.compile(r"\+[1-9][0-9]{7,14}")
CHINESE_MOBILE = re.compile(r"\+861[3-9][0-9]{9}")


class ConsoleGateway:
    """Appends each text to SMS_CONSOLE_FILE. A system check refuses it outside the demo."""

    name = "console"

    def send(self, parcel: Parcel) -> Accepted:
        """Write the line, for our eyes only. Refuses what a real carrier would: no number, or a landline."""
        if not E164.fullmatch(parcel.to):
            raise error_for("21211")
        if parcel.to.startswith("+86") and not CHINESE_MOBILE.fullmatch(parcel.to):
            raise error_for("21614")
        return write(parcel.to, parcel.text)


class ConsoleVoiceGateway:
    """Appends what a call would say to the same file."""

    name = "console"

    def send(self, parcel: Parcel) -> Accepted:
        """Write the line; landlines can be called."""
        if not E164.fullmatch(parcel.to):
            raise error_for("21211")
        return write(parcel.to, f"(call) {parcel.text}")


def write(to: str, text: str) -> Accepted:
    """One line: when, to whom, what."""
    settings.SMS_CONSOLE_FILE.parent.mkdir(parents=True, exist_ok=True)
    line = f"{timezone.localtime():%H:%M:%S}  {to}  {' '.join(text.splitlines())}\n"
    handle = os.open(settings.SMS_CONSOLE_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)
    return Accepted("console-" + secrets.token_hex(8))
