from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("terminals", "0004_issuer_keys_in_use"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="commandtoken",
            name="token_seq_once",
        ),
        migrations.AddField(
            model_name="terminal",
            name="previous_sign_key",
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="terminal",
            name="previous_sign_kid",
            field=models.CharField(blank=True, editable=False, max_length=16, null=True),
        ),
        migrations.AddConstraint(
            model_name="command",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "factory_reset"), _negated=True),
                    models.Q(
                        ("state__in", ["queued", "fetched", "cancelling", "applied", "rejected"]),
                        _negated=True,
                    ),
                    models.Q(("approved_by", ""), _negated=True),
                    _connector="OR",
                ),
                name="command_guarded_needs_approval",
            ),
        ),
        migrations.AddConstraint(
            model_name="commandtoken",
            constraint=models.UniqueConstraint(fields=("jkt", "seq"), name="token_seq_once_per_key"),
        ),
    ]
