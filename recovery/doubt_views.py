"""The page that says why a text alone is not enough at the moment, and which ways are open."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from recovery import access
from recovery.access import at
from recovery.doubts import doubt
from recovery.models import Recovery
from recovery.pages import page
from recovery.steps import CHOOSING


@require_safe
@at(*CHOOSING)
def more_proof(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Say what is needed besides the text. Nothing has moved; without a doubt it leads on."""
    found = doubt(recovery)
    if found is None:
        return redirect(access.page_of(recovery))
    return page(request, "more_proof", recovery, 4, doubt=found)
