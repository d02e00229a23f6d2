"""The database refuses to change or delete rows of the audit trail."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from portal.audit_chain import fence


def put_up(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    fence.put_up(schema_editor.connection)


def take_down(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    fence.take_down(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0013_audit_chain'),
    ]

    operations = [migrations.RunPython(put_up, take_down)]
