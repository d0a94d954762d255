"""Reads the opt-out grammar, bundled as TOML in `optout/`."""

from __future__ import annotations

from functools import cache
from importlib import resources

from carelink.consent.optout.grammar import Grammar, parse_grammar

__all__ = ["bundled_grammar"]


@cache
def bundled_grammar() -> Grammar:
    """The bundled grammar, ready for use; made once."""
    data = resources.files("carelink.packs").joinpath("optout", "words.toml").read_bytes()
    return parse_grammar(data)
