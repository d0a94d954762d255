"""Alembic environment of the store, run from the library and never from a shell."""
