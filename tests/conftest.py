"""Shared set-up: Hypothesis profiles, and where the sample data lies if it is there."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci",
    max_examples=120,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("full", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

ROOT = Path(__file__).resolve().parent.parent


def _module(name: str) -> ModuleType:
    """A module that lies beside the tests and holds none."""
    spec = importlib.util.spec_from_file_location(f"carelink_tests_{name}", Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The export of a clinic in which every way a request can end has happened. To be read, not changed."""
    built = _module("clinic").build(tmp_path_factory.mktemp("clinic"))
    yield built
    built.world.link.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of sample data that lies beside the project; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the sample data folder ../shared is not here")
    return folder


@pytest.fixture(scope="session")
def fhir_sample(shared: Path) -> Path:
    """The Synthea sample in bulk NDJSON."""
    folder = shared / "data" / "fhir-r4"
    if not (folder / "Patient.ndjson.gz").is_file():
        pytest.skip("the FHIR sample ../shared/data/fhir-r4 is not here")
    return folder
