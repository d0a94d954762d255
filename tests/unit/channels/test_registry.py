"""The registry: whatever is wrong with a plugin stops the start, and what is loaded is sorted, frozen and named by digest."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import pluggy
import pytest

from carelink.channels import builtin
from carelink.channels import registry as registry_module
from carelink.channels.api import hookimpl
from carelink.channels.registry import check_channel, load_registry, registry_of
from carelink.errors import ConfigurationError, PluginError
from carelink.model.moment import Instant
from carelink.ports.channel import Capabilities, Channel, ChannelInfo
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.vocabulary import AddressKind, ChannelKind

_CLOCK = FakeClock(Instant(0))


def _channel(name: str = "pigeon", **info: Any) -> Any:
    made = RecordingChannel(name, ChannelKind.SMS, AddressKind.PHONE, clock=_CLOCK)
    made.info = attrs.evolve(made.info, **info)
    return made


class Plugin:
    """Offers what it was given."""

    def __init__(self, *offered: Any) -> None:
        self.offered = offered

    @hookimpl
    def carelink_channels(self) -> Iterable[Channel]:
        return self.offered


@pytest.fixture(autouse=True)
def no_installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)


def _install(monkeypatch: pytest.MonkeyPatch, *points: Any) -> None:
    monkeypatch.setattr(
        registry_module.metadata, "entry_points", lambda group: list(points) if group == "carelink" else []
    )


def _point(name: str, plugin: Any, version: str = "1.2") -> Any:
    def load() -> Any:
        if isinstance(plugin, BaseException):
            raise plugin
        return plugin

    return SimpleNamespace(name=name, load=load, dist=SimpleNamespace(version=version))


def _load(*plugins: Any, settings: dict[str, Any] | None = None, **more: Any) -> Any:
    named = {f"p{number}": plugin for number, plugin in enumerate(plugins)}
    return load_registry(settings or {}, clock=_CLOCK, plugins=named, **more)


def test_channels_are_sorted_frozen_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(
        monkeypatch, _point("zeta", Plugin(_channel("b")), "3.4"), _point("alpha", Plugin(_channel("c"), _channel("a")))
    )
    loaded = load_registry({}, clock=_CLOCK)
    assert list(loaded.channels) == ["a", "b", "c"]
    assert [(plugin.name, plugin.version) for plugin in loaded.plugins] == [("alpha", "1.2"), ("zeta", "3.4")]
    assert [info.name for info in loaded.plugins[0].channels] == ["a", "c"]
    with pytest.raises(TypeError):
        loaded.channels["d"] = _channel("d")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        loaded.channels = {}
    assert len(loaded.manifest().digest) == 64


def test_the_built_in_channels_come_through_the_same_door() -> None:
    settings = {"outbox": {"folder": "out"}, "smtp": {"host": "mail.example.org", "sender": "clinic@example.org"}}
    loaded = load_registry(settings, clock=_CLOCK, plugins={"builtin": builtin})
    assert list(loaded.channels) == ["console-email", "console-sms", "outbox-email", "outbox-sms", "smtp"]
    assert [channel.info.local for channel in loaded.channels.values()] == [True, True, True, True, False]


def test_a_hook_gets_the_arguments_it_names() -> None:
    seen: list[Any] = []

    class Settings:
        @hookimpl
        def carelink_channels(self, settings: Any) -> Iterable[Channel]:
            seen.append(settings["mine"])
            return ()

    class Both:
        @hookimpl
        def carelink_channels(self, clock: Any, settings: Any) -> Iterable[Channel]:
            seen.append((clock, settings.get("other"), "mine" in settings))
            return ()

    _load(Settings(), Both(), settings={"mine": 1})
    assert sorted(seen, key=str) == [(_CLOCK, None, True), 1] or seen == [1, (_CLOCK, None, True)]


# -- what stops the start --------------------------------------------------------------------------------------------


def test_two_channels_of_one_name() -> None:
    with pytest.raises(PluginError, match="two plugins offer a channel named `pigeon`"):
        _load(Plugin(_channel()), Plugin(_channel()))
    with pytest.raises(PluginError, match="pigeon"):
        _load(Plugin(_channel(), _channel()))


def test_two_plugins_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, _point("builtin", Plugin(_channel("a"))), _point("builtin", Plugin(_channel("b"))))
    with pytest.raises(PluginError, match="two plugins are named `builtin`"):
        load_registry({}, clock=_CLOCK)
    _install(monkeypatch, _point("p0", Plugin(_channel("a"))))
    with pytest.raises(PluginError, match="two plugins are named `p0`"):
        _load(Plugin(_channel("b")))


def test_one_plugin_under_two_names() -> None:
    plugin = Plugin(_channel())
    with pytest.raises(PluginError, match="another name"):
        _load(plugin, plugin)


def test_a_hook_nobody_knows() -> None:
    class Misspelt(Plugin):
        @hookimpl
        def carelink_chanels(self) -> Iterable[Channel]:
            return ()

    with pytest.raises(PluginError, match="`carelink_chanels` is not known"):
        _load(Misspelt())


def test_a_hook_nobody_knows_under_another_functions_name() -> None:
    class Renamed(Plugin):
        @pluggy.HookimplMarker("carelink")(specname="carelink_wire_tap")
        def innocent(self) -> None:
            return None

    with pytest.raises(PluginError):
        _load(Renamed())


def test_a_plugin_that_forgot_to_mark_its_hook() -> None:
    class Unmarked:
        def carelink_channels(self) -> Iterable[Channel]:
            return [_channel()]

    with pytest.raises(PluginError, match="no hook") as caught:
        _load(Unmarked())
    assert "@hookimpl" in caught.value.hint


def test_an_argument_nobody_gives() -> None:
    class Greedy:
        @hookimpl
        def carelink_channels(self, vault: Any) -> Iterable[Channel]:
            return [vault]

    with pytest.raises(PluginError, match="does not fit"):
        _load(Greedy())


@pytest.mark.parametrize("form", ["wrapper", "hookwrapper"])
def test_a_wrapper(form: str) -> None:
    class Wrapper:
        @pluggy.HookimplMarker("carelink")(**{form: True})
        def carelink_channels(self) -> Any:
            yield

    with pytest.raises(PluginError, match="take no wrappers"):
        _load(Plugin(_channel()), Wrapper())


class _SecretError(Exception):
    message = "secret-77"


@pytest.mark.parametrize("error", [ValueError("secret-77"), _SecretError("secret-77"), RecursionError("secret-77")])
def test_a_plugin_that_raises(error: Exception) -> None:
    class Raises:
        @hookimpl
        def carelink_channels(self) -> Iterable[Channel]:
            yield _channel()
            raise error

    with pytest.raises(PluginError, match="`p0` failed") as caught:
        _load(Raises())
    assert "secret-77" not in f"{caught.value} {caught.value.__context__!r} {caught.value.__cause__!r}"


def test_a_plugin_that_says_what_is_missing_in_the_settings() -> None:
    class Says:
        @hookimpl
        def carelink_channels(self) -> Iterable[Channel]:
            raise ConfigurationError("`channels.pigeon`: `loft` is missing")

    with pytest.raises(PluginError) as caught:
        _load(Says())
    assert "`loft` is missing" in str(caught.value)


def test_a_plugin_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, _point("broken", ImportError("secret-77")))
    with pytest.raises(PluginError, match="`broken` cannot be imported") as caught:
        load_registry({}, clock=_CLOCK)
    assert caught.value.__context__ is None
    assert load_registry({}, clock=_CLOCK, block=["broken"]).channels == {}


def test_what_is_offered_is_not_iterable() -> None:
    with pytest.raises(PluginError, match="failed to offer"):
        _load(SimpleNamespace(carelink_channels=hookimpl(lambda: 7)))


def test_allow_and_block(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, _point("one", Plugin(_channel("a"))), _point("two", Plugin(_channel("b"))))
    assert list(load_registry({}, clock=_CLOCK, allow=["one"]).channels) == ["a"]
    assert list(load_registry({}, clock=_CLOCK, block=["one"]).channels) == ["b"]
    assert list(load_registry({}, clock=_CLOCK, allow=["one", "two"], block=["one"]).channels) == ["b"]
    with pytest.raises(PluginError, match="`onne` is allowed but not installed"):
        load_registry({}, clock=_CLOCK, allow=["onne"])


def test_a_table_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PluginError, match=r"\[channels.smpt\]"):
        load_registry({"smpt": {"password": "secret-77"}}, clock=_CLOCK, plugins={"builtin": builtin})
    assert (
        "outbox-sms" in load_registry({"outbox": {"folder": "x"}}, clock=_CLOCK, plugins={"builtin": builtin}).channels
    )


# -- the contract of one channel -------------------------------------------------------------------------------------


def _without(member: str) -> Any:
    made = _channel()
    return SimpleNamespace(
        **{name: getattr(made, name) for name in ("info", "capabilities", "prepare", "send") if name != member}
    )


def _claims(**flags: Any) -> Any:
    made = _channel()
    made.capabilities = Capabilities(**flags)
    return made


class _Raising:
    @property
    def info(self) -> ChannelInfo:
        raise RuntimeError("secret-77")


class _Async:
    info = ChannelInfo(name="pigeon", kind=ChannelKind.SMS, address_kind=AddressKind.PHONE, version="1")
    capabilities = Capabilities()

    def prepare(self, message: Any) -> Any:
        return message

    async def send(self, prepared: Any) -> Any:
        return prepared


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        (object(), "`info`"),
        (None, "`info`"),
        (_Raising(), "`info`"),
        (_without("info"), "`info`"),
        (_without("capabilities"), "`capabilities`"),
        (_without("prepare"), "no `prepare`"),
        (_without("send"), "no `send`"),
        (_Async(), "coroutine"),
        (_channel("Pigeon"), "name"),
        (_channel(""), "name"),
        (_channel("a" * 33), "name"),
        (_channel("sms"), "name"),
        (_channel("email"), "name"),
        (_channel("täube"), "name"),
        (_channel(name=7), "name"),
        (_channel(version=""), "version"),
        (_channel(version="1 2"), "version"),
        (_channel(version=1), "version"),
        (_channel(contract=2), "contract"),
        (_channel(contract=True), "contract"),
        (_channel(kind="sms"), "kind"),
        (_channel(address_kind="phone"), "kind"),
        (_channel(kind=ChannelKind.EMAIL), "cannot take phone"),
        (_channel(local=1), "`local`"),
        (_claims(lookup=True, health=True), "no `health`"),
        (_claims(callbacks=True), "no `parse_callback`"),
        (_claims(poll=True), "no `poll`"),
        (_claims(cancel=True), "no `cancel`"),
        (_claims(lookup=1), "`lookup`"),
        (_claims(latency=0), "`latency`"),
        (_claims(latency=-1), "`latency`"),
        (_claims(latency=True), "`latency`"),
        (_claims(latency=0.5), "`latency`"),
        (_claims(max_length=-1), "`max_length`"),
    ],
)
def test_a_channel_that_breaks_the_contract(channel: Any, says: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_channel("loft", channel)
    assert says in str(caught.value)
    assert "loft" in str(caught.value)
    assert "secret-77" not in str(caught.value)
    with pytest.raises(PluginError):
        registry_of([channel])


@pytest.mark.parametrize(
    ("kind", "addresses"),
    [
        (ChannelKind.SMS, {AddressKind.PHONE}),
        (ChannelKind.EMAIL, {AddressKind.EMAIL}),
        (ChannelKind.CHAT, {AddressKind.CHAT}),
        (ChannelKind.TASK, set(AddressKind)),
    ],
)
def test_which_addresses_fit_which_kind(kind: ChannelKind, addresses: set[AddressKind]) -> None:
    fitting = set()
    for address in AddressKind:
        try:
            check_channel("loft", _channel(kind=kind, address_kind=address))
        except PluginError:
            continue
        fitting.add(address)
    assert fitting == addresses


def test_a_good_channel_passes() -> None:
    assert check_channel("loft", _claims(latency=1, max_length=0)).name == "pigeon"
    assert check_channel("loft", _channel()).name == "pigeon"


# -- the digest ------------------------------------------------------------------------------------------------------

_SOURCE = """
from carelink.channels.api import hookimpl
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.vocabulary import AddressKind, ChannelKind

