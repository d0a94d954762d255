"""Discovers, validates, orders and freezes channels. Whatever is wrong with a plugin stops start-up: a deployment
must not run with less, or other, than it believes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import pluggy

from carelink.channels.hookspecs import ChannelSpecs
from carelink.errors import PluginError
from carelink.ports.channel import CONTRACT_VERSION, Capabilities, Channel, ChannelInfo, ChannelSettings
from carelink.ports.system import Clock
from carelink.vocabulary import AddressKind, ChannelKind

__all__ = ["GROUP", "Manifest", "PluginInfo", "Registry", "load_registry", "registry_of"]

GROUP: Final = "carelink"
"""Entry-point group. Built-in channels come through it like anyone's."""

_NAME: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}", re.ASCII)
_OPTIONAL: Final = {
    "lookup": "lookup",
    "callbacks": "parse_callback",
    "poll": "poll",
    "cancel": "cancel",
    "health": "health",
}
_FITTING: Final = {
    ChannelKind.SMS: {AddressKind.PHONE},
    ChannelKind.EMAIL: {AddressKind.EMAIL},
    ChannelKind.CHAT: {AddressKind.CHAT},
    ChannelKind.TASK: {AddressKind.PHONE, AddressKind.EMAIL, AddressKind.CHAT},
}


@attrs.frozen(kw_only=True)
class PluginInfo:
    """A loaded plugin: where its code came from, and what it brought. `digest` is over its code."""

    name: str
    version: str
    digest: str
    channels: tuple[ChannelInfo, ...]


@attrs.frozen(kw_only=True)
class Manifest:
    """The whole plugin set, for the log."""

    digest: str
    plugins: tuple[PluginInfo, ...]


@attrs.frozen
class Registry:
    """The frozen set of channels, by name."""

    channels: Mapping[str, Channel]
    plugins: tuple[PluginInfo, ...]

    def manifest(self) -> Manifest:
        """What was loaded, and a digest of it."""
        form = [
            [plugin.name, plugin.version, plugin.digest, [[c.name, c.kind.value, c.local] for c in plugin.channels]]
            for plugin in self.plugins
        ]
        text = json.dumps(form, separators=(",", ":"))
        return Manifest(digest=hashlib.sha256(text.encode()).hexdigest(), plugins=self.plugins)

    def close(self) -> None:
        """Let every channel that has something to release do so. One that fails does not keep the others."""
        for channel in self.channels.values():
            release = getattr(channel, "close", None)
            if callable(release):
                with contextlib.suppress(Exception):
                    release()


def check_channel(plugin: str, channel: object) -> ChannelInfo:
    """The info of a channel that keeps the contract.

    Raises:
        PluginError: it does not; the plugin and the defect are named.
    """

    def fail(what: str) -> PluginError:
        return PluginError(f"plugin `{plugin}`: {what}", hint="see docs/reference/channel.md")

    info, capabilities = getattr(channel, "info", None), getattr(channel, "capabilities", None)
    if not isinstance(info, ChannelInfo) or not isinstance(capabilities, Capabilities):
        raise fail("a channel has `info` (ChannelInfo) and `capabilities` (Capabilities)")
    if _NAME.fullmatch(info.name) is None or info.name in {kind.value for kind in ChannelKind}:
        raise fail("a channel's name is `[a-z0-9-]{1,32}` and not the name of a kind")
    if _VERSION.fullmatch(info.version) is None:
        raise fail(f"channel `{info.name}` has a malformed version")
    if info.contract != CONTRACT_VERSION:
        raise fail(f"channel `{info.name}` is written for contract {info.contract}, this is {CONTRACT_VERSION}")
    if info.address_kind not in _FITTING[info.kind]:
        raise fail(f"channel `{info.name}` of kind {info.kind.value} cannot take {info.address_kind.value} addresses")
    for member in ("prepare", "send"):
        if not callable(getattr(channel, member, None)):
            raise fail(f"channel `{info.name}` has no `{member}`")
    for flag, member in _OPTIONAL.items():
        if getattr(capabilities, flag) and not callable(getattr(channel, member, None)):
            raise fail(f"channel `{info.name}` declares `{flag}` but has no `{member}`")
    return info


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("carelink")
    manager.add_hookspecs(ChannelSpecs)
    return manager


