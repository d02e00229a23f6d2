import django.db.models.deletion
import django.utils.timezone
import portal.models.merchants
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0010_sessions_moved'),
    ]

    operations = [
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.CharField(default=portal.models.merchants.new_public_id, editable=False, max_length=24, primary_key=True, serialize=False)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('created_by', models.CharField(editable=False, max_length=64, verbose_name='invited by')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='invited')),
                ('expires_at', models.DateTimeField(editable=False, verbose_name='good until')),
                ('used_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='taken up')),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='withdrawn')),
                ('account', models.OneToOneField(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='account')),
                ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invitations', to='portal.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'invitation',
                'verbose_name_plural': 'invitations',
                'ordering': ['-created_at'],
            },
        ),
    ]
