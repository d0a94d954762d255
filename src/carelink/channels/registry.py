"""Discovers, validates, orders and freezes channels. Whatever is wrong with a plugin stops start-up: a deployment
must not run with less, or other, than it believes.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

import attrs
import pluggy

from carelink.channels.hookspecs import ChannelSpecs
from carelink.errors import CarelinkError, PluginError
from carelink.ports.authoriser import Authoriser
from carelink.ports.channel import CONTRACT_VERSION, Capabilities, Channel, ChannelInfo, ChannelSettings
from carelink.ports.eraser import Eraser
from carelink.ports.system import Clock
from carelink.vocabulary import AddressKind, ChannelKind

__all__ = ["GROUP", "Manifest", "PluginInfo", "Registry", "load_registry", "registry_of"]

HOOKS: Final = ("carelink_channels", "carelink_erasers", "carelink_authorisers")
"""The hooks there are; a plugin has at least one of them."""

GROUP: Final = "carelink"
"""Entry-point group. Built-in channels come through it like anyone's."""

_NAME: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}", re.ASCII)
_ERASERS: Final = "see docs/how-to/erase-a-patient.md"
_AUTHORISERS: Final = "see docs/how-to/control-access.md"
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
    """The frozen set of channels, by name, of erasers and of authorisers."""

    channels: Mapping[str, Channel]
    plugins: tuple[PluginInfo, ...]
    erasers: tuple[Eraser, ...] = ()
    authorisers: tuple[Authoriser, ...] = ()

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

    info: Any = None
    capabilities: Any = None
    try:
        info, capabilities = getattr(channel, "info", None), getattr(channel, "capabilities", None)
    except Exception:  # noqa: BLE001  a property that raises is as good as none
        info = None
    if not isinstance(info, ChannelInfo) or not isinstance(capabilities, Capabilities):
        raise fail("a channel has `info` (ChannelInfo) and `capabilities` (Capabilities)")
    if defect := _defect_of_info(info) or _defect_of_capabilities(capabilities):
        raise fail(defect)
    for member in ("prepare", "send"):
        if not callable(getattr(channel, member, None)):
            raise fail(f"channel `{info.name}` has no `{member}`")
    for flag, member in _OPTIONAL.items():
        if getattr(capabilities, flag) and not callable(getattr(channel, member, None)):
            raise fail(f"channel `{info.name}` declares `{flag}` but has no `{member}`")
    for member in ("prepare", "send", *_OPTIONAL.values()):
        if inspect.iscoroutinefunction(getattr(channel, member, None)):
            raise fail(f"`{member}` of channel `{info.name}` is a coroutine; the contract is synchronous")
    return info


def _defect_of_info(info: Any) -> str:
    name, version = info.name, info.version
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or name in {kind.value for kind in ChannelKind}:
        return "a channel's name is `[a-z0-9-]{1,32}` and not the name of a kind"
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        return f"channel `{name}` has a malformed version"
    if info.contract != CONTRACT_VERSION or isinstance(info.contract, bool):
        return f"channel `{name}` is not written for contract {CONTRACT_VERSION}"
    if not isinstance(info.kind, ChannelKind) or not isinstance(info.address_kind, AddressKind):
        return f"channel `{name}` has a kind or an address kind that is none"
    if info.address_kind not in _FITTING[info.kind]:
        return f"channel `{name}` of kind {info.kind.value} cannot take {info.address_kind.value} addresses"
    return "" if isinstance(info.local, bool) else f"channel `{name}`: `local` is true or false"


def _defect_of_capabilities(capabilities: Any) -> str:
    for field in attrs.fields(Capabilities):
        value = getattr(capabilities, field.name)
        flag = isinstance(field.default, bool)
        if flag != isinstance(value, bool) or not isinstance(value, int) or value < 0:
            return f"capability `{field.name}` is {'true or false' if flag else 'a whole number, not below zero'}"
    return "" if capabilities.latency > 0 else "capability `latency` is above zero"


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("carelink")
    manager.add_hookspecs(ChannelSpecs)
    return manager


def _check_hooks(manager: pluggy.PluginManager) -> None:
    """Misspelt or unmarked hooks are silent in pluggy, and a wrapper could take another plugin's channels away."""
    found = [each for hook in HOOKS for each in getattr(manager.hook, hook).get_hookimpls()]
    implemented = {each.plugin_name for each in found}
    for name, plugin in manager.list_name_plugin():
        for attribute in dir(plugin):
            if attribute.startswith("carelink_") and attribute not in HOOKS:
                raise PluginError(f"plugin `{name}`: hook `{attribute[:40]}` is not known")
        if name not in implemented:
            raise PluginError(f"plugin `{name}` has no hook", hint="mark `carelink_channels` with @hookimpl")
    for each in found:
        if each.wrapper or each.hookwrapper:
            raise PluginError(f"plugin `{each.plugin_name}`: carelink's hooks take no wrappers")
    failed = False
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        failed = True
    if failed:
        raise PluginError("a plugin implements a hook that no specification knows")


def _register(manager: pluggy.PluginManager, name: str, plugin: Any) -> None:
    failed = False
    try:
        manager.register(plugin, name=name)
    except (pluggy.PluginValidationError, ValueError):
        failed = True
    if failed:
        raise PluginError(
            f"plugin `{name}` does not fit the hook, or is there under another name",
            hint="a hook takes `settings`, `clock`, both or none",
        )


