from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0011_invitations'),
    ]

    operations = [
        migrations.AddField(
            model_name='addresschange',
            name='veto_digest',
            field=models.CharField(blank=True, db_index=True, default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='merchant',
            name='reminded_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
