"""What a person should look at, and that somebody has."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from portal.kept import ReadOnly
from terminals import alerts, tamper
from terminals.admin import inspector
from terminals.admin.forms import ReasonForm
from terminals.models import TerminalAlert

MAY_CLEAR = "terminals.change_terminalalert"


class StandingFilter(admin.SimpleListFilter):
    """Open or cleared."""

    title = _("state")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The two there are."""
        return [("open", _("open")), ("cleared", _("cleared"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TerminalAlert]) -> QuerySet[TerminalAlert]:
        """Those of the chosen kind, or all."""
        if self.value() is None:
            return queryset
        return queryset.filter(cleared_at__isnull=self.value() == "open")


@admin.register(TerminalAlert)
class TerminalAlertAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Alerts, open ones first; cleared with a reason, one or many."""

    list_display = ("kind", "of_terminal", "standing", "count", "raised_at", "last_at")
    list_filter = (StandingFilter, "kind")
    list_select_related = ("terminal__store__merchant",)
    search_fields = ("terminal__number__iexact", "terminal__serial__iexact")
    ordering = (F("cleared_at").desc(nulls_first=True), "-last_at")
    fields = readonly_fields = (
        "kind",
        "of_terminal",
        "of_command",
        "told",
        "count",
        "raised_at",
        "last_at",
        "standing",
        "cleared_at",
        "cleared_by",
        "cleared_reason",
    )
    actions = ("clear_chosen",)
    change_form_template = "admin/terminals/alert.html"

    def has_clear_permission(self, request: HttpRequest) -> bool:
        """Who may say that an alert was seen to."""
        return request.user.has_perm(MAY_CLEAR)

    def get_urls(self) -> list[URLPattern]:
        """The page that asks for the reason, beside the stock addresses."""
        clear = path("clear/", self.admin_site.admin_view(self.clear), name="terminals_alerts_clear")
        return [clear, *super().get_urls()]

    @admin.display(description=_("terminal"), ordering="terminal__number")
    def of_terminal(self, alert: TerminalAlert) -> SafeString:
        """Which one, with a way to its queue."""
        where = inspector.address(alert.terminal_id)
        return format_html('<a href="{}">{}</a>', where, alert.terminal)

    @admin.display(description=_("command"))
    def of_command(self, alert: TerminalAlert) -> SafeString | str:
        """Which command it is about, if it is about one."""
        if alert.command_id is None:
            return "–"
        where = reverse("admin:terminals_command_change", args=(quote(alert.command_id),))
        return format_html('<a class="num" href="{}">{}</a>', where, alert.command_id)

    @admin.display(description=_("facts"))
    def told(self, alert: TerminalAlert) -> str:
        """What came with it, as names and values."""
        return ", ".join(f"{name} {value}" for name, value in sorted(alert.facts.items())) or "–"

    @admin.display(description=_("state"), ordering="cleared_at")
    def standing(self, alert: TerminalAlert) -> SafeString:
        """Open, or cleared."""
        if alert.cleared_at is None:
            return format_html('<span class="tag tag--stop">{}</span>', gettext("open"))
        return format_html('<span class="tag">{}</span>', gettext("cleared"))

    @admin.action(description=_("Clear the chosen alerts"), permissions=["clear"])
    def clear_chosen(self, request: HttpRequest, chosen: QuerySet[TerminalAlert]) -> HttpResponse:
        """Ask for the reason first."""
        named = "&".join(f"alert={alert.pk}" for alert in chosen)
        return HttpResponseRedirect(f"{reverse('admin:terminals_alerts_clear')}?{named}")

    def clear(self, request: HttpRequest) -> HttpResponse:
        """Ask for the reason, and clear what is still open of what was named."""
        if not self.has_clear_permission(request):
            raise PermissionDenied
        sent = request.method == "POST"
        named = (request.POST if sent else request.GET).getlist("alert")
        wanted = [int(pk) for pk in named if pk.isascii() and pk.isdigit() and len(pk) < 16]
        still_open = TerminalAlert.objects.select_related("terminal__store__merchant").filter(
            pk__in=wanted, cleared_at__isnull=True
        )
        form = ReasonForm(request.POST if sent else None)
        if not still_open:
            messages.warning(request, _("Nothing of that is open any more."))
        elif not form.is_valid():
            return self._asked(request, still_open, form)
        else:
            self._clear(request, still_open, form.cleaned_data["why"])
        return HttpResponseRedirect(reverse("admin:terminals_terminalalert_changelist"))

    def _clear(self, request: HttpRequest, chosen: QuerySet[TerminalAlert], why: str) -> None:
        by = f"user:{request.user.pk}"
        done = sum(self._clear_one(alert, by, why) for alert in chosen)
        messages.success(
            request, ngettext("%(n)d alert cleared.", "%(n)d alerts cleared.", done) % {"n": done}
        )

    def _clear_one(self, alert: TerminalAlert, by: str, why: str) -> bool:
        """A terminal that was opened by force is served again once its alert is cleared."""
        if alert.kind == TerminalAlert.Kind.TAMPER and tamper.clear(alert.terminal, by, why):
            return True
        return alerts.clear(alert, by, why)

    def _asked(self, request: HttpRequest, chosen: QuerySet[TerminalAlert], form: ReasonForm) -> HttpResponse:
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Clear alerts"),
            "chosen": chosen,
            "form": form,
        }
        return TemplateResponse(request, "admin/terminals/clear_alerts.html", context)
