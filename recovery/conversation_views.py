"""A merchant reads a case and answers: by a code to the phone on it, or signed in as an owner."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal import challenges
from portal.accounts import owner_required
from portal.answers import wrong_code
from portal.forms import CodeForm
from portal.models import Merchant, User
from portal.network import address_block, client_address
from recovery.access import shielded
from recovery.desk import conversation, following, photos, words
from recovery.desk.conversation_forms import FollowForm, WordForm
from recovery.desk.photo_answers import photo_of
from recovery.models import Ticket, TicketFollower
from recovery.pages import page, page_methods, posted
from recovery.support_views import SHOWN

FOLLOWED = "followed-ticket"
OVER = _("This code can no longer be used. Please start again.")
PER_PAGE = 20


def _follower(request: HttpRequest) -> TicketFollower | None:
    rows = TicketFollower.objects.select_related("challenge", "ticket__merged_into", "ticket__merchant")
    return rows.filter(pk=request.session.get(FOLLOWED, "")).first()


@page_methods
@never_cache
@shielded("follow")
def follow(request: HttpRequest) -> HttpResponse:
    """Ask for the number of a case and its phone. The answer is the same for everybody."""
    known = request.session.get(SHOWN, {}).get("number", "")
    form = FollowForm(posted(request), initial={"number": known})
    if request.method == "POST" and form.is_valid():
        block, locale = address_block(client_address(request)), get_language() or "zh-hans"
        row = following.ask(form.cleaned_data["number"], form.cleaned_data["phone"], locale, block)
        request.session[FOLLOWED] = row.pk
        return redirect("recovery:follow_code")
    return page(request, "follow", None, form=form)


@page_methods
@never_cache
@shielded("code")
def follow_code(request: HttpRequest) -> HttpResponse:
    """Ask for the code; once it is right, the case is there to read."""
    row = _follower(request)
    if row is None:
        return redirect("recovery:follow")
    if row.proved_at is not None:
        return redirect("recovery:follow_case")
    form = CodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        outcome = following.prove(row, form.cleaned_data["code"])
        if outcome.ok:
            return redirect("recovery:follow_case")
        form.add_error("code", wrong_code(outcome.tries_left) if outcome.tries_left else OVER)
        row.challenge.refresh_from_db()
    dead = challenges.tries_left(row.challenge) == 0
    return page(request, "follow_code", None, form=form, row=row, dead=dead)


@page_methods
@never_cache
@shielded("follow")
def follow_case(request: HttpRequest) -> HttpResponse:
    """The case that a code opened to this browser."""
    row = _follower(request)
    ticket = following.ticket_of(row, timezone.now()) if row is not None else None
    if ticket is None:
        return redirect("recovery:follow")
    return _talk(request, ticket, "visitor", redirect("recovery:follow_case"))


def _owner(request: HttpRequest) -> tuple[User, Merchant]:
    owner = request.user
    assert isinstance(owner, User) and owner.merchant is not None
    return owner, owner.merchant


@require_safe
@never_cache
@owner_required
def cases(request: HttpRequest) -> HttpResponse:
    """The cases of the owner's shop."""
    _user, merchant = _owner(request)
    shown = Paginator(conversation.cases_of(merchant), PER_PAGE).get_page(request.GET.get("page"))
    return page(request, "cases", None, page_obj=shown)


@page_methods
@never_cache
@owner_required
@shielded("follow")
def case(request: HttpRequest, number: str) -> HttpResponse:
    """One of them. Others' cases are 404."""
    owner, merchant = _owner(request)
    ticket = get_object_or_404(conversation.cases_of(merchant), number=number)
    return _talk(request, ticket, f"user:{owner.pk}", redirect("recovery:case", number))


@require_safe
@never_cache
def follow_photo(request: HttpRequest, pk: str) -> HttpResponse:
    """A photo of the case that a code opened to this browser."""
    row = _follower(request)
    ticket = following.ticket_of(row, timezone.now()) if row is not None else None
    if ticket is None:
        return redirect("recovery:follow")
    return photo_of(photos.readable(conversation.read_instead(ticket)), pk)


@require_safe
@never_cache
@owner_required
def case_photo(request: HttpRequest, number: str, pk: str) -> HttpResponse:
    """A photo of one of the shop's cases. Others' are 404."""
    _user, merchant = _owner(request)
    ticket = get_object_or_404(conversation.cases_of(merchant), number=number)
    return photo_of(photos.readable(conversation.read_instead(ticket)), pk)


def _talk(request: HttpRequest, ticket: Ticket, by: str, done: HttpResponse) -> HttpResponse:
    """The conversation, and what is said there next."""
    form = WordForm(posted(request), request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            photos.said_with(ticket, form.cleaned_data["text"], by, form.cleaned_data["photo"])
        except conversation.Over:
            form.add_error(None, _("This case ended long ago. Please ask support anew."))
        except conversation.TooManyWords:
            form.add_error(None, _("That is enough for today. Support reads all of it and will call."))
        except photos.TooManyPhotos:
            form.add_error("photo", _("That is enough photos for today."))
        else:
            return done
    read = conversation.read_instead(ticket)
    return page(
        request,
        "case",
        None,
        form=form,
        ticket=read,
        number=ticket.number,
        thread=conversation.thread(read),
        may_say=conversation.may_be_said(ticket, timezone.now()),
        is_owner=by != "visitor",
        words=words.of_ticket(read.number),
    )
