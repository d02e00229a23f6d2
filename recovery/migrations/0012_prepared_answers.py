
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('recovery', '0011_ticket_followers'),
    ]

    operations = [
        migrations.CreateModel(
            name='CannedReply',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True, verbose_name='name')),
                ('text_zh', models.TextField(max_length=2000, verbose_name='text in Chinese')),
                ('text_en', models.TextField(max_length=2000, verbose_name='text in English')),
                ('active', models.BooleanField(default=True, verbose_name='offered')),
            ],
            options={
                'verbose_name': 'prepared answer',
                'verbose_name_plural': 'prepared answers',
                'ordering': ['name'],
            },
        ),
        migrations.AddField(
            model_name='ticketentry',
            name='call',
            field=models.CharField(blank=True, choices=[('reached', 'called, and reached somebody'), ('missed', 'called, nobody answered'), ('incoming', 'was called')], default='', max_length=8, verbose_name='phone call'),
        ),
    ]
