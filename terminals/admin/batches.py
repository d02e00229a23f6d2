"""Many terminals at once, as the support desk does it: a list goes in, a printed sheet of codes comes out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from portal.admin_site import change_address
from portal.kept import ReadOnly
from terminals.keys import issuer
from terminals.life import bulk
from terminals.life.bulk_reading import LIST_MAX, BadList, Problem
from terminals.models import EnrollmentBatch, Terminal

NAME_MAX = 60
MAY_ADD, MAY_CHANGE = "terminals.add_terminal", "terminals.change_terminal"
SHOWN_PROBLEMS = 100


class ListForm(forms.Form):
    """A list of terminals, and what to call them together."""

    name = forms.CharField(
        label=_("Name"), max_length=NAME_MAX, help_text=_("Such as the store and the day they are set up.")
    )
    file = forms.FileField(
        label=_("List"),
        help_text=_("CSV of at most 500 lines, from any spreadsheet, in UTF-8 or GBK."),
        error_messages={"required": _("Choose a file."), "empty": _("The file is empty.")},
    )

    def raw(self) -> bytes:
        """The file's bytes; no more than a little over what is allowed."""
        file = self.cleaned_data["file"]
        assert isinstance(file, UploadedFile)
        return bytes(file.read(LIST_MAX + 1))


@admin.register(EnrollmentBatch)
class BatchAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Batches: made from a list, paired from a sheet."""

    list_display = ("name", "store", "paired", "created_by", "created_at")
    list_select_related = ("store",)
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may add a terminal."""
        return request.user.has_perm(MAY_ADD)

    def get_queryset(self, request: HttpRequest) -> QuerySet[EnrollmentBatch]:
        """With how many there are, and how many still wait."""
        waiting = Count("terminals", filter=Q(terminals__state__in=bulk.UNPAIRED))
        rows: QuerySet[EnrollmentBatch] = super().get_queryset(request)
        return rows.annotate(all=Count("terminals"), waiting=waiting)

    @admin.display(description=_("paired"))
    def paired(self, batch: Any) -> str:
        """How many of how many."""
        return f"{batch.all - batch.waiting} / {batch.all}"

    def get_urls(self) -> list[URLPattern]:
        """The sheet, below a batch's own address."""
        view = self.admin_site.admin_view(require_POST(self.sheet))
        return [path("<int:pk>/sheet", view, name="terminals_enrollmentbatch_sheet"), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Take a list; nothing of it when anything is wrong, and then every line is told."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        posted = request.method == "POST"
        form = ListForm(request.POST if posted else None, request.FILES if posted else None)
        problems: list[Problem] = []
        if posted and form.is_valid():
            try:
                batch = bulk.register(form.raw(), form.cleaned_data["name"], f"user:{request.user.pk}")
            except BadList as bad:
                problems = bad.problems
            else:
                self.message_user(request, self._taken(batch.terminals.count()), messages.SUCCESS)
                return HttpResponseRedirect(change_address(batch))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Add terminals from a list"),
            "form": form,
            "problems": problems[:SHOWN_PROBLEMS],
            "more": max(0, len(problems) - SHOWN_PROBLEMS),
        }
        return TemplateResponse(request, "admin/terminals/list.html", context)

    def _taken(self, count: int) -> str:
        text = ngettext("%(n)s terminal is registered.", "%(n)s terminals are registered.", count)
        return text % {"n": count}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The terminals of a batch, and the key that makes the sheet."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        batch = get_object_or_404(EnrollmentBatch, pk=object_id if object_id.isdecimal() else 0)
        terminals = batch.terminals.select_related("store__merchant", "model").order_by("number")
        waiting = sum(terminal.state in bulk.UNPAIRED for terminal in terminals)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": batch.name,
            "batch": batch,
            "terminals": terminals,
            "waiting": waiting,
            "may_print": waiting and request.user.has_perm(MAY_CHANGE),
        }
        return TemplateResponse(request, "admin/terminals/batch.html", context)

    def sheet(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make a code for every terminal that waits, and show them, this once."""
        if not request.user.has_perm(MAY_CHANGE):
            raise PermissionDenied
        batch = get_object_or_404(EnrollmentBatch, pk=pk)
        try:
            lines = bulk.sheet(batch, f"user:{request.user.pk}")
        except issuer.NoKeyset:
            text = _("There are no issuer keys yet: run manage.py issuerkeys init.")
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(change_address(batch))
        until = lines[0].code.expires_at if lines else None
        context = {"batch": batch, "lines": lines, "until": until, "State": Terminal.State}
        return TemplateResponse(request, "admin/terminals/sheet.html", context)
