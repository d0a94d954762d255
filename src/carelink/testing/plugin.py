"""pytest plugin: `pytest --carelink-channel=package.module:Class` runs the channel conformance kit from any folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

__all__ = ["pytest_addoption", "pytest_load_initial_conftests"]

_SUITE = Path(__file__).parent / "channel_conformance.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("carelink").addoption(
        "--carelink-channel",
        metavar="PKG:NAME",
        default=None,
        help="channel under test: a class or function without arguments that gives a channel or a ChannelCase",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, args: list[str]) -> None:
    """Run the packaged suite too when the option is given; alone, where no path is."""
    if getattr(early_config.known_args_namespace, "carelink_channel", None) is not None:
        args.append(str(_SUITE))
