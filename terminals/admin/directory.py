"""The contact directory at the desk: one person enters a line, another looks it up and confirms it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from portal.admin_site import change_address
from portal.forms import PlainForm
from portal.kept import Kept
from terminals.directory import entries
from terminals.directory.forms import EntryForm, KeyLineForm, NumberLineForm, NumbersOfOne
from terminals.directory.numbers import canonical
from terminals.models import DirectoryEntry, DirectoryKey, DirectoryNumber
from terminals.models.directory import Vouched

MAY_CONFIRM = "terminals.change_directoryentry"


def unconfirmed() -> Q:
    """Entries of which a line waits for a second person."""
    lines = {"entry": OuterRef("pk"), "verified_by__isnull": True}
    waiting = Exists(DirectoryNumber.objects.filter(**lines)) | Exists(DirectoryKey.objects.filter(**lines))
    return Q(verified_by__isnull=True) | Q(waiting)


def standing_of(line: Vouched, now: datetime) -> SafeString:
    """Whether a line stands, as a tag."""
    if line.verified_at is None:
        return format_html('<span class="tag tag--wait">{}</span>', gettext("to be confirmed"))
    if line.is_due(now):
        return format_html('<span class="tag tag--stop">{}</span>', gettext("confirmed too long ago"))
    return format_html('<span class="tag tag--go">{}</span>', gettext("confirmed"))


class StandingFilter(admin.SimpleListFilter):
    """What there is to do."""

    title = _("state")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The three there are."""
        return [
            ("waiting", _("to be confirmed")),
            ("due", _("over, or over in two weeks")),
            ("stands", _("confirmed")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[DirectoryEntry]) -> QuerySet[DirectoryEntry]:
        """Those of the chosen kind, or all."""
        due = Q(pk__in=entries.due_by(timezone.now() + entries.AHEAD).values("pk"))
        if self.value() == "waiting":
            return queryset.filter(unconfirmed(), retired=False)
        if self.value() == "due":
            return queryset.filter(due)
        if self.value() == "stands":
            return queryset.filter(retired=False).exclude(unconfirmed()).exclude(due)
        return queryset


class LineInline(admin.TabularInline):  # type: ignore[type-arg]
    """Lines of an entry, each with its own standing."""

    extra = 1
    readonly_fields = ("standing", "entered_by", "verified_by", "valid_until")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the two people."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("entered_by", "verified_by")

    @admin.display(description=_("state"))
    def standing(self, line: Vouched) -> SafeString | str:
        """A new line has none yet."""
        return standing_of(line, timezone.now()) if line.pk else "–"


class NumberInline(LineInline):
    """Telephone numbers."""

    model = DirectoryNumber
    form = NumberLineForm
    formset = NumbersOfOne
    fields = ("shown", *LineInline.readonly_fields)


class KeyInline(LineInline):
    """Beginnings of serial and merchant numbers."""

    model = DirectoryKey
    form = KeyLineForm
    fields = ("kind", "start", *LineInline.readonly_fields)


@admin.register(DirectoryEntry)
class DirectoryEntryAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    """Entries by name, number or beginning. A change takes the confirmation away; nothing is deleted."""

    form = EntryForm
    list_display = ("name", "kind", "telephones", "standing", "entered_by", "verified_by", "valid_until")
    list_filter = (StandingFilter, "kind", "retired")
    list_select_related = ("entered_by", "verified_by")
    search_fields = ("name_zh", "name_en", "keys__start")
    search_help_text = _("Name, telephone number, or the beginning of a serial or merchant number")
    readonly_fields = ("to_confirm", "entered_by", "entered_at", "verified_by", "verified_at", "valid_until")
    inlines = (NumberInline, KeyInline)
    fieldsets = (
        (None, {"fields": (*EntryForm.Meta.fields,)}),
        (_("Second person"), {"fields": readonly_fields}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[DirectoryEntry]:
        """With its numbers."""
        rows: QuerySet[DirectoryEntry] = super().get_queryset(request)
        return rows.prefetch_related("numbers", "keys")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[DirectoryEntry], search_term: str
    ) -> tuple[QuerySet[DirectoryEntry], bool]:
        """A telephone number is found however it is written."""
        found, double = super().get_search_results(request, queryset, search_term)
        if digits := canonical(search_term):
            return (found | queryset.filter(numbers__digits=digits)).distinct(), False
        return found, double

    @admin.display(description=_("name"), ordering="name_zh")
    def name(self, entry: DirectoryEntry) -> str:
        """In the reader's language."""
        return entry.name

    @admin.display(description=_("telephone numbers"))
    def telephones(self, entry: DirectoryEntry) -> str:
        """All of them."""
        return ", ".join(number.shown for number in entry.numbers.all()) or "–"

    @admin.display(description=_("state"))
    def standing(self, entry: DirectoryEntry) -> SafeString:
        """That of its weakest line."""
        if entry.retired:
            return format_html('<span class="tag">{}</span>', gettext("retired"))
        lines = [entry, *entry.numbers.all(), *entry.keys.all()]
        earliest = datetime.min.replace(tzinfo=timezone.get_current_timezone())
        return standing_of(min(lines, key=lambda line: line.valid_until or earliest), timezone.now())

    @admin.display(description=_("second person"))
    def to_confirm(self, entry: DirectoryEntry) -> SafeString | str:
        """The way to the page on which somebody else confirms."""
        if entry.pk is None:
            return gettext("Once it is saved, somebody else confirms it.")
        where = reverse("admin:terminals_directoryentry_confirm", args=(entry.pk,))
        return format_html('<a href="{}">{}</a>', where, gettext("Look it up and confirm it"))

    def save_model(self, request: HttpRequest, obj: DirectoryEntry, form: Any, change: bool) -> None:
        """A change is entered anew by whoever made it, and on record."""
        if change and not form.changed_data:
            return
        obj.enter(int(request.user.pk or 0))
        super().save_model(request, obj, form, change)
        entries.note(obj, obj.entered_by_id, fields=sorted(form.changed_data), new=not change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The same for each of its lines; what did not change keeps its confirmation."""
        by = int(request.user.pk or 0)
        lines = formset.save(commit=False)
        for line in formset.deleted_objects:
            entries.note(line, by, removed=True)
            line.delete()
        for line in lines:
            new = line.pk is None
            line.enter(by)
            line.save()
            entries.note(line, by, new=new)

    # ── the second person ───────────────────────────────────────────────────────────────────────────────────

    def get_urls(self) -> list[URLPattern]:
        """The page on which somebody else confirms, below the entry's own address."""
        view = self.admin_site.admin_view(self.confirm)
        page = path("<int:pk>/confirm/", view, name="terminals_directoryentry_confirm")
        return [page, *super().get_urls()]

    def confirm(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Every line as it stands; POST confirms those that this person has not entered."""
        if not request.user.has_perm(MAY_CONFIRM):
            raise PermissionDenied
        entry = get_object_or_404(DirectoryEntry, pk=pk)
        if request.method == "POST" and self._confirmed(request, entry):
            return HttpResponseRedirect(change_address(entry))
        by, now = int(request.user.pk or 0), timezone.now()
        shown = [
            {"line": line, "standing": standing_of(line, now), "own": line.entered_by_id == by}
            for line in entries.lines_of(entry)
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Look it up and confirm it"),
            "entry": entry,
            "lines": shown,
            "seen": entries.as_seen(entry),
            "may": any(not line["own"] for line in shown),
        }
        return TemplateResponse(request, "admin/terminals/directoryentry/confirm.html", context)

    def _confirmed(self, request: HttpRequest, entry: DirectoryEntry) -> bool:
        form = SeenForm(request.POST)
        if not form.is_valid():
            messages.error(request, gettext("Say that you have looked every line up."))
            return False
        try:
            done = entries.confirm(entry, int(request.user.pk or 0), form.cleaned_data["seen"])
        except entries.Changed:
            messages.error(request, gettext("It was changed in the meantime. Look once more."))
        except entries.NothingToConfirm:
            messages.error(
                request, gettext("You entered all of this yourself: somebody else has to confirm it.")
            )
        else:
            text = ngettext("%(n)d line confirmed.", "%(n)d lines confirmed.", done)
            messages.success(request, text % {"n": done})
            return True
        return False


class SeenForm(PlainForm):
    """What was seen, and that it was looked up."""

    seen = forms.CharField(max_length=64)
    looked_up = forms.BooleanField()
