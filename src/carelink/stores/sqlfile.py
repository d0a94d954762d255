"""Named SQL statements in a file: `-- name: touches` and the statement below it. SQL stays SQL, and greppable."""

from __future__ import annotations

from functools import cache
from importlib import resources

from carelink.errors import StoreError

__all__ = ["load_queries"]


@cache
def load_queries(package: str, name: str = "queries.sql") -> dict[str, str]:
    """The statements of a package's SQL file, by name.

    Raises:
        StoreError: a name stands twice, or text stands before the first name.
    """
    queries: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in resources.files(package).joinpath(name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name: "):
            label = line.removeprefix("-- name: ").strip()
            if label in queries:
                raise StoreError("a statement is named twice in the SQL file")
            current = queries.setdefault(label, [])
        elif current is not None and not line.startswith("--"):
            current.append(line)
        elif line.strip() and not line.startswith("--"):
            raise StoreError("the SQL file has text before its first name")
    return {label: "\n".join(lines).strip().rstrip(";") for label, lines in queries.items()}
