"""E-mail through Django's own backends: SMTP, or a private folder in the demo."""

from __future__ import annotations

import secrets
from smtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from portal.messaging.gateways import Accepted, Parcel, error_for


class MailGateway:
    """Hands mails to a server that takes them from there; there are no reports of what becomes of one."""

    name = "smtp"
    backend = "django.core.mail.backends.smtp.EmailBackend"

    def send(self, parcel: Parcel) -> Accepted:
        """Hand over one mail. Raises GatewayError, without what the server said, for it repeats addresses."""
        number = secrets.token_hex(16)
        domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2]
        mail = EmailMessage(
            parcel.subject,
            parcel.text,
            to=[parcel.to],
            headers={"Message-ID": f"<{number}@{domain}>", "Auto-Submitted": "auto-generated"},
            connection=self.connect(),
        )
        try:
            mail.send()
        except SMTPRecipientsRefused:
            raise error_for("mailbox") from None
        except (SMTPAuthenticationError, SMTPSenderRefused):
            raise error_for("20003") from None
        except (SMTPConnectError, ConnectionRefusedError):
            raise error_for("unreachable") from None
        except (SMTPServerDisconnected, TimeoutError):
            raise error_for("timeout") from None
        except (SMTPException, OSError, ValueError):
            raise error_for("server") from None
        return Accepted(number)

    def connect(self) -> BaseEmailBackend:
        """A connection of its own, so that no process keeps another's."""
        made: BaseEmailBackend = get_connection(self.backend)
        return made


class FileMailGateway(MailGateway):
    """Writes each mail to a private folder. A system check refuses it outside the demo."""

    name = "file"
    backend = "django.core.mail.backends.filebased.EmailBackend"

    def connect(self) -> BaseEmailBackend:
        """A file of its own, in a folder only we may read."""
        settings.MAIL_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        made: BaseEmailBackend = get_connection(self.backend, file_path=str(settings.MAIL_FOLDER))
        return made
