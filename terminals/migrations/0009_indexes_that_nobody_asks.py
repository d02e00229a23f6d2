"""On PostgreSQL: indexes that no statement uses are gone, and a terminal's row has space to change in place."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# Space on each page for a new version of a row: a number is given out, and no index has to be told.
FILL = 85


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
    dependencies = [("terminals", "0008_indexes_of_what_is_open")]

    operations = [migrations.RunPython(drop_what_nobody_asks, migrations.RunPython.noop)]
