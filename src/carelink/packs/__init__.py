"""Bundled policy packs and their loader."""
