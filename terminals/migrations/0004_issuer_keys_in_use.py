"""The one key that was published before there was a choice is the one in use."""

from django.db import migrations
from django.db.models import F


def fill(apps, schema_editor):
    newest = apps.get_model("terminals", "Keyset").objects.order_by("-version").first()
    if newest is not None:
        published = apps.get_model("terminals", "IssuerKey").objects.filter(first_version__isnull=True)
        published.update(
            activated_at=F("not_before"), first_version=1, last_version=newest.version, file="signing.jwk"
        )


class Migration(migrations.Migration):
    dependencies = [("terminals", "0003_issuer_keys_in_turn")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
