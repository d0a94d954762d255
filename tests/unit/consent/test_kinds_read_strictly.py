"""Every kind refuses a parameter that it does not know: a misspelt one would narrow nothing and nobody would notice."""

from __future__ import annotations

import inspect

import pytest

from carelink.consent.rules import KINDS
from carelink.errors import PolicyError


@pytest.mark.parametrize("kind", sorted(KINDS), ids=str)
def test_an_unknown_parameter_is_named(kind):
    of = KINDS[kind]
    rest = [()] * (len(inspect.signature(of).parameters) - 2)
    with pytest.raises(PolicyError, match="surplus_word"):
        of("R.X", {"surplus_word": 1}, *rest)
