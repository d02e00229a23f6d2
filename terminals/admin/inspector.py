"""The stuck-queue inspector: why nothing happens on a terminal, what to send it, what to end."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from terminals import commands, inspection
from terminals.admin.forms import OrderForm, ReasonForm
from terminals.models import Command, Terminal
from terminals.protocol import is_id

MAY_LOOK, MAY_SEND, MAY_END = (f"terminals.{verb}_command" for verb in ("view", "add", "change"))
REFUSALS: Mapping[str, str | Promise] = {
    "not_active": _("It was not sent: the terminal is not paired."),
    "quarantined": _("It was not sent: a stopped terminal takes only a lock."),
    "tampered": _("It was not sent: the terminal was opened by force, and nobody has cleared that yet."),
    "unsupported": _("It was not sent: this terminal does not know the command."),
    "no_operator": _("It was not sent: there is no such operator on this terminal."),
    "too_many_open": _("It was not sent: too many commands are open. End some first."),
    "guarded": _(
        "It was not sent: a factory reset needs a backup, or a theft, and a second person’s approval."
    ),
    "arguments": _("It was not sent: the terminal would not accept it like this."),
}
PLACES: Mapping[str, tuple[str, str | Promise]] = {
    "lies": ("go", _("lies in the inbox")),
    "missing": ("stop", _("missing in the inbox")),
    "not_yet": ("wait", _("not signed yet")),
    "held": ("wait", _("not offered")),
    "unknown": ("stop", _("inbox out of reach")),
}
ANSWERS: Mapping[int, str | Promise] = {
    200: _("here is your command"),
    204: _("nothing waits"),
    304: _("nothing new"),
    401: _("not authenticated"),
    403: _("not admitted"),
    429: _("too often"),
    503: _("come back later"),
}


def address(terminal_id: str) -> str:
    """Where a terminal's queue is looked at."""
    return reverse("admin:terminals_inspector", args=(terminal_id,))


def page(request: HttpRequest, terminal_id: str) -> HttpResponse:
    """Look at one terminal's queue, send it something, end what is stuck."""
    _require(request, MAY_LOOK)
    ends = "end" in request.POST
    if request.method == "POST":
        _require(request, MAY_END if ends else MAY_SEND)
    if not is_id(terminal_id, "trm"):
        raise Http404
    terminal = get_object_or_404(Terminal.objects.select_related("store__merchant", "model"), pk=terminal_id)
    if request.method != "POST":
        return _shown(request, terminal)
    return _ended(request, terminal) if ends else _sent(request, terminal)


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _by(request: HttpRequest) -> str:
    return f"user:{request.user.pk}"


def _sent(request: HttpRequest, terminal: Terminal) -> HttpResponse:
    form = OrderForm(terminal, request.POST)
    if not form.is_valid():
        return _shown(request, terminal, order=form)
    try:
        command = commands.issue(terminal, requested_by=_by(request), **form.order())
    except commands.CannotIssue as refusal:
        messages.error(request, str(REFUSALS[refusal.reason]))
        return _shown(request, terminal, order=form)
    text = gettext("On its way: %(what)s. It is carried out when the terminal calls.")
    messages.success(request, text % {"what": command.get_kind_display()})
    return HttpResponseRedirect(address(terminal.pk))


def _ended(request: HttpRequest, terminal: Terminal) -> HttpResponse:
    form = ReasonForm(request.POST, prefix="end")
    chosen = request.POST.getlist("command")
    if not form.is_valid() or not chosen:
        if not chosen:
            messages.warning(request, _("Choose at least one command."))
        return _shown(request, terminal, ending=form, chosen=chosen)
    ended = commands.clear(terminal, chosen, by=_by(request), why=form.cleaned_data["why"])
    text = ngettext("%(n)d command ended.", "%(n)d commands ended.", ended) % {"n": ended}
    messages.success(request, text)
    return HttpResponseRedirect(address(terminal.pk))


def _shown(
    request: HttpRequest,
    terminal: Terminal,
    *,
    order: OrderForm | None = None,
    ending: ReasonForm | None = None,
    chosen: list[str] | None = None,
) -> HttpResponse:
    queue = inspection.look(terminal, timezone.now())
    why, advice = queue.advice
    context = {
        **admin.site.each_context(request),
        "opts": Command._meta,
        "title": gettext("Queue of %(terminal)s") % {"terminal": terminal},
        "queue": queue,
        "why": gettext(why),
        "advice": gettext(advice) if advice else "",
        "rows": [(entry, *PLACES[entry.place]) for entry in queue.entries],
        "answer": ANSWERS.get(queue.call.status or 0, ""),
        "order": order or OrderForm(terminal),
        "ending": ending or ReasonForm(prefix="end"),
        "chosen": chosen or [],
        "may_send": request.user.has_perm(MAY_SEND),
        "may_end": request.user.has_perm(MAY_END),
    }
    return TemplateResponse(request, "admin/terminals/inspector.html", context)
