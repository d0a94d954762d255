"""Creates and migrates schemas. Heavy imports live here, and only callers that change a schema import it."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from carelink.stores.schema import VERSION_TABLE

__all__ = ["current_revision", "upgrade"]


def upgrade(connection: Connection) -> None:
    """Bring the schema to this version's revision, within the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", "carelink.stores.schema:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def current_revision(connection: Connection) -> str:
    """The revision the schema has, "" before the first."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision() or ""
