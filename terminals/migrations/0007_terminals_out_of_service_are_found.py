from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("terminals", "0006_pending_facts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="terminal",
            name="state",
            field=models.CharField(
                choices=[
                    ("new", "not paired yet"),
                    ("unconfirmed", "pairing"),
                    ("active", "active"),
                    ("quarantined", "stopped"),
                    ("revoked", "revoked"),
                ],
                db_index=True,
                default="new",
                max_length=12,
                verbose_name="state",
            ),
        ),
        migrations.AlterField(
            model_name="terminal",
            name="stopped_at",
            field=models.DateTimeField(
                blank=True, db_index=True, editable=False, null=True, verbose_name="stopped"
            ),
        ),
        migrations.AlterField(
            model_name="terminal",
            name="revoked_at",
            field=models.DateTimeField(
                blank=True, db_index=True, editable=False, null=True, verbose_name="revoked"
            ),
        ),
    ]
