"""Indexes of commands hold what is open and nothing else.

Writing a command down, signing it and noting that it was pushed each touched eighteen indexes. With ten million
finished commands most of them were pages that nobody else had read for long.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class Migration(migrations.Migration):

    dependencies = [
        ('terminals', '0007_terminals_out_of_service_are_found'),
    ]

    operations = [
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
    ]

    def apply(
        self, project_state: ProjectState, schema_editor: BaseDatabaseSchemaEditor, collect_sql: bool = False
    ) -> ProjectState:
        """Reading all commands takes longer than a request may; until this transaction ends it is let."""
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute("SET LOCAL statement_timeout = 0")
        return super().apply(project_state, schema_editor, collect_sql)
