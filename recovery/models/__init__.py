"""Rows of the self-service flow and of the desk."""

from recovery.models.evidence import Statement, Verification
from recovery.models.followers import TicketFollower
from recovery.models.objections import Objection
from recovery.models.photos import Photo
from recovery.models.policies import GatePolicy
from recovery.models.recoveries import Proof, Recovery, new_receipt_number, new_recovery_id
from recovery.models.replies import CannedReply
from recovery.models.reports import Report
from recovery.models.service import CalendarDay, Duty, Escalation, ServiceLevel
from recovery.models.tickets import Ticket, TicketEntry, TicketViewer

__all__ = [
    "CalendarDay",
    "CannedReply",
    "Duty",
    "Escalation",
    "GatePolicy",
    "Objection",
    "Photo",
    "Proof",
    "Recovery",
    "Report",
    "ServiceLevel",
    "Statement",
    "Ticket",
    "TicketEntry",
    "TicketFollower",
    "TicketViewer",
    "Verification",
    "new_receipt_number",
    "new_recovery_id",
]
