"""Shared set-up: Hypothesis profiles, and where the sample data lies if it is there."""

from __future__ import annotations

import os
from pathlib import Path

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
