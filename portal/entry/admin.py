"""How the support desk invites somebody of a shop: the code on one page, once; afterwards only its fate."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.answers import too_many
from portal.entry import invitations
from portal.kept import ReadOnly
from portal.limits import TooMany
from portal.models import Invitation, Merchant, User

MAY_INVITE = "portal.add_invitation"


class InvitesPeople(admin.ModelAdmin):  # type: ignore[type-arg]
    """The page of a merchant, from which somebody of the shop is invited."""

    change_form_template = "admin/portal/merchant/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """The page that makes an invitation, before the stock address that would swallow it."""
        view = self.admin_site.admin_view(self.invite)
        return [path("<int:pk>/invite/", view, name="portal_merchant_invite"), *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """With the link, for those who may."""
        return super().render_change_form(
            request, {**context, "may_invite": request.user.has_perm(MAY_INVITE)}, *args, **kwargs
        )

    def invite(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask first; then show the code, which is kept nowhere, as a page to print or to read out."""
        if not request.user.has_perm(MAY_INVITE):
            raise PermissionDenied
        merchant = get_object_or_404(Merchant, pk=pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Invite somebody of this shop"),
            "merchant": merchant,
            "accounts": User.objects.filter(merchant=merchant, is_active=True).count(),
            "open": Invitation.objects.filter(
                merchant=merchant, used_at=None, revoked_at=None, expires_at__gt=timezone.now()
            ).first(),
            "impossible": "" if merchant.phone and merchant.status == Merchant.Status.ACTIVE else NOT_NOW,
        }
        if request.method == "POST" and not context["impossible"]:
            try:
                code = invitations.invite(merchant, f"user:{request.user.pk}")
            except TooMany as error:
                return too_many(request, error.resets_in)
            where = settings.REKEY_ORIGIN + reverse("portal:join")
            letter = {"code": code, "where": where, "until": timezone.now() + invitations.LIFE}
            return render(request, "admin/portal/merchant/invitation.html", {**context, **letter})
        return render(request, "admin/portal/merchant/invite.html", context)


NOT_NOW = _("The shop has no registered phone, or is not active: there is nobody to invite.")


@admin.register(Invitation)
class InvitationAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Invitations and what became of them. Nobody can read a code here: there are only digests."""

    list_display = ("merchant", "state", "created_by", "created_at", "expires_at", "used_at", "account")
    list_filter = ("created_at",)
    list_select_related = ("merchant", "account")
    search_fields = ("merchant__number", "merchant__legal_name")
    fields = (
        "merchant", "state", "created_by", "created_at", "expires_at", "used_at", "revoked_at", "account",
    )  # fmt: skip
    actions = ("withdraw",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is edited; those who may invite may withdraw."""
        return obj is None and request.user.has_perm(MAY_INVITE)

    @admin.display(description=_("state"))
    def state(self, invitation: Invitation) -> str | Promise:
        """What became of it."""
        return invitation.state

    @admin.action(description=_("Withdraw"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """End those that nobody has used."""
        by = f"user:{request.user.pk}"
        ended = sum(invitations.withdraw(one, by) for one in queryset.select_related("merchant"))
        messages.info(request, _("Withdrawn: %(count)d") % {"count": ended})
