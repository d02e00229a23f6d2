
import django.db.models.deletion
import django.utils.timezone
import portal.fields
import portal.models.merchants
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0012_stopping_by_number'),
        ('recovery', '0010_ticket_page'),
    ]

    operations = [
        migrations.AddField(
            model_name='ticket',
            name='locale',
            field=models.CharField(default='zh-hans', editable=False, max_length=10, verbose_name='language'),
        ),
        migrations.AddField(
            model_name='ticket',
            name='merged_into',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='merged', to='recovery.ticket'),
        ),
        migrations.CreateModel(
            name='TicketFollower',
            fields=[
                ('id', models.CharField(default=portal.models.merchants.new_public_id, editable=False, max_length=24, primary_key=True, serialize=False)),
                ('number', models.CharField(editable=False, max_length=9, verbose_name='ticket number')),
                ('phone', portal.fields.EncryptedTextField(editable=False)),
                ('locale', models.CharField(default='zh-hans', editable=False, max_length=10)),
                ('address_block', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('created_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('resolved_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('proved_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='proved')),
                ('challenge', models.OneToOneField(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.challenge')),
                ('ticket', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='followers', to='recovery.ticket')),
            ],
            options={
                'verbose_name': 'follower of a ticket',
                'verbose_name_plural': 'followers of tickets',
                'ordering': ['-created_at'],
            },
        ),
    ]
