
import django.db.models.deletion
import django.utils.timezone
import portal.fields
import portal.models.merchants
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('recovery', '0017_attestations'),
    ]

    operations = [
        migrations.CreateModel(
            name='Photo',
            fields=[
                ('id', models.CharField(default=portal.models.merchants.new_public_id, editable=False, max_length=24, primary_key=True, serialize=False)),
                ('width', models.PositiveIntegerField(editable=False)),
                ('height', models.PositiveIntegerField(editable=False)),
                ('sealed', portal.fields.EncryptedTextField(editable=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('expires_at', models.DateTimeField(db_index=True, editable=False, null=True)),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='photo', to='recovery.ticketentry')),
            ],
            options={
                'verbose_name': 'photo',
                'verbose_name_plural': 'photos',
                'ordering': ['created_at'],
            },
        ),
    ]
