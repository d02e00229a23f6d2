"""Addresses of the recovery journey. None holds an id: the browser's cookie says which recovery it is."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from recovery import (
    caller_views,
    code_views,
    conversation_views,
    objection_views,
    offline_views,
    other_views,
    owner_views,
    partner_views,
    presence_views,
    proof_views,
    status_views,
    support_views,
    views,
    what_if_views,
)
from recovery.gates.floors import Method
from recovery.happened import views as happened_views


class OperatorNumber(StringConverter):
    """Two digits: nothing else reaches a view."""

    regex = "[0-9]{2}"


class TicketNumber(StringConverter):
    """Such as R7F3-K229; whether it is a ticket, the view says."""

    regex = "[A-Z0-9]{4}-[A-Z0-9]{4}"


class MerchantNumber(StringConverter):
    """15 digits."""

    regex = "[0-9]{15}"


class UserCode(StringConverter):
    """What a QR or a person may have put there; whether it is a code, the view says."""

    regex = "[A-Za-z]{4}-?[A-Za-z]{4}"


register_converter(OperatorNumber, "operator_number")
register_converter(MerchantNumber, "merchant_number")
register_converter(TicketNumber, "ticket_number")
register_converter(UserCode, "user_code")

app_name = "recovery"
urlpatterns = [
    path("", views.identify, name="identify"),
    path("code", code_views.code, name="code"),
    path("code/delivery", code_views.delivery_fragment, name="delivery"),
    path("code/resend", code_views.resend, name="resend"),
    path("code/call", code_views.call, name="call"),
    path("start/other", other_views.other, name="other"),
    path("start/passkey", other_views.passkey, name="start_passkey"),
    path("start/passkey/options", other_views.passkey_options, name="start_passkey_options"),
    path("t", presence_views.user_code, name="user_code"),
    path("t/<user_code:code>", presence_views.phone, name="phone"),
    path("match", presence_views.match, name="match"),
    path("match/no", presence_views.not_here, name="not_here"),
    path("stopped", presence_views.stopped, name="stopped"),
    path("terminal", views.terminal, name="terminal"),
    path("operator", views.operator, name="operator"),
    path("operator/remembered", views.remembered, name="remembered"),
    path("prove/<operator_number:number>", proof_views.prove, name="prove"),
    path("prove/<operator_number:number>/terminal", proof_views.terminal, name="prove_at_terminal"),
    path("prove/<operator_number:number>/app", proof_views.app, name="prove_by_app"),
    *[
        path(
            f"prove/<operator_number:number>/{method}{more}",
            view,
            {"method": method},
            name=f"prove_by_{method}{name}",
        )
        for method in (Method.EMAIL, Method.CONTACT)
        for more, view, name in (("", proof_views.address, ""), ("/code", proof_views.address_code, "_code"))
    ],
    path("prove/<operator_number:number>/paper", proof_views.paper, name="prove_by_paper"),
    path("prove/<operator_number:number>/passkey", proof_views.passkey, name="prove_by_passkey"),
    path(
        "prove/<operator_number:number>/passkey/options",
        proof_views.passkey_options,
        name="prove_by_passkey_options",
    ),
    path("password", views.password, name="password"),
    path("password/choose", views.let_them_choose, name="let_them_choose"),
    path("offline", offline_views.offline, name="offline"),
    path("status", status_views.status, name="status"),
    path("status/fragment", status_views.status_fragment, name="status_fragment"),
    path("status/withdraw", status_views.withdraw, name="withdraw"),
    path("status/not-me", status_views.not_me, name="not_me"),
    path("status/again", status_views.again, name="again"),
    path("expired", views.expired, name="expired"),
    path("not-me", objection_views.number, name="not_me_number"),
    path("not-me/code", objection_views.code, name="not_me_code"),
    path("proofs/what-if", what_if_views.page, name="what_if"),
    path("happened", happened_views.happened, name="happened"),
    path("caller", caller_views.caller, name="caller"),
    path("support", support_views.support, name="support"),
    path("support/sent", support_views.support_sent, name="support_sent"),
    path("support/follow", conversation_views.follow, name="follow"),
    path("support/follow/code", conversation_views.follow_code, name="follow_code"),
    path("support/follow/ticket", conversation_views.follow_case, name="follow_case"),
    path("support/follow/ticket/photos/<slug:pk>", conversation_views.follow_photo, name="follow_photo"),
    path(
        "support/tickets/<ticket_number:number>/photos/<slug:pk>",
        conversation_views.case_photo,
        name="case_photo",
    ),
    path("support/tickets", conversation_views.cases, name="cases"),
    path("support/tickets/<ticket_number:number>", conversation_views.case, name="case"),
    path("partner", partner_views.home, name="partner"),
    path("partner/sign-in", partner_views.sign_in, name="partner_sign_in"),
    path("partner/code", partner_views.code, name="partner_code"),
    path("partner/code/resend", partner_views.resend, name="partner_resend"),
    path("partner/confirm", partner_views.confirm, name="partner_confirm"),
    path("partner/merchants", partner_views.merchants, name="partner_merchants"),
    path("partner/merchants/<merchant_number:number>", partner_views.merchant, name="partner_merchant"),
    path("partner/tickets/<ticket_number:number>", partner_views.ticket, name="partner_ticket"),
    path("partner/callers/<slug:pk>", partner_views.decide, name="partner_decide"),
    path(
        "start/<terminal_id:pk>/offline",
        owner_views.start_signed_in,
        {"offline": True},
        name="start_offline",
    ),
    path("start/<terminal_id:pk>", owner_views.start_signed_in, name="start_signed_in"),
    path(
        "start/<terminal_id:pk>/<operator_number:number>",
        owner_views.start_signed_in,
        name="start_signed_in",
    ),
]
