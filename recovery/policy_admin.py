"""The rules about proofs at the support desk: nothing is saved before it was seen whom it would strand."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from portal.audit import Tag, record
from portal.kept import Kept
from portal.secrets import keyed_digest
from recovery.gates.floors import Method
from recovery.models import GatePolicy
from recovery.policies import stranded_by
from recovery.proof_views import NAMES

MOST_NAMED = 200
SEEN = "seen"


class GatePolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """The numbers and the methods; there is no number below a floor to choose."""

    shut = forms.MultipleChoiceField(
        label=_("proofs that are not taken"),
        required=False,
        choices=[(method.value, NAMES[method][0]) for method in Method if method in NAMES],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = GatePolicy
        fields = ("merchant", "ordinary", "strict", "shut")


@admin.register(GatePolicy)
class GatePolicyAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    """One rule for all shops, and further ones for single shops; of two the stricter counts."""

    form = GatePolicyForm
    list_display = ("__str__", "ordinary", "strict", "not_taken")
    list_select_related = ("merchant",)
    autocomplete_fields = ("merchant",)

    @admin.display(description=_("proofs that are not taken"))
    def not_taken(self, policy: GatePolicy) -> str:
        """Their names."""
        return ", ".join(str(NAMES[Method(name)][0]) for name in policy.shut) or "–"

    def get_readonly_fields(self, request: HttpRequest, obj: GatePolicy | None = None) -> tuple[str, ...]:
        """Whose rule it is stays as it was made."""
        return ("merchant",) if obj is not None else ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Between the form and the row stands the page that names who would be stranded."""
        if request.method == "POST":
            shown = self._dry_run(request, object_id)
            if shown is not None:
                return shown
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _dry_run(self, request: HttpRequest, object_id: str | None) -> HttpResponse | None:
        """The page, unless these very values were seen on it already or are not fit to be saved."""
        row = self.get_object(request, object_id) if object_id else None
        allowed = self.has_change_permission(request, row) if row else self.has_add_permission(request)
        form = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
        if not allowed or not form.is_valid():
            return None
        mark = mark_of(form.instance)
        if constant_time_compare(request.POST.get(SEEN, ""), mark):
            return None
        stranded = stranded_by(form.instance)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Whom this would strand"),
            "opts": self.opts,
            "policy": form.instance,
            "stranded": stranded[:MOST_NAMED],
            "shops": len({each.merchant.pk for each in stranded}),
            "newly": len({each.merchant.pk for each in stranded if each.newly}),
            "more": max(0, len(stranded) - MOST_NAMED),
            "posted": [(name, value) for name in form.fields for value in request.POST.getlist(name)],
            "seen": mark,
            "address": request.path,
        }
        return TemplateResponse(request, "admin/recovery/gatepolicy/dry_run.html", context)

    def save_model(self, request: HttpRequest, obj: GatePolicy, form: ModelForm[Any], change: bool) -> None:
        """Save, and say so in the audit trail."""
        super().save_model(request, obj, form, change)
        facts = {"ordinary": obj.ordinary, "strict": obj.strict, "shut": obj.shut}
        record(Tag.POLICY_CHANGED, actor=f"user:{request.user.pk}", merchant=obj.merchant, **facts)


def mark_of(policy: GatePolicy) -> str:
    """What a dry run was about, so that no other values are saved on the strength of it."""
    values = [policy.merchant_id, policy.ordinary, policy.strict, sorted(policy.shut)]
    return keyed_digest("gate-policy", json.dumps(values))[:32]
