"""Scenarios: stories in TOML or YAML, played on the real path under a virtual clock, and compared."""
