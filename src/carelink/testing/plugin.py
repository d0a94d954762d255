"""pytest plugin: `pytest --carelink-channel=package.module:Class` runs the channel conformance kit from any folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

__all__ = ["pytest_addoption", "pytest_load_initial_conftests"]

_SUITE = Path(__file__).parent / "channel_conformance.py"
_OPTION = "--carelink-channel"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("carelink").addoption(
        _OPTION,
        metavar="PKG:CLASS",
        default=None,
        help="channel under test: a class that takes no arguments, or a factory",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> None:
    """Add the packaged suite when the option is given and no path is."""
    del early_config, parser
    asked = any(argument == _OPTION or argument.startswith(f"{_OPTION}=") for argument in args)
    values = {args[n + 1] for n, argument in enumerate(args[:-1]) if argument == _OPTION}
    paths = [argument for argument in args if not argument.startswith("-") and argument not in values]
    if asked and not any(Path(path.partition("::")[0]).exists() for path in paths):
        args[:] = [*args, str(_SUITE), "-o", "python_files=channel_conformance.py", "-o", "testpaths="]
