from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('recovery', '0004_without_a_network'),
    ]

    operations = [
        migrations.AddField(
            model_name='recovery',
            name='known_digest',
            field=models.CharField(blank=True, default='', editable=False, max_length=64),
        ),
    ]
