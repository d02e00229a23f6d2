"""The levels and the chain that an installation begins with; they are rows, so that people may change them."""

from django.db import migrations

LEVELS = ((1, 30, 240, True), (2, 60, 540, False), (3, 120, 1080, False), (4, 540, 2700, False))
STEPS = ((-15, "agent"), (0, "agent"), (60, "duty"))


def fill(apps, schema_editor):
    level, step = (apps.get_model("recovery", name) for name in ("ServiceLevel", "Escalation"))
    for priority, answer, solve, always in LEVELS:
        facts = {"answer_minutes": answer, "solve_minutes": solve, "around_the_clock": always}
        level.objects.get_or_create(priority=priority, defaults=facts)
    for minutes, to in STEPS:
        step.objects.get_or_create(minutes=minutes, defaults={"to": to})


class Migration(migrations.Migration):
    dependencies = [("recovery", "0014_service_levels")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
