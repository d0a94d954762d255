"""Reads the options of a key provider's table, strictly: an unknown one is misspelt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carelink.errors import SettingsError
from carelink.vault.personal import Personal

__all__ = ["Options"]


class Options:
    """The table `[keys.NAME]`."""

    def __init__(self, provider: str, table: Mapping[str, Any], known: frozenset[str]) -> None:
        """Refuse what is not known.

        Raises:
            SettingsError: an option is unknown.
        """
        self._provider, self._table = provider, table
        if surplus := sorted(set(table) - known):
            raise SettingsError(
                f"unknown setting `{surplus[0][:40]}` in `[keys.{provider}]`",
                hint="see docs/how-to/choose-a-key-provider.md",
            )

    def text(self, name: str, default: str | None = None) -> str:
        """A text; an error if it is missing and has no default.

        Raises:
            SettingsError: it is missing or no text.
        """
        value = self._table.get(name, default)
        if not isinstance(value, str) or (name in self._table and not value.strip()):
            raise SettingsError(f"`keys.{self._provider}.{name}` is missing or not a text")
        return value

    def secret(self, name: str) -> Personal[str]:
        """A secret, which is never written into the settings file.

        Raises:
            SettingsError: it is missing, or stands in the file.
        """
        value = self._table.get(name)
        if not isinstance(value, Personal):
            raise SettingsError(
                f"`keys.{self._provider}.{name}` comes from elsewhere",
                hint=f"write `{name}_env` or `{name}_secret_file`",
            )
        return value

    def maybe_secret(self, name: str) -> Personal[str] | None:
        """A secret, or None where nothing is said; errors as in `secret`."""
        return self.secret(name) if name in self._table else None

    def number(self, name: str, default: int, lowest: int, highest: int) -> int:
        """A whole number within bounds.

        Raises:
            SettingsError: it is none.
        """
        value = self._table.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise SettingsError(f"`keys.{self._provider}.{name}` is a whole number from {lowest} to {highest}")
        return value

    def seconds(self, name: str, default: float, lowest: float, highest: float) -> float:
        """A time limit.

        Raises:
            SettingsError: it is none.
        """
        value = self._table.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
            raise SettingsError(f"`keys.{self._provider}.{name}` is a number of seconds from {lowest} to {highest}")
        return float(value)
