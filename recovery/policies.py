"""The rules above the floors as rows, and whom a change of them would strand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from portal.models import Merchant
from recovery import doubts
from recovery.gates.decide import Given, Subject, authorize
from recovery.gates.floors import CHANNEL, Door, Method, Target
from recovery.gates.policy import Policy, both
from recovery.models import GatePolicy
from recovery.ways import merchants_with

# What a shop has to be able to do by itself. Maintenance takes a second person whatever it has.
BY_ITSELF = (Target.OPERATOR, Target.SUPERVISOR)


@dataclass(frozen=True, slots=True)
class Stranded:
    """A shop that could not reset this by itself, with everything it has; `newly`: until now it could."""

    merchant: Merchant
    target: Target
    newly: bool


def policy_of(merchant: Merchant) -> Policy:
    """The provider's rules and the merchant's own together."""
    rows = GatePolicy.objects.filter(Q(merchant=merchant) | Q(merchant__isnull=True))
    return both([as_policy(row) for row in rows])


def as_policy(row: GatePolicy) -> Policy:
    """A row as the gates take it."""
    return Policy(row.ordinary, row.strict, frozenset(Method(name) for name in row.shut))


def stranded_by(changed: GatePolicy) -> list[Stranded]:
    """Whom the rules would strand with this row as it stands here, saved or not; changes nothing."""
    rows = {row.merchant_id: as_policy(row) for row in GatePolicy.objects.all()}
    after = rows | {changed.merchant_id: as_policy(changed)}
    shops = Merchant.objects.filter(status=Merchant.Status.ACTIVE).order_by("number")
    if changed.merchant_id is not None:
        shops = shops.filter(pk=changed.merchant_id)
    having, found = merchants_with(), []
    for shop in shops.iterator():
        proofs = everything_of(shop, (method for method, pks in having.items() if shop.pk in pks))
        for target in BY_ITSELF:
            now, then = (_may(shop, target, proofs, policies) for policies in (rows, after))
            if not then:
                found.append(Stranded(shop, target, newly=now))
    return found


def everything_of(shop: Merchant, methods: Iterable[Method]) -> tuple[Given, ...]:
    """All the proofs that a shop could give, as much as they are worth now."""
    phone = doubts.of_phone(shop, timezone.now())
    return tuple(
        Given(method, doubts=phone if CHANNEL[method] == "phone" else frozenset()) for method in methods
    )


def _may(
    shop: Merchant, target: Target, proofs: tuple[Given, ...], policies: dict[int | None, Policy]
) -> bool:
    policy = both([policies[key] for key in (None, shop.pk) if key in policies])
    return authorize(Subject(target, Door.BROWSER, proofs, policy=policy)).allowed
