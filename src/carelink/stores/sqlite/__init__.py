"""The SQLite store: one file, no service to install."""