@hookimpl
def carelink_channels(clock):
    return [RecordingChannel("pigeon", ChannelKind.SMS, AddressKind.PHONE, clock=clock)]
"""


def _module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _digest(path: Path, name: str) -> str:
    try:
        return load_registry({}, clock=_CLOCK, plugins={"p": _module(path, name)}).manifest().digest
    finally:
        del sys.modules[name]


def test_any_change_of_the_code_changes_the_digest(tmp_path: Path) -> None:
    single = tmp_path / "single.py"
    single.write_text(_SOURCE)
    (tmp_path / "neighbour.py").write_text("x = 1\n")
    first = _digest(single, "carelink_test_single")
    (tmp_path / "neighbour.py").write_text("x = 2\n")
    assert _digest(single, "carelink_test_single") == first
    single.write_text(_SOURCE + "# changed\n")
    assert _digest(single, "carelink_test_single") != first


def test_a_package_is_digested_whole(tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text(_SOURCE)
    (folder / "deep" / "part.py").write_text("x = 1\n")

    def digest() -> str:
        module = _module(folder / "__init__.py", "carelink_test_pack")
        module.__package__ = "carelink_test_pack"
        try:
            return load_registry({}, clock=_CLOCK, plugins={"p": module}).manifest().digest
        finally:
            del sys.modules["carelink_test_pack"]

    first = digest()
    assert digest() == first
    (folder / "deep" / "part.py").write_text("x = 2\n")
    second = digest()
    assert second != first
    (folder / "deep" / "part.py").rename(folder / "part.py")
    assert digest() not in (first, second)


def test_closing_closes_everybody_even_after_one_that_fails() -> None:
    closed: list[str] = []

    def close(name: str) -> Any:
        def run() -> None:
            closed.append(name)
            if name == "a":
                raise RuntimeError("secret-77")

        return run

    channels = [_channel("a"), _channel("b"), _channel("c")]
    channels[0].close, channels[1].close = close("a"), close("b")
    registry_of(channels).close()
    assert closed == ["a", "b"]


# -- erasers ------------------------------------------------------------------------------------------------


def _eraser(name: Any = "search-index") -> Any:
    return SimpleNamespace(name=name, erase=lambda _order: None)


class Copies:
    """Keeps copies and sends nothing."""

    def __init__(self, *offered: Any) -> None:
        self.offered = offered

    @hookimpl
    def carelink_erasers(self, settings: Any) -> Iterable[Any]:
        assert "smtp" not in settings
        return self.offered


def test_a_plugin_may_offer_erasers_and_no_channel() -> None:
    found = load_registry({}, clock=_CLOCK, plugins={"b": Copies(_eraser("z"), _eraser("a")), "a": Plugin(_channel())})
    assert [eraser.name for eraser in found.erasers] == ["a", "z"]
    assert list(found.channels) == ["pigeon"]
    assert [plugin.name for plugin in found.plugins] == ["a", "b"]  # it is in the log like any other


@pytest.mark.parametrize(
    "offered",
    [
        (_eraser("Index"),),
        (_eraser(None),),
        (SimpleNamespace(name="x"),),
        (SimpleNamespace(name="x", erase=7),),
        (_eraser("same"), _eraser("same")),
    ],
)
def test_a_malformed_eraser_stops_the_start(offered: Any) -> None:
    with pytest.raises(PluginError):
        load_registry({}, clock=_CLOCK, plugins={"p": Copies(*offered)})


def test_an_eraser_that_is_a_coroutine_stops_the_start() -> None:
    async def erase(_order: Any) -> None:
        raise AssertionError

    with pytest.raises(PluginError, match="plain function"):
        load_registry({}, clock=_CLOCK, plugins={"p": Copies(SimpleNamespace(name="x", erase=erase))})


def test_a_wrapped_eraser_hook_stops_the_start() -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def carelink_erasers(self) -> Any:
            return (yield)

    with pytest.raises(PluginError, match="wrappers"):
        load_registry({}, clock=_CLOCK, plugins={"p": Wrapper(), "q": Copies()})


def test_a_plugin_may_offer_authorisers() -> None:
    class Iam:
        @hookimpl
        def carelink_authorisers(self) -> Iterable[Any]:
            return (SimpleNamespace(name="iam", allows=lambda _question: True),)

    assert [each.name for each in _load(Iam()).authorisers] == ["iam"]


def test_a_malformed_authoriser_stops_the_start() -> None:
    class Iam:
        @hookimpl
        def carelink_authorisers(self) -> Iterable[Any]:
            return (SimpleNamespace(name="iam"),)

    with pytest.raises(PluginError, match="allows"):
        _load(Iam())
