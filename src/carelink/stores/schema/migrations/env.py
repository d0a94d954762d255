"""Alembic calls this. The connection is the caller's, so that the schema changes in the caller's transaction."""

from __future__ import annotations

from alembic import context

from carelink.stores.schema import VERSION_TABLE
from carelink.stores.schema.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
