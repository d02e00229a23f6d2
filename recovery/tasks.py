"""Celery doors of recovery: one opaque id in, no logic here."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from portal.celery import nudge
from recovery import endings, flow, objecting
from recovery.desk import anomalies, clocks, escalation, following, photos
from terminals import requests


@shared_task
def resolve(recovery_id: str) -> None:
    """Look at a recovery that waits for a worker: decide who it is about, or send what is owed."""
    if not flow.resolve(recovery_id):
        flow.send_owed(recovery_id)


@shared_task
def look_into(objection_id: str) -> None:
    """Look at somebody's “this wasn't me”: whom it is about, and where its code goes."""
    objecting.look_into(objection_id)


@shared_task
def look_for_ticket(follower_id: str) -> None:
    """Look for the ticket that somebody wants to read, and where its code goes."""
    following.look(follower_id)


@shared_task
def forget_photos() -> None:
    """Forget photos on tickets whose time is over."""
    photos.forget_old(timezone.now())


@shared_task
def sweep() -> None:
    """Offer again what a lost nudge left lying, end what is over, and note endings nobody noticed."""
    now = timezone.now()
    for recovery_id in flow.waiting_for_worker(now):
        nudge("recovery.tasks.resolve", recovery_id)
    for objection_id in objecting.waiting_for_worker(now):
        nudge("recovery.tasks.look_into", objection_id)
    for follower_id in following.waiting_for_worker(now):
        nudge("recovery.tasks.look_for_ticket", follower_id)
    endings.give_up_expired(now)
    requests.expire_due(now)
    for command in endings.unnoticed_endings():
        endings.close(command, settings.REKEY_HOTLINE)


@shared_task
def watch_desk() -> None:
    """Have cases opened for what an honest desk seldom does."""
    anomalies.watch(timezone.now())


@shared_task
def sweep_desk() -> None:
    """Set the clocks of cases right, and tell staff of those that are due or late."""
    clocks.sweep()
    escalation.sweep()


@shared_task
def reckon_anew(_why: str = "") -> None:
    """Move the deadlines that run, after the calendar or a service level was changed."""
    clocks.reckon_anew()
