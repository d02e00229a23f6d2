from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0009_browsers'),
    ]

    operations = [
        # Where sessions were kept before: everybody signs in once more.
        migrations.RunSQL('DROP TABLE IF EXISTS django_session', migrations.RunSQL.noop),
    ]
