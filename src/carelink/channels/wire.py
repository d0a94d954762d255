"""Text to bytes without an error that holds the text."""

from __future__ import annotations

import re
from typing import Final

from carelink.errors import InvalidInputError

__all__ = ["utf8"]

_HALF: Final = re.compile(r"[\ud800-\udfff]")


def utf8(text: str) -> bytes:
    """The text in UTF-8.

    Raises:
        InvalidInputError: it holds a lone surrogate; Python's own error would carry the whole text.
    """
    if _HALF.search(text) is not None:
        raise InvalidInputError("the text holds half a character")
    return text.encode()
