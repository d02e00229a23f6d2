import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('recovery', '0005_known_browsers'),
    ]

    operations = [
        migrations.CreateModel(
            name='Proof',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('method', models.CharField(max_length=16, verbose_name='how')),
                ('strength', models.PositiveSmallIntegerField(default=2)),
                ('at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='at')),
                ('subject', models.CharField(blank=True, default='', max_length=64)),
                ('recovery', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='proofs', to='recovery.recovery')),
            ],
            options={
                'verbose_name': 'proof',
                'verbose_name_plural': 'proofs',
                'ordering': ['at', 'id'],
                'constraints': [models.UniqueConstraint(fields=('recovery', 'method', 'subject'), name='a_proof_counts_once')],
            },
        ),
    ]
