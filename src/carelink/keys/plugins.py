"""Finds key providers: entry points of the group `carelink.key_providers`, carelink's own like anyone's.

An entry point is a class or function `(options, entropy) -> KeyProvider`; its name is the provider's. Unlike channels,
providers are not all loaded at start-up: only the code of those that the settings name gets near keys.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata
from typing import Any, Final

from carelink.errors import CarelinkError, PluginError
from carelink.keys.forms import FOLDER, NAME
from carelink.keys.provider import KeyProvider
from carelink.vault.derive import Entropy

__all__ = ["GROUP", "load_provider", "needed_module"]

GROUP: Final = "carelink.key_providers"

_METHODS: Final = ("wrap", "unwrap", "versions", "version_of", "rotate", "destroy")


def load_provider(name: str, options: Mapping[str, Any], entropy: Entropy, *, block: Sequence[str] = ()) -> KeyProvider:
    """Open the provider of this name.

    Args:
        name: of the entry point.
        options: its table `[keys.NAME]`; secrets in it are wrapped.
        entropy: random bytes, for nonces and names.
        block: names of entry points that must not load (`plugins.block`).

    Raises:
        PluginError: there is no such provider, there are two, it is blocked, cannot be imported, or does not keep the
            contract.
        SettingsError: an option is missing or malformed.
        KeyProviderError: it cannot be reached.
    """
    hint, made = "", None
    factory = _factory(name, block)
    try:
        made = factory(options, entropy)
    except CarelinkError:
        raise
    except Exception as error:  # noqa: BLE001  its text may hold a secret
        hint = type(error).__name__
    if made is None:
        raise PluginError(f"the key provider `{name}` cannot be opened", hint=hint)
    return check_provider(name, made)


def check_provider(name: str, provider: Any) -> KeyProvider:
    """The provider, if it has what the contract asks for.

    Raises:
        PluginError: it has not.
    """
    for method in _METHODS:
        member = getattr(provider, method, None)
        if not callable(member) or inspect.iscoroutinefunction(member):
            raise PluginError(
                f"the key provider `{name}` has no method `{method}`, or a coroutine",
                hint="see docs/reference/key-provider.md",
            )
    found: KeyProvider = provider
    return found


def needed_module(name: str, extra: str) -> Any:
    """An imported module of an optional dependency.

    Raises:
        PluginError: it is not installed; the extra that brings it is named.
    """
    module = None
    try:
        module = import_module(name)
    except ImportError:
        module = None
    if module is None:
        raise PluginError(f"`{name}` is not installed", hint=f"pip install 'carelink[{extra}]'")
    return module


def _factory(name: str, block: Sequence[str]) -> Callable[[Mapping[str, Any], Entropy], Any]:
    if NAME.fullmatch(name) is None or name == FOLDER:
        raise PluginError(f"`{name[:32]}` is not the name of a key provider's plugin")
    if name in block:
        raise PluginError(f"the key provider `{name}` is blocked", hint="see `plugins.block`")
    points = list(metadata.entry_points(group=GROUP, name=name))
    if not points:
        raise PluginError(f"no key provider is named `{name}`", hint="install the package that brings it")
    if len({point.value for point in points}) > 1:
        # Whoever came second could stand in for the first, and get the keys.
        raise PluginError(f"two key providers are named `{name}`", hint="uninstall one")
    loaded: Any = None
    failed = False
    try:
        loaded = points[0].load()
    except Exception:  # noqa: BLE001  whatever a plugin raises on import stops start-up
        failed = True
    if failed or not callable(loaded):
        raise PluginError(f"the key provider `{name}` cannot be imported", hint="reinstall it")
    factory: Callable[[Mapping[str, Any], Entropy], Any] = loaded
    return factory