def _sources(plugin: object) -> Iterator[tuple[str, Path]]:
    """The Python files a plugin is made of: its module, or every file of the package its module stands in."""
    module: Any = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    path = getattr(module, "__file__", None)
    if path is None:
        return
    file = Path(path)
    if not getattr(module, "__package__", ""):
        yield file.name, file
        return
    for source in sorted(file.parent.rglob("*.py")):
        yield source.relative_to(file.parent).as_posix(), source


def _digest_of(plugin: object) -> str:
    """Digest of a plugin's code; of its name where it has no file."""
    state = hashlib.sha256()
    for name, source in _sources(plugin):
        data = source.read_bytes() if source.is_file() else b""
        state.update(f"{len(name)} {name} {len(data)}\n".encode() + data)
    state.update(str(getattr(plugin, "__name__", type(plugin).__qualname__)).encode())
    return state.hexdigest()


def _checked(helpers: Sequence[Any], member: str, hint: str) -> tuple[Any, ...]:
    """Erasers or authorisers that keep their contract, by name."""
    names = [getattr(each, "name", None) for each in helpers]
    for each, name in zip(helpers, names, strict=True):
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise PluginError("the name of an eraser or authoriser is `[a-z0-9-]{1,32}`", hint=hint)
        function = getattr(each, member, None)
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise PluginError(f"`{name}` has no plain function `{member}`", hint=hint)
    if len(set(names)) < len(names):
        raise PluginError("two erasers or authorisers have one name", hint="block one in settings")
    return tuple(sorted(helpers, key=lambda each: str(each.name)))


def _freeze(
    found: Sequence[tuple[str, str, str, Sequence[Channel]]],
    erasers: Sequence[Any] = (),
    authorisers: Sequence[Any] = (),
) -> Registry:
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
    return Registry(
        MappingProxyType(dict(sorted(channels.items()))),
        tuple(plugins),
        _checked(erasers, "erase", _ERASERS),
        _checked(authorisers, "allows", _AUTHORISERS),
    )


def registry_of(
    channels: Iterable[Channel],
    name: str = "inline",
    *,
    erasers: Sequence[Eraser] = (),
    authorisers: Sequence[Authoriser] = (),
) -> Registry:
    """A registry of channels, erasers and authorisers made by hand, as tests do. They are checked like anyone's.

    Raises:
        PluginError: one does not keep the contract.
    """
    return _freeze([(name, "1", hashlib.sha256(name.encode()).hexdigest(), tuple(channels))], erasers, authorisers)


class _Tables(Mapping[str, Any]):
    """The settings tables, remembering which were asked for: a misspelt one would silently do nothing."""

    def __init__(self, tables: ChannelSettings) -> None:
        self._tables = tables
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return f"Tables({sorted(self._tables)})"


def _discover(
    allow: Sequence[str], block: Sequence[str], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Plugins by name, and the versions of those that are installed."""
    chosen: dict[str, Any] = dict(given)
    versions: dict[str, str] = {}
    points = list(metadata.entry_points(group=GROUP))
    if missing := sorted(set(allow) - {point.name for point in points} - set(given)):
        raise PluginError(f"plugin `{missing[0][:40]}` is allowed but not installed", hint="see `plugins.allow`")
    for point in points:
        if point.name in block or (allow and point.name not in allow):
            continue
        if point.name in chosen:
            # Whoever came second could stand in for the first, built-in channels included.
            raise PluginError(f"two plugins are named `{point.name}`", hint="uninstall one")
        failed = False
        try:
            chosen[point.name] = point.load()
        except Exception:  # noqa: BLE001  whatever a plugin raises on import stops start-up
            failed = True
        if failed:
            raise PluginError(f"plugin `{point.name}` cannot be imported", hint="reinstall it, or block it in settings")
        versions[point.name] = point.dist.version if point.dist is not None else "0"
    return chosen, versions


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
        PluginError: a plugin cannot be imported, raises, names an unknown hook, wraps one, has none, or offers a
            channel that does not keep the contract or whose name is taken; an allowed one is not installed; a table
            is one that no plugin reads.
    """
    manager = _manager()
    chosen, versions = _discover(allow, block, plugins or {})
    for name, plugin in sorted(chosen.items()):
        _register(manager, name, plugin)
    _check_hooks(manager)
    tables = _Tables(settings)
    arguments: dict[str, Any] = {"settings": tables, "clock": clock}
    channels = {each.plugin_name: _offered(each, arguments) for each in manager.hook.carelink_channels.get_hookimpls()}
    erasers, authorisers = (
        [item for each in hook.get_hookimpls() for item in _offered(each, arguments)]
        for hook in (manager.hook.carelink_erasers, manager.hook.carelink_authorisers)
    )
    found = [
        (name, versions.get(name, "0"), _digest_of(plugin), channels.get(name, ()))
        for name, plugin in manager.list_name_plugin()
    ]
    if unread := sorted(set(settings) - tables.read - {"outbox"}):
        raise PluginError(f"no plugin knows the table `[channels.{unread[0][:40]}]`", hint="is its name misspelt?")
    return _freeze(found, erasers, authorisers)


def _offered(implementation: Any, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a hook of one plugin hands over."""
    offered: tuple[Any, ...] | None = None
    hint = ""
    try:
        offered = tuple(implementation.function(**{key: arguments[key] for key in implementation.argnames}))
    except PluginError:
        raise
    except Exception as error:  # noqa: BLE001  its text may hold a secret, ours does not
        hint = error.message if isinstance(error, CarelinkError) else type(error).__name__
    if offered is None:
        raise PluginError(f"plugin `{implementation.plugin_name}` failed to offer what it has", hint=hint)
    return offered
