"""The key an auditor trusts, as an argument: its text, or a file outside the folder it is to judge."""

from __future__ import annotations

from pathlib import Path

from carelink.audit.checkpoint import VerifierKey
from carelink.errors import CannotJudgeError, FormatError
from carelink.stores.folder_fetcher import read_trusted_key

__all__ = ["KEY_HELP", "trusted_key"]

KEY_HELP = "the log's key as text, or a file outside the folder (@FILE does as well)"


def trusted_key(text: str, folder: Path | None = None) -> VerifierKey:
    """The key; a text with a `+` is a key, another one names a file.

    Raises:
        CannotJudgeError: no key, or its file lies inside `folder` or cannot be read.
    """
    problem = ""
    try:
        if text.startswith("@") or "+" not in text:
            return read_trusted_key(Path(text.removeprefix("@")), folder)
        return VerifierKey.parse(text)
    except FormatError as error:
        problem = error.message
    raise CannotJudgeError(f"the given key cannot be used: {problem}", hint="a key reads NAME+HASH+KEY")
