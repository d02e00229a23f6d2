"""What support sees of recoveries. Nothing secret has a field here; phones are masked."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from portal.kept import ReadOnly
from portal.models import AuditEvent
from recovery.desk.admin import TicketAdmin
from recovery.desk.canned_admin import CannedReplyAdmin
from recovery.desk.report_admin import ReportAdmin
from recovery.desk.service_admin import CalendarDayAdmin, DutyAdmin, EscalationAdmin, ServiceLevelAdmin
from recovery.desk.verification_admin import VerificationAdmin
from recovery.models import Recovery
from recovery.policy_admin import GatePolicyAdmin
from terminals.models import CommandEvent

__all__ = [
    "CalendarDayAdmin",
    "CannedReplyAdmin",
    "DutyAdmin",
    "EscalationAdmin",
    "GatePolicyAdmin",
    "RecoveryAdmin",
    "ReportAdmin",
    "ServiceLevelAdmin",
    "TicketAdmin",
    "VerificationAdmin",
]


@admin.register(Recovery)
class RecoveryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Recoveries with their timeline."""

    list_display = (
        "number",
        "state",
        "merchant",
        "terminal",
        "operator_number",
        "masked_phone",
        "created_at",
    )
    list_filter = ("state", "created_at")
    list_select_related = ("merchant", "terminal")
    search_fields = ("number__iexact", "merchant__number", "terminal__number")
    date_hierarchy = "created_at"
    fields = (
        "number",
        "state",
        "reason",
        "door",
        "identifier",
        "masked_phone",
        "merchant",
        "terminal",
        "operator_number",
        "created_at",
        "proved_at",
        "possession_at",
        "dispatched_at",
        "finished_at",
        "timeline",
    )
    readonly_fields = fields

    @admin.display(description=_("phone"))
    def masked_phone(self, recovery: Recovery) -> str:
        """The phone that was typed, its middle hidden."""
        return recovery.masked_phone

    @admin.display(description=_("timeline"))
    def timeline(self, recovery: Recovery) -> SafeString:
        """What happened, oldest first: the journey's events and the command's moves."""
        events = AuditEvent.objects.filter(subject=recovery.id).order_by("at", "id")
        rows = [(event.at, event.tag, event.facts.get("reason", "")) for event in events]
        moves = CommandEvent.objects.filter(command__recovery=recovery).values_list(
            "at", "from_state", "to_state", "facts"
        )
        rows += [(at, f"{before} → {after}", facts.get("reason", "")) for at, before, after, facts in moves]
        shown = [(f"{timezone.localtime(at):%H:%M:%S}", what, why) for at, what, why in sorted(rows)]
        lines = format_html_join("", '<li><span class="num">{}</span> {} {}</li>', shown)
        return format_html('<ol class="events">{}</ol>', lines)
