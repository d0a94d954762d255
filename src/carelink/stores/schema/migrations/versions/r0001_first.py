"""First schema."""

from __future__ import annotations

from alembic import op

from carelink.stores.schema.tables import METADATA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table. Later revisions are written out statement by statement; this one is the metadata itself."""
    METADATA.create_all(op.get_bind())
