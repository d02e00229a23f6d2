from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("terminals", "0005_commands_guarded"),
    ]

    operations = [
        migrations.AddField(
            model_name="terminal",
            name="pending_facts",
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
        migrations.AlterField(
            model_name="terminal",
            name="enc_kid",
            field=models.CharField(blank=True, db_index=True, editable=False, max_length=16, null=True),
        ),
        migrations.AlterField(
            model_name="terminal",
            name="previous_sign_kid",
            field=models.CharField(blank=True, db_index=True, editable=False, max_length=16, null=True),
        ),
    ]
