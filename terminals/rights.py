"""Who may do what with terminals, what is sent to them, and the contact directory."""

from portal.roles import DESK, Rights, Role

SENIOR = {Role.SENIOR}
KEPT = {"view": DESK, "add": SENIOR, "change": SENIOR}
EDITOR = {Role.EDITOR}
READERS = DESK | EDITOR

RIGHTS: Rights = {
    "terminal": KEPT,
    "terminalmodel": KEPT,
    "operator": KEPT,
    "enrollmentbatch": {"view": DESK},
    # To change one is to clear it.
    "terminalalert": {"view": DESK, "change": SENIOR},
    # To add one is to send it, to change one is to end it.
    "command": KEPT,
    "commandevent": {"view": DESK},
    "receipt": {"view": DESK},
    "recoveryrequest": {"view": DESK},
    "offlineunlock": {"view": DESK},
    "issuerkey": {"view": {Role.SENIOR, Role.AUDITOR}},
    "keyset": {"view": {Role.SENIOR, Role.AUDITOR}},
    "directoryentry": {"view": READERS, "add": EDITOR, "change": EDITOR},
    "directorynumber": {"view": READERS, "add": EDITOR, "change": EDITOR, "delete": EDITOR},
    "directorykey": {"view": READERS, "add": EDITOR, "change": EDITOR, "delete": EDITOR},
}
