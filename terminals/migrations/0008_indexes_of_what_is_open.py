"""Indexes of commands hold what is open and nothing else; those that nobody asks are gone.

Writing a command down, signing it and noting that it was pushed each touched eighteen indexes. With ten million
finished commands most of them were pages that nobody else had read for long.
"""

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# Space on each page for a new version of a row: a number is given out, and no index has to be told.
FILL = 85


def take_the_time(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Reading all commands takes longer than a request may; until the end of this transaction it is let."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET LOCAL statement_timeout = 0")


def drop_what_nobody_asks(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Django makes a second index of each text for LIKE 'beginning%', and we look texts up whole.

    Others may come back when one of the fields is altered; they do no harm but cost time.
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(indexname) FROM pg_indexes"
            " WHERE schemaname = ANY (current_schemas(false)) AND tablename LIKE %s AND indexname LIKE %s",
            [r"terminals\_%", r"%\_like"],
        )
        found = [name for (name,) in cursor.fetchall()]
    for name in found:
        schema_editor.execute(f"DROP INDEX {name}")
    schema_editor.execute(f"ALTER TABLE terminals_terminal SET (fillfactor = {FILL})")


class Migration(migrations.Migration):

    dependencies = [
        ('terminals', '0007_terminals_out_of_service_are_found'),
    ]

    operations = [
        migrations.RunPython(take_the_time, migrations.RunPython.noop),
        migrations.RemoveIndex(
            model_name='command',
            name='command_inbox',
        ),
        migrations.RemoveIndex(
            model_name='command',
            name='command_outbox',
        ),
        migrations.AlterField(
            model_name='command',
            name='expires_at',
            field=models.DateTimeField(editable=False, verbose_name='expires'),
        ),
        migrations.AlterField(
            model_name='command',
            name='finished_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='finished'),
        ),
        migrations.AlterField(
            model_name='command',
            name='recovery_ref',
            field=models.CharField(blank=True, default='', max_length=24),
        ),
        migrations.AlterField(
            model_name='command',
            name='state',
            field=models.CharField(choices=[('pending_approval', 'waiting for approval'), ('queued', 'waiting for the terminal'), ('fetched', 'fetched by the terminal'), ('cancelling', 'being withdrawn'), ('applied', 'applied'), ('rejected', 'refused by the terminal'), ('cancelled', 'withdrawn'), ('superseded', 'replaced by a newer one'), ('expired', 'expired')], default='queued', editable=False, max_length=16, verbose_name='state'),
        ),
        migrations.AlterField(
            model_name='command',
            name='superseded_by',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='terminals.command'),
        ),
        migrations.AlterField(
            model_name='command',
            name='terminal',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='commands', to='terminals.terminal', verbose_name='terminal'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['terminal', 'seq'], name='command_open'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('finished_at__isnull', True), ('applied_at__isnull', True)), fields=['expires_at'], name='command_due'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('finished_at__isnull', True), ('pushed_at__isnull', True)), fields=['created_at'], name='command_unpushed'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('finished_at__isnull', True), ('pushed_at__isnull', False)), fields=['created_at'], name='command_pushed'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('retry_at__isnull', False)), fields=['retry_at'], name='command_deferred'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['finished_at'], name='command_finished'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('superseded_by__isnull', False)), fields=['superseded_by'], name='command_superseded'),
        ),
        migrations.RunPython(drop_what_nobody_asks, migrations.RunPython.noop),
    ]
