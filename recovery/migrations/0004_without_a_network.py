"""Whether the owner said from the start that the terminal has no network."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recovery", "0003_code_of_a_screen"),
    ]

    operations = [
        migrations.AddField(
            model_name="recovery",
            name="offline",
            field=models.BooleanField(default=False, editable=False),
        ),
    ]
