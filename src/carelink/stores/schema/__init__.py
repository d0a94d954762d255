"""The schema: SQLAlchemy Core metadata and Alembic migrations. Imported only to create or migrate a store."""

from __future__ import annotations

from typing import Final

__all__ = ["HEAD", "REVISIONS", "VERSION_TABLE"]

REVISIONS: Final = ("0001",)
"""Revisions in order; the last is the one this version of carelink works with."""

HEAD: Final = REVISIONS[-1]

VERSION_TABLE: Final = "carelink_schema_version"
"""Where Alembic keeps the revision; apart from a host application's own."""
