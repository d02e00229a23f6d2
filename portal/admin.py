"""What the support desk sees of merchants, people and texts. No field holds a secret; phones are masked."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal import carrier_views, changes
from portal.audit import Tag, record
from portal.devices import SMSDevice, TOTPDevice
from portal.entry.admin import InvitesPeople
from portal.forms import PhoneField
from portal.kept import Kept, ReadOnly
from portal.messaging.gateways import words_for
from portal.messaging.outbox import phone_subject
from portal.models import AuditEvent, Merchant, Message, Passkey, Store, User, phone_digest
from portal.people import admin as people_admin
from portal.roles import Role


class NewPhoneForm(forms.ModelForm):  # type: ignore[type-arg]
    """A phone can be replaced here but not read: the field starts empty, and empty means no change."""

    new_phone = PhoneField(
        label=_("New phone"), required=False, help_text=_("Leave empty to keep the old one.")
    )

    def save(self, commit: bool = True) -> Any:
        """Put the new phone, if there is one, into the row."""
        if phone := self.cleaned_data["new_phone"]:
            self.instance.phone = phone
        return super().save(commit)


def phone_in(text: str) -> str:
    """The E.164 number somebody typed into a search box, or empty."""
    try:
        return str(PhoneField(required=False).clean(text))
    except forms.ValidationError:
        return ""


class MaskedPhone:
    """A column for a phone with its middle hidden."""

    @admin.display(description=_("phone"))
    def shown_phone(self, row: Merchant | User | Message) -> str:
        """`138****2046`."""
        return row.masked_phone


def note_change(request: HttpRequest, tag: Tag, row: Model, form: forms.BaseForm, **facts: Any) -> None:
    """Put on record who changed which fields of which row; values stay out of it."""
    merchant = row if isinstance(row, Merchant) else getattr(row, "merchant", None)
    subject = f"{row._meta.model_name}:{row.pk}"
    record(
        tag, actor=f"user:{request.user.pk}", merchant=merchant, subject=subject,
        fields=sorted(form.changed_data), **facts,
    )  # fmt: skip


class StoreInline(Kept, admin.TabularInline):  # type: ignore[type-arg]
    """The merchant's shop floors."""

    model = Store
    extra = 0


@admin.register(Merchant)
class MerchantAdmin(MaskedPhone, Kept, InvitesPeople):
    """Merchants, found by number, name or the exact phone."""

    form = NewPhoneForm
    list_display = ("number", "legal_name", "status", "shown_phone", "created_at")
    list_filter = ("status",)
    search_fields = ("number", "legal_name")
    search_help_text = _("Merchant number, name, or the whole phone number")
    fields = ("number", "legal_name", "status", "shown_phone", "phone_trouble", "new_phone", "created_at")
    readonly_fields = ("shown_phone", "phone_trouble", "created_at")
    inlines = (StoreInline,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Merchant], search_term: str
    ) -> tuple[QuerySet[Merchant], bool]:
        """A whole phone number finds its merchant through the blind index."""
        if phone := phone_in(search_term):
            return queryset.filter(Q(phone_digest=phone_digest(phone)) | Q(number=search_term)), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("texts to this phone"))
    def phone_trouble(self, merchant: Merchant) -> str | Promise:
        """Whether the provider says that the phone cannot be reached."""
        about = AuditEvent.objects.filter(
            tag=Tag.PHONE_UNREACHABLE, subject=phone_subject(merchant.phone)
        ).first()
        return words_for(about.facts.get("error", "")) if about else "–"

    def save_model(self, request: HttpRequest, obj: Merchant, form: Any, change: bool) -> None:
        """Save, and say on record what was changed."""
        old = Merchant.objects.get(pk=obj.pk).phone if change else ""
        changed_phone = bool(form.cleaned_data["new_phone"])
        super().save_model(request, obj, form, change)
        if changed_phone and old not in ("", obj.phone):
            changes.made_at_desk(obj, old, f"user:{request.user.pk}")
        tag = Tag.MERCHANT_PHONE_CHANGED if changed_phone else Tag.MERCHANT_CHANGED
        note_change(request, tag, obj, form, new=not change)


def may_reach(request: HttpRequest, person: object) -> bool:
    """Whether this member of staff may touch the account: an owner's or their own, no other."""
    if getattr(request.user, "is_superuser", False) or not isinstance(person, User):
        return True
    return person.pk == request.user.pk or not (person.is_staff or person.acquirer_code)


