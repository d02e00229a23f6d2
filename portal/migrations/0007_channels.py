from django.db import migrations, models

import portal.fields


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0006_passkeys'),
    ]

    operations = [
        migrations.AddField(
            model_name='challenge',
            name='email',
            field=portal.fields.EncryptedTextField(blank=True, default=''),
        ),
        migrations.AddField(
            model_name='challenge',
            name='generation',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='message',
            name='email',
            field=portal.fields.EncryptedTextField(blank=True, default='', verbose_name='e-mail'),
        ),
        migrations.AddField(
            model_name='message',
            name='generation',
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='message',
            name='accepted_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='accepted'),
        ),
        migrations.AddField(
            model_name='message',
            name='settled_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='settled'),
        ),
        migrations.AlterField(
            model_name='message',
            name='phone',
            field=portal.fields.EncryptedTextField(blank=True, default='', verbose_name='phone'),
        ),
        migrations.AlterModelOptions(
            name='message',
            options={'ordering': ['-created_at'], 'verbose_name': 'message', 'verbose_name_plural': 'messages'},
        ),
    ]