def _check_hooks(manager: pluggy.PluginManager) -> None:
    """Misspelt hooks are silent in pluggy until asked for, and a wrapper could take another plugin's channels away."""
    for name, plugin in manager.list_name_plugin():
        for attribute in dir(plugin):
            if attribute.startswith("carelink_") and attribute != "carelink_channels":
                raise PluginError(f"plugin `{name}`: hook `{attribute[:40]}` is not known")
    for implementation in manager.hook.carelink_channels.get_hookimpls():
        if implementation.wrapper or implementation.hookwrapper:
            raise PluginError(f"plugin `{implementation.plugin_name}`: carelink's hooks take no wrappers")
    failed = ""
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        failed = "a hook that no specification knows"
    if failed:
        raise PluginError(f"a plugin implements {failed}")


def _digest_of(plugin: object) -> str:
    """Digest of the plugin's code: its module's file, or its package's Python files."""
    path = getattr(plugin, "__file__", None)
    if path is None:
        return hashlib.sha256(repr(getattr(plugin, "__name__", type(plugin).__qualname__)).encode()).hexdigest()
    file = Path(path)
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    state = hashlib.sha256()
    for source in files:
        state.update(source.name.encode() + b"\x00" + source.read_bytes() + b"\x00")
    return state.hexdigest()


def _freeze(found: Sequence[tuple[str, str, str, Sequence[Channel]]]) -> Registry:
    channels: dict[str, Channel] = {}
    plugins = []
    for name, version, digest, offered in sorted(found, key=lambda item: item[0]):
        infos = []
        for channel in offered:
            info = check_channel(name, channel)
            if info.name in channels:
                raise PluginError(f"two plugins offer a channel named `{info.name}`", hint="block one in settings")
            channels[info.name] = channel
            infos.append(info)
        infos.sort(key=lambda info: info.name)
        plugins.append(PluginInfo(name=name, version=version, digest=digest, channels=tuple(infos)))
    return Registry(MappingProxyType(dict(sorted(channels.items()))), tuple(plugins))


def registry_of(channels: Iterable[Channel], name: str = "inline") -> Registry:
    """A registry of channels made by hand, as tests do. They are checked like anyone's.

    Raises:
        PluginError: one does not keep the contract.
    """
    return _freeze([(name, "1", hashlib.sha256(name.encode()).hexdigest(), tuple(channels))])


def load_registry(
    settings: ChannelSettings,
    *,
    clock: Clock,
    allow: Sequence[str] = (),
    block: Sequence[str] = (),
    plugins: Mapping[str, Any] | None = None,
) -> Registry:
    """Load every plugin of the entry-point group, and those given, and freeze their channels.

    Args:
        settings: `[channels.<name>]` tables.
        allow: names of entry points that may load; empty allows all.
        block: names that may not.
        plugins: further plugin modules by name, loaded through the same checks.

    Raises:
        PluginError: a plugin cannot be imported, raises, names an unknown hook, wraps one, or offers a channel that
            does not keep the contract or whose name is taken.
    """
    manager, versions = _manager(), {}
    chosen: dict[str, Any] = dict(plugins or {})
    for point in metadata.entry_points(group=GROUP):
        if point.name in block or (allow and point.name not in allow):
            continue
        failed = False
        try:
            chosen[point.name] = point.load()
        except Exception:  # noqa: BLE001  whatever a plugin raises on import stops start-up
            failed = True
        if failed:
            raise PluginError(f"plugin `{point.name}` cannot be imported", hint="reinstall it, or block it in settings")
        versions[point.name] = point.dist.version if point.dist is not None else "0"
    for name, plugin in sorted(chosen.items()):
        manager.register(plugin, name=name)
    _check_hooks(manager)
    found = []
    for implementation in manager.hook.carelink_channels.get_hookimpls():
        name = implementation.plugin_name
        arguments: dict[str, Any] = {"settings": settings, "clock": clock}
        offered: tuple[Channel, ...] | None = None
        function: Any = implementation.function
        hint = ""
        try:
            offered = tuple(function(**{key: arguments[key] for key in implementation.argnames}))
        except PluginError:
            raise
        except Exception as error:  # noqa: BLE001
            hint = getattr(error, "message", "") or type(error).__name__
        if offered is None:
            raise PluginError(f"plugin `{name}` failed to offer its channels", hint=hint)
        found.append((name, versions.get(name, "0"), _digest_of(implementation.plugin), offered))
    return _freeze(found)
