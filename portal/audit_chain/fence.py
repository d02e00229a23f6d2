"""The fence: the database itself refuses to change or delete rows of the audit trail; it only grows.

Whoever owns the tables can take it away, on purpose. What is done to rows then, the check of the chain finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = ("portal_auditevent", "portal_auditlink", "portal_audithead")
ACTS = ("update", "delete", "truncate")
# What tests do between them.
EMPTYING = ("delete", "truncate")
SAID = "the audit trail only grows"
FUNCTION = "portal_audit_only_grows"
# SQLite empties a table by deleting its rows.
SQLITE_ACTS = ("update", "delete")


def put_up(connection: BaseDatabaseWrapper) -> None:
    """Put it up anew. Migrations that alter these tables call this: SQLite makes a table anew without it."""
    take_down(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql"
                f" AS $$ BEGIN RAISE EXCEPTION '{SAID}'; END $$"
            )
        for table, act in _parts(connection, ACTS):
            cursor.execute(_trigger(connection, table, act))


def take_down(connection: BaseDatabaseWrapper, acts: Collection[str] = ACTS) -> None:
    """Take it away, for a migration that must, or for some acts only; what does not stand is not minded."""
    with connection.cursor() as cursor:
        for table, act in _parts(connection, acts):
            where = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}{where}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The parts that do not stand, as `table_no_act`; reads only."""
    names = (
        "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(names)
        standing = {name for (name,) in cursor.fetchall()}
    wanted = [f"{table}_no_{act}" for table, act in _parts(connection, ACTS)]
    return [name for name in wanted if name not in standing]


def _parts(connection: BaseDatabaseWrapper, acts: Collection[str]) -> Iterator[tuple[str, str]]:
    known = ACTS if connection.vendor == "postgresql" else SQLITE_ACTS
    return ((table, act) for table in TABLES for act in known if act in acts)


def _trigger(connection: BaseDatabaseWrapper, table: str, act: str) -> str:
    start = f"CREATE TRIGGER {table}_no_{act} BEFORE {act.upper()} ON {table}"
    if connection.vendor != "postgresql":
        return f"{start} BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
    each = "STATEMENT" if act == "truncate" else "ROW"
    return f"{start} FOR EACH {each} EXECUTE FUNCTION {FUNCTION}()"
