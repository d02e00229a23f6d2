import django.db.models.deletion
import django.utils.timezone
import portal.fields
import portal.models.merchants
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0012_stopping_by_number'),
        ('recovery', '0007_gate_policy'),
    ]

    operations = [
        migrations.AddField(
            model_name='recovery',
            name='email',
            field=portal.fields.EncryptedTextField(blank=True, default='', editable=False),
        ),
        migrations.CreateModel(
            name='Objection',
            fields=[
                ('id', models.CharField(default=portal.models.merchants.new_public_id, editable=False, max_length=24, primary_key=True, serialize=False)),
                ('number', models.CharField(editable=False, max_length=9, verbose_name='number')),
                ('kind', models.CharField(choices=[('phone', 'phone'), ('email', 'e-mail')], editable=False, max_length=8)),
                ('to', portal.fields.EncryptedTextField(editable=False)),
                ('locale', models.CharField(default='zh-hans', editable=False, max_length=10)),
                ('address_block', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('created_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('resolved_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('proved_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='proved')),
                ('challenge', models.OneToOneField(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.challenge')),
                ('change', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.addresschange')),
                ('merchant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.merchant')),
                ('recovery', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='objections', to='recovery.recovery')),
            ],
            options={
                'verbose_name': 'objection',
                'verbose_name_plural': 'objections',
                'ordering': ['-created_at'],
            },
        ),
    ]
