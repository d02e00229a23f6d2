"""Who may do what with recoveries, cases, verifications and the rules about proofs."""

from portal.roles import DESK, Rights, Role

RIGHTS: Rights = {
    "recovery": {"view": DESK},
    # To change one is to work on it, and to verify its caller.
    "ticket": {"view": DESK, "change": {Role.AGENT, Role.SENIOR}},
    "cannedreply": {"view": DESK, "add": {Role.SENIOR}, "change": {Role.SENIOR}},
    # What a case is owed, and who is told when it runs late.
    "servicelevel": {"view": DESK, "change": {Role.SENIOR}},
    "calendarday": {"view": DESK, "add": {Role.SENIOR}, "change": {Role.SENIOR}},
    "duty": {"view": DESK, "add": {Role.SENIOR}, "change": {Role.SENIOR}},
    "escalation": {"view": DESK, "add": {Role.SENIOR}, "change": {Role.SENIOR}},
    "report": {"view": DESK - {Role.AGENT}},
    "verification": {
        "view": DESK,
        "approve_verification": {Role.APPROVER},
        # A partner sees no page of the desk: theirs shows the merchants of their acquirer alone.
        "attest_verification": {Role.PARTNER},
        "cosign_verification": {Role.PARTNER},
    },
    "gatepolicy": {"view": DESK, "add": {Role.SENIOR}, "change": {Role.SENIOR}},
}
