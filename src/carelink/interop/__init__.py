"""Readers of other people's formats: bytes in, records and problems out. No store, no keys."""
