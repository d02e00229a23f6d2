"""What messages cost, and what became of them at each carrier."""

from __future__ import annotations

from django.db.models import Case, Count, Q, QuerySet, Sum, Value, When
from django.utils.translation import gettext_lazy as _

from portal.models import Channel, Message
from recovery.desk.reports.shape import Figure, Line, Measure, Period, Unit, share

Sent = Message.State
# What one recovery may cost: its codes, and what tells of its reset.
OF_A_RECOVERY = ("code", "help-code", "desk-code", "desk-reset", "choosing", "unlocking", "applied")


def _messages_of(period: Period) -> QuerySet[Message]:
    return Message.objects.filter(created_at__gte=period.since, created_at__lte=period.until)


def costs(period: Period) -> Figure:
    """What messages cost, for recoveries and for the rest."""
    purpose = Case(When(template__in=OF_A_RECOVERY, then=Value("recovery")), default=Value("other"))
    counted = (
        _messages_of(period)
        .annotate(purpose=purpose)
        .values_list("purpose", "channel")
        .annotate(messages=Count("pk", filter=Q(tries__gt=0)), money=Sum("cost_milli"))
        .order_by("-purpose", "-channel")
    )
    labels = {"recovery": _("recoveries"), "other": _("everything else")}
    return Figure(
        "costs",
        _("What messages cost"),
        _("By the price list, spent when a message is handed over. Mails cost nothing."),
        (("purpose", _("Spent on")), ("channel", _("By"))),
        (Measure("messages", _("messages")), Measure("money", _("money"), Unit.MONEY)),
        tuple(
            Line(
                (what, channel), (labels[what], Channel(channel).label), {"messages": n, "money": money or 0}
            )
            for what, channel, n, money in counted
        ),
    )


def cost_of_one(spent: Figure, *, began: float | None, restored: float | None) -> Figure:
    """What the messages of one recovery cost, from figures that are there already."""
    money = sum(line.values["money"] or 0 for line in spent.lines if line.keys[0] == "recovery")
    return Figure(
        "cost_of_one",
        _("What one recovery costs"),
        _("Its codes and notices, without everything else."),
        (("of", _("Of")),),
        (Measure("money", _("money"), Unit.MONEY),),
        (
            Line(("restored",), (_("each that was restored"),), {"money": share(money, restored)}),
            Line(("began",), (_("each that began"),), {"money": share(money, began)}),
        ),
    )


def carriers(period: Period) -> Figure:
    """What became of the messages that each gateway was handed."""
    counted = (
        _messages_of(period)
        .exclude(gateway="")
        .values("channel", "gateway")
        .annotate(
            handed=Count("pk"),
            delivered=Count("pk", filter=Q(state=Sent.DELIVERED)),
            undelivered=Count("pk", filter=Q(state__in=(Sent.UNDELIVERED, Sent.FAILED))),
            unknown=Count("pk", filter=Q(state=Sent.UNKNOWN)),
        )
        .order_by("-channel", "gateway")
    )
    return Figure(
        "carriers",
        _("Undelivered by carrier"),
        _("A carrier that never reports leaves messages neither delivered nor undelivered."),
        (("channel", _("By")), ("gateway", _("Gateway"))),
        (
            Measure("handed", _("handed over")),
            Measure("delivered", _("delivered")),
            Measure("undelivered", _("not delivered")),
            Measure("unknown", _("outcome unknown")),
            Measure("share", _("share not delivered"), Unit.SHARE),
        ),
        tuple(_carrier(**one) for one in counted),
    )


def _carrier(channel: str, gateway: str, **counts: int) -> Line:
    lost = share(counts["undelivered"], counts["handed"])
    return Line((channel, gateway), (Channel(channel).label, gateway), {**counts, "share": lost})
