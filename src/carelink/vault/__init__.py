"""Sealed fields, keys in use, blind indexes, canonical forms. Pure cryptography: no I/O but an entropy callable."""
