"""Who may do what with merchants, people, texts and the audit trail."""

from portal.roles import DESK, Rights, Role

AGENTS = {Role.AGENT, Role.SENIOR}
SENIOR = {Role.SENIOR}
CHECKS = {Role.SENIOR, Role.AUDITOR}
LOST = {"view": CHECKS, "delete": SENIOR}

RIGHTS: Rights = {
    "merchant": {"view": DESK, "add": SENIOR, "change": SENIOR},
    "store": {"view": DESK, "add": SENIOR, "change": SENIOR},
    # Owners' accounts: those of staff are a superuser's business.
    "user": {"view": DESK, "change": SENIOR},
    "smsdevice": LOST,
    "totpdevice": LOST,
    "passkey": LOST,
    "invitation": {"view": DESK, "add": AGENTS},
    "address": {"view": DESK},
    # To change one is to stop it, for a caller who quotes its number.
    "addresschange": {"view": DESK, "change": AGENTS},
    "recoverycode": {"view": DESK},
    "message": {"view": DESK},
    "auditevent": {"view": {Role.SENIOR, Role.APPROVER, Role.AUDITOR}},
}
