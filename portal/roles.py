"""The roles of those who work here. What each may do is said in `rights.py` of every app, and kept by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.apps import AppConfig
from django.apps import apps as now
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import models
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """A group of accounts; somebody may have several. Its value is the group's name."""

    AGENT = "agent", _("agent")
    SENIOR = "senior agent", _("senior agent")
    APPROVER = "approver", _("approver")
    AUDITOR = "auditor", _("auditor")
    PARTNER = "partner", _("partner")
    EDITOR = "directory editor", _("directory editor")


# Whoever works on cases or looks after those who do.
DESK = frozenset({Role.AGENT, Role.SENIOR, Role.APPROVER, Role.AUDITOR})
# Model, in small letters → what is done with it (`view`, `change`, or the whole name of a right) → who may.
Rights = Mapping[str, Mapping[str, Collection[Role]]]


def granted(rights: Rights) -> set[tuple[Role, str]]:
    """Every role with the code name of each right that it has."""
    return {
        (role, action if "_" in action else f"{action}_{model}")
        for model, actions in rights.items()
        for action, roles in actions.items()
        for role in roles
    }


def keep(config: AppConfig, rights: Rights) -> None:
    """Have the groups hold what the table says of this app, no more and no less, after every migration."""

    def kept(*, using: str, apps: Apps = now, **_facts: Any) -> None:
        settle(config, rights, using, apps)

    post_migrate.connect(kept, sender=config, weak=False, dispatch_uid=f"roles-{config.label}")


def settle(config: AppConfig, rights: Rights, using: str, apps: Apps) -> None:
    """Make the groups that are missing, give what the table says, take what it does not say."""
    # Our apps come before the one that makes the rights of models that are new.
    create_permissions(config, verbosity=0, using=using, apps=apps)
    try:
        groups: Any = apps.get_model("auth", "Group")
        permissions: Any = apps.get_model("auth", "Permission")
    except LookupError:
        return
    through = groups.permissions.through
    groups.objects.using(using).bulk_create([groups(name=role) for role in Role], ignore_conflicts=True)
    ids = dict(groups.objects.using(using).filter(name__in=Role.values).values_list("name", "pk"))
    known = permissions.objects.using(using).filter(content_type__app_label=config.label)
    codes = dict(known.values_list("codename", "pk"))
    # A database that is only part of the way has not all of them yet.
    wanted = {(ids[role], codes[code]) for role, code in granted(rights) if code in codes}
    held = through.objects.using(using).filter(group__in=ids.values(), permission__in=codes.values())
    has = {(group, permission): pk for pk, group, permission in held.values_list("pk", "group", "permission")}
    through.objects.using(using).filter(pk__in=[has[pair] for pair in has.keys() - wanted]).delete()
    missing = [through(group_id=group, permission_id=right) for group, right in wanted - has.keys()]
    through.objects.using(using).bulk_create(missing)
