"""pytest plugin: `--carelink-channel=package.module:Class` and `--carelink-key-provider=package.module:name` run the
conformance kits of channels and of key providers from any folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_load_initial_conftests"]

_HERE = Path(__file__).parent
_KITS = {
    "carelink_channel": ("channel_conformance.py",),
    "carelink_key_provider": tuple(
        f"key_provider_conformance/{name}.py" for name in ("wrapping", "versions", "outages", "discretion")
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("carelink")
    group.addoption(
        "--carelink-channel",
        metavar="PKG:NAME",
        default=None,
        help="channel under test: a class or function without arguments that gives a channel or a ChannelCase",
    )
    group.addoption(
        "--carelink-key-provider",
        metavar="PKG:NAME",
        default=None,
        help="key provider under test: a class or function without arguments that gives one, or a KeyProviderCase",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Bring the fixtures of the key providers' kit."""
    if config.getoption("--carelink-key-provider") is not None:
        from carelink.testing.key_provider_conformance import fixtures  # noqa: PLC0415  only where it is asked for

        config.pluginmanager.register(fixtures, "carelink-key-provider")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, args: list[str]) -> None:
    """Run the packaged suite too when its option is given; alone, where no path is."""
    for option, files in _KITS.items():
        if getattr(early_config.known_args_namespace, option, None) is not None:
            args.extend(str(_HERE / file) for file in files)
