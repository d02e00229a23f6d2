"""Service levels, the calendar, who is on duty and who is told: rows of the desk, their changes on record."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from portal.audit import Tag, record
from portal.celery import nudge
from portal.kept import Kept
from portal.models import User
from recovery.models import CalendarDay, Duty, Escalation, ServiceLevel

ANEW = "recovery.tasks.reckon_anew"


class Recorded(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that steer the desk: who changed which is on record, and deadlines follow."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Keep it."""
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            fields = sorted(form.changed_data)
            self._note(request, obj, "changed" if change else "added", fields=fields)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Take it away."""
        with transaction.atomic():
            self._note(request, obj, "removed")
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Take several away, each on record."""
        for row in list(queryset):
            self.delete_model(request, row)

    def _note(self, request: HttpRequest, row: Model, what: str, **facts: Any) -> None:
        named = {"row": f"{row._meta.model_name} {row}", "what": what, **facts}
        record(Tag.SERVICE_CHANGED, actor=f"user:{request.user.pk}", **named)
        transaction.on_commit(partial(nudge, ANEW, str(row.pk)))


@admin.register(ServiceLevel)
class ServiceLevelAdmin(Kept, Recorded):
    """How soon cases are answered and solved."""

    list_display = ("priority", "answer_minutes", "solve_minutes", "around_the_clock")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """One for each priority, and they are there."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceLevel | None = None) -> tuple[str, ...]:
        """A level stays that of its priority."""
        return ("priority",)


@admin.register(CalendarDay)
class CalendarDayAdmin(Recorded):
    """Days that differ from the calendar of public holidays."""

    list_display = ("day", "works", "source")
    list_filter = ("works",)
    date_hierarchy = "day"


@admin.register(Duty)
class DutyAdmin(Recorded):
    """Who is on duty while the desk is closed."""

    list_display = ("user", "starts_at", "ends_at")
    list_select_related = ("user",)
    date_hierarchy = "starts_at"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Support staff only."""
        if db_field.name == "user":
            kwargs["queryset"] = User.objects.filter(is_staff=True, is_active=True)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(Escalation)
class EscalationAdmin(Recorded):
    """Who is told when a case runs late."""

    list_display = ("minutes", "to", "group")
    list_select_related = ("group",)
