"""What service a case is owed: how soon by priority, on which days, and who is told when it runs late."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from recovery.models.tickets import Ticket

MOST_MINUTES = 60 * 24 * 60
WEEK_MINUTES = 7 * 24 * 60


class ServiceLevel(models.Model):
    """How soon cases of one priority are answered and solved; time stands still outside the desk's hours."""

    priority = models.PositiveSmallIntegerField(_("priority"), choices=Ticket.Priority.choices, unique=True)
    answer_minutes = models.PositiveIntegerField(
        _("minutes to the first answer"),
        validators=[MinValueValidator(1), MaxValueValidator(MOST_MINUTES)],
    )
    solve_minutes = models.PositiveIntegerField(
        _("minutes to the solution"),
        validators=[MinValueValidator(1), MaxValueValidator(MOST_MINUTES)],
    )
    around_the_clock = models.BooleanField(
        _("around the clock"),
        default=False,
        help_text=_("Nights and holidays count; who is on duty hears of such a case at once."),
    )

    class Meta:
        verbose_name = _("service level")
        verbose_name_plural = _("service levels")
        ordering = ["priority"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(solve_minutes__gte=models.F("answer_minutes")),
                name="solved_after_it_is_answered",
                violation_error_message=_("A case is answered before it is solved."),
            )
        ]

    def __str__(self) -> str:
        return str(self.get_priority_display())


class CalendarDay(models.Model):
    """A day that is not as the calendar of public holidays says, or that it does not know yet."""

    day = models.DateField(_("day"), unique=True)
    works = models.BooleanField(_("the desk works"), default=False)
    source = models.CharField(_("who says so"), max_length=120)

    class Meta:
        verbose_name = _("day of the calendar")
        verbose_name_plural = _("days of the calendar")
        ordering = ["-day"]

    def __str__(self) -> str:
        return self.day.isoformat()


class Duty(models.Model):
    """Who answers the phone from when to when while the desk is closed."""

    user = models.ForeignKey(
        "portal.User", on_delete=models.CASCADE, related_name="duties", verbose_name=_("agent")
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"), db_index=True)

    class Meta:
        verbose_name = _("duty")
        verbose_name_plural = _("duties")
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")),
                name="duty_ends_after_it_starts",
                violation_error_message=_("It ends before it starts."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.starts_at:%Y-%m-%d %H:%M}"


class Escalation(models.Model):
    """One step of the chain: who is told how long before or after a case runs late."""

    class To(models.TextChoices):
        AGENT = "agent", _("its agent")
        DUTY = "duty", _("who is on duty")
        GROUP = "group", _("a group")

    minutes = models.SmallIntegerField(
        _("minutes after the deadline"),
        unique=True,
        validators=[MinValueValidator(-WEEK_MINUTES), MaxValueValidator(WEEK_MINUTES)],
        help_text=_("Below zero: before it. Counted as the case's own time is."),
    )
    to = models.CharField(_("told"), max_length=8, choices=To.choices)
    group = models.ForeignKey(
        "auth.Group",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("group"),
    )

    class Meta:
        verbose_name = _("step when a case runs late")
        verbose_name_plural = _("steps when a case runs late")
        ordering = ["minutes"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(to="group", group__isnull=False)
                | (~models.Q(to="group") & models.Q(group__isnull=True)),
                name="a_group_is_named_for_a_group",
                violation_error_message=_("Name the group, and only where a group is told."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.minutes:+} {self.get_to_display()}"
