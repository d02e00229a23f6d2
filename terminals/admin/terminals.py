"""Terminals, their makes and the operators on them, as the support desk sees them."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.kept import Kept
from portal.templatetags.rekey import ago
from terminals import overview
from terminals.admin import condition, inspector, life
from terminals.admin.condition import FirmwareForm, OpenedFilter, OverdueFilter
from terminals.keys import issuer
from terminals.life import keyring, pairing_codes
from terminals.models import Operator, Terminal, TerminalModel

HEALTH = {
    "online": ("", _("Online")),
    "late": (" health--late", _("Slow to answer")),
    "off": (" health--off", _("Offline")),
    "never": (" health--off", _("Never connected yet")),
}


class OperatorInline(Kept, admin.TabularInline):  # type: ignore[type-arg]
    """The operators on a terminal."""

    model = Operator
    extra = 0
    fields = ("number", "name", "role", "last_signed_on_at")
    readonly_fields = ("last_signed_on_at",)


@admin.register(TerminalModel)
class TerminalModelAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    """Makes of terminal and what they ask of a password."""

    form = FirmwareForm
    list_display = ("__str__", "keypad", "ordinary_min", "ordinary_max", "supported_firmware")


@admin.register(Terminal)
class TerminalAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    """Terminals. Staff write what is printed on them; state and keys come from pairing alone."""

    list_display = ("name", "number", "serial", "merchant", "store", "state", "health")
    list_filter = ("state", OverdueFilter, OpenedFilter, "model")
    list_select_related = ("store__merchant", "status")
    search_fields = ("number__iexact", "serial__iexact", "name", "store__merchant__number")
    fields = (
        "name",
        "number",
        "serial",
        "store",
        "model",
        "power",
        "poll_interval_s",
        "state",
        "out_of_service",
        "health",
        "needs_care",
        "machine",
        "created_at",
        "activated_at",
    )
    readonly_fields = (
        "state",
        "out_of_service",
        "health",
        "needs_care",
        "machine",
        "created_at",
        "activated_at",
    )
    inlines = (OperatorInline,)
    actions = ("new_pairing_code",)

    @admin.display(description=_("merchant"), ordering="store__merchant__number")
    def merchant(self, terminal: Terminal) -> str:
        """Whose it is."""
        return str(terminal.store.merchant)

    @admin.display(description=_("out of service"))
    def out_of_service(self, terminal: Terminal) -> SafeString | str:
        """Why it was stopped, when, what follows by itself, and what stands in its place."""
        return life.story(terminal)

    def get_urls(self) -> list[URLPattern]:
        """With the pages on which something is decided about a terminal."""
        return [*life.urls(), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A terminal, with what can be decided about it on top."""
        terminal = Terminal.objects.filter(pk=unquote(object_id)).first()
        more: dict[str, Any] = {}
        if terminal is not None:
            more = {"queue": inspector.address(terminal.pk)}
            if self.has_change_permission(request, terminal):
                more["decisions"] = life.links(terminal)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store it, and have the poll look again: how often it calls may have changed."""
        super().save_model(request, obj, form, change)
        transaction.on_commit(partial(keyring.forget_bearers, obj.pk))

    @admin.display(description=_("connection"), ordering="status__last_seen_at")
    def health(self, terminal: Terminal) -> SafeString:
        """How it is doing, in words and with when it was last seen."""
        found = overview.health_of(terminal, timezone.now())
        css, words = HEALTH[found.kind]
        seen = ago(found.last_seen_at)
        return format_html('<span class="health{}">{}</span>', css, f"{words}, {seen}" if seen else words)

    @admin.display(description=_("needs care"))
    def needs_care(self, terminal: Terminal) -> SafeString | str:
        """What its owner is told to see to."""
        return condition.concerns(terminal)

    @admin.display(description=_("condition"))
    def machine(self, terminal: Terminal) -> SafeString | str:
        """Battery, network, firmware and the like, as far as it has said."""
        return condition.facts(terminal)

    @admin.action(description=_("New pairing code"), permissions=["change"])
    def new_pairing_code(self, request: HttpRequest, chosen: QuerySet[Terminal]) -> HttpResponse | None:
        """Make a code for one terminal and show it, this once."""
        terminal = chosen.first()
        if terminal is None or chosen.count() != 1:
            self.message_user(request, _("Choose exactly one terminal."), messages.WARNING)
            return None
        try:
            code = pairing_codes.create_pairing_code(terminal, f"user:{request.user.pk}")
        except pairing_codes.NotPairable:
            self.message_user(request, _("A stopped terminal cannot be paired."), messages.ERROR)
            return None
        except issuer.NoKeyset:
            text = _("There are no issuer keys yet: run manage.py issuerkeys init.")
            self.message_user(request, text, messages.ERROR)
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Pairing code for %(terminal)s") % {"terminal": terminal},
            "terminal": terminal,
            "code": code,
        }
        return TemplateResponse(request, "admin/terminals/pairing_code.html", context)


@admin.register(Operator)
class OperatorAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    """Operators: a number on a terminal never becomes another one."""

    list_display = ("number", "name", "role", "terminal", "last_signed_on_at")
    list_filter = ("role",)
    list_select_related = ("terminal",)
    search_fields = ("number__iexact", "name", "terminal__number__iexact", "terminal__serial__iexact")
    fields = ("terminal", "number", "name", "role", "last_signed_on_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Once there, only the name can change."""
        fixed = ("terminal", "number", "role") if obj else ()
        return (*fixed, "last_signed_on_at")
