"""What was typed or scanned from a terminal's screen, as a keyed digest."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recovery", "0002_started_at_a_terminal"),
    ]

    operations = [
        migrations.AddField(
            model_name="recovery",
            name="user_code_digest",
            field=models.CharField(blank=True, default="", editable=False, max_length=64),
        ),
    ]
