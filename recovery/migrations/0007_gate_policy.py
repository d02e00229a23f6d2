import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0005_recovery_codes_and_clocks'),
        ('recovery', '0006_proofs'),
    ]

    operations = [
        migrations.CreateModel(
            name='GatePolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ordinary', models.PositiveSmallIntegerField(choices=[(1, 'one'), (2, 'two')], default=1, verbose_name='proofs for an ordinary operator')),
                ('strict', models.PositiveSmallIntegerField(choices=[(2, 'two'), (3, 'three')], default=2, verbose_name='proofs for the supervisor, and whatever needs two')),
                ('shut', models.JSONField(blank=True, default=list, verbose_name='proofs that are not taken')),
                ('merchant', models.OneToOneField(blank=True, help_text='Empty: for all shops.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='gate_policy', to='portal.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'rule about proofs',
                'verbose_name_plural': 'rules about proofs',
                'constraints': [models.UniqueConstraint(django.db.models.functions.comparison.Coalesce('merchant', 0), name='one_rule_for_all_shops')],
            },
        ),
    ]