@admin.register(User)
class UserAdmin(MaskedPhone, Kept, StockUserAdmin):  # type: ignore[type-arg]
    """People who sign in. The hash of a password is shown to nobody; only superusers hand out rights."""

    form = NewPhoneForm
    list_display = ("username", "merchant", "is_staff", "is_active", "shown_phone", "last_login")
    list_filter = ("is_staff", "is_active")
    list_select_related = ("merchant",)
    search_fields = ("username", "merchant__number", "merchant__legal_name")
    autocomplete_fields = ("merchant",)
    rights = ("is_staff", "is_superuser", "groups", "acquirer_code")
    fieldsets = (
        (None, {"fields": ("username", "merchant", "is_active")}),
        (_("Phone"), {"fields": ("shown_phone", "new_phone")}),
        (_("Rights"), {"fields": rights}),
        (_("Times"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("shown_phone", "last_login", "date_joined")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Roles by their names in the reader's language."""
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        if db_field.name == "groups":
            field.label, field.label_from_instance = _("Roles"), lambda group: Role(group.name).label
            field.queryset = field.queryset.filter(name__in=Role.values)
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Rights are for superusers to give."""
        mine = getattr(request.user, "is_superuser", False)
        return self.readonly_fields if mine else (*self.readonly_fields, *self.rights)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody reaches beside or above themselves: the accounts of staff are a superuser's business."""
        return may_reach(request, obj) and super().has_change_permission(request, obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Passwords are set by superusers only, and on record."""
        if not getattr(request.user, "is_superuser", False):
            raise PermissionDenied
        if request.method == "POST":
            record(Tag.PASSWORD_SET, actor=f"user:{request.user.pk}", subject=f"user:{id}")
        return super().user_change_password(request, id, form_url)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save, and say on record what was changed."""
        super().save_model(request, obj, form, change)
        note_change(request, Tag.ACCOUNT_CHANGED, obj, form, new=not change)


class DeviceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Second factors. A lost one can be taken away; none can be looked into."""

    list_display = ("user", "name", "confirmed")
    search_fields = ("user__username",)
    fields = ("user", "name", "confirmed")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing of one is edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those of staff are taken away by superusers only."""
        return may_reach(request, getattr(obj, "user", None)) and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Add it, on record; for staff only superusers do. Raises PermissionDenied."""
        if not may_reach(request, obj.user):
            raise PermissionDenied
        record(Tag.SECOND_FACTOR_ADDED, actor=f"user:{request.user.pk}", subject=f"user:{obj.user_id}")
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Take it away, on record. Raises PermissionDenied."""
        if not may_reach(request, obj.user):
            raise PermissionDenied
        record(Tag.SECOND_FACTOR_REMOVED, actor=f"user:{request.user.pk}", subject=f"user:{obj.user_id}")
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """The same for several."""
        for device in queryset:
            self.delete_model(request, device)


@admin.register(SMSDevice)
class SMSDeviceAdmin(DeviceAdmin):
    """Phones for codes; where they text to is the phone of the account."""

    autocomplete_fields = ("user",)


@admin.register(TOTPDevice)
class TOTPDeviceAdmin(DeviceAdmin):
    """Authenticator apps. They are enrolled with `manage.py enrollstaff`, for the seed is shown once."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Not here."""
        return False


@admin.register(Passkey)
class PasskeyAdmin(DeviceAdmin):
    """Passkeys. Their owners make them; a lost one can be taken away here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Not here."""
        return False


@admin.register(Message)
class MessageAdmin(MaskedPhone, ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Texts and what became of them. What they said is kept nowhere."""

    list_display = (
        "created_at",
        "shown_phone",
        "channel",
        "template",
        "state",
        "trouble",
        "gateway",
        "tries",
    )
    list_filter = ("state", "channel", "template", "gateway", "created_at")
    fields = (
        "created_at", "accepted_at", "settled_at", "shown_phone", "channel", "template", "locale", "state",
        "trouble", "gateway", "provider_id", "tries",
    )  # fmt: skip
    search_fields = ("provider_id",)

    def get_urls(self) -> list[URLPattern]:
        """How those who carry them do, and a message to try one, beside the stock addresses."""
        pages = {"carriers": carrier_views.carriers, "try": carrier_views.try_one}
        ours = [
            path(
                f"{name}/",
                self.admin_site.admin_view(partial(view, site=self.admin_site)),
                name=f"message_{name}",
            )
            for name, view in pages.items()
        ]
        return [*ours, *super().get_urls()]

    @admin.display(description=_("what went wrong"))
    def trouble(self, message: Message) -> str | Promise:
        """The provider's code in plain words."""
        return words_for(message.error) or "–"


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What happened, newest first."""

    list_display = ("at", "tag", "actor", "merchant", "subject")
    list_filter = ("tag", "at")
    list_select_related = ("merchant",)
    search_fields = ("subject", "actor", "merchant__number")
    fields = ("at", "tag", "actor", "merchant", "subject", "facts")


# Registered by being imported.
__all__ = ["people_admin"]

admin.site.unregister(Group)
