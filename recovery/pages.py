"""What all pages of the journey share: their place among the steps, and the slip so far."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from recovery.models import Recovery
from recovery.status import facts_of

page_methods = require_http_methods(["GET", "HEAD", "POST"])


def page(
    request: HttpRequest, name: str, recovery: Recovery | None, step: int = 0, **context: Any
) -> HttpResponse:
    """A page of the journey with its place among the steps and the slip so far."""
    names = ("", _("Who you are"), _("Code"), _("Terminal"), _("Operator"), _("New password"))
    context["steps"] = {"now": step, "name": names[step]} if step else None
    context["slip"] = facts_of(recovery) if recovery else []
    context["recovery"] = recovery
    return render(request, f"recovery/{name}.html", context)


def posted(request: HttpRequest) -> Any:
    """The data a form is bound to: what was posted, or nothing on a look."""
    return request.POST if request.method == "POST" else None
