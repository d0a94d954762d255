"""The schema: SQLAlchemy Core metadata and Alembic migrations. Imported only to create or migrate a store."""

from __future__ import annotations

from typing import Final

__all__ = ["HEAD", "VERSION_TABLE"]

HEAD: Final = "0001"
"""Revision this version of carelink works with."""

VERSION_TABLE: Final = "carelink_schema_version"
"""Where Alembic keeps the revision; apart from a host application's own."""
