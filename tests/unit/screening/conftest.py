"""Corpora and lists for the tests of the screening."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from carelink.content.screening.compiled import WordLists
from carelink.packs.screening_lists import default_lists

CORPORA = Path(__file__).resolve().parents[2] / "corpora" / "screening"


@pytest.fixture(scope="session")
def corpus() -> ModuleType:
    sys.path.insert(0, str(CORPORA))
    module = import_module("corpus")
    sys.path.remove(str(CORPORA))
    return module


@pytest.fixture(scope="session")
def lists() -> WordLists:
    return default_lists()
