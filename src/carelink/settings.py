"""Settings: one TOML file in the home folder, the environment for secrets. The only reader of either.

The file is written by `carelink init` and may be edited by hand; an unknown key is an error, so that a misspelt
one is not silently ignored.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from carelink.errors import SettingsError
from carelink.model.moment import Micros, parse_duration
from carelink.vocabulary import ChannelKind

__all__ = ["FILE_NAME", "Settings", "home_from_environment", "load", "passphrase", "render_settings"]

FILE_NAME: Final = "carelink.toml"
_TOP: Final = {"carelink", "paths", "routes", "channels", "plugins"}
_MAIN: Final = {"region", "permit_ttl", "publish_lag", "packs"}
_PATHS: Final = {"store", "keys", "log", "outbox"}
_PLUGINS: Final = {"allow", "block"}


@attrs.frozen(kw_only=True)
class Settings:
    """What a deployment says about itself.

    Attributes:
        home: folder that relative paths start from.
        store: data store file. keys: key folder (keep it, and its backups, apart). log: published log.
        outbox: where the outbox channels write.
        region: two-letter country for phone numbers written without a prefix.
        packs: pack files adopted beside the bundled ones at `init`.
        routes: channel kind to channel name.
        channels: `[channels.<name>]` tables, passed to the channel as they are.
        plugin_allow, plugin_block: entry-point names; an empty allow-list allows all.
        permit_ttl: how long an unclaimed permit stands.
        publish_lag: how many entries may be unpublished before sending stops.
    """

    home: Path
    store: Path
    keys: Path
    log: Path
    outbox: Path
    region: str = "CN"
    packs: tuple[str, ...] = ()
    routes: Mapping[str, str] = attrs.field(factory=dict)
    channels: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)
    plugin_allow: tuple[str, ...] = ()
    plugin_block: tuple[str, ...] = ()
    permit_ttl: Micros = attrs.field(factory=lambda: parse_duration("PT1H"))
    publish_lag: int = 100_000


def home_from_environment() -> Path | None:
    """The home folder named by `CARELINK_HOME`, if any."""
    text = os.environ.get("CARELINK_HOME")
    return Path(text) if text else None


def passphrase() -> str | None:
    """The key folder's passphrase from `CARELINK_PASSPHRASE`, if any."""
    return os.environ.get("CARELINK_PASSPHRASE") or None


def _table(data: Mapping[str, Any], name: str, allowed: set[str] | None) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"`[{name}]` is not a table")
    if allowed is not None and (surplus := sorted(set(table) - allowed)):
        raise SettingsError(f"unknown setting `{surplus[0]}` in `[{name}]`", hint="see docs/reference/settings.md")
    return table


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"`{name}` is not a list of texts")
    return tuple(value)


def _with_secrets(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve `<key>_env = "NAME"` and `<key>_file = "path"` into `<key>`, so that no secret stands in the file."""
    resolved: dict[str, Any] = {}
    for key, value in table.items():
        if key.endswith("_env") and isinstance(value, str):
            if value not in os.environ:
                raise SettingsError(f"`channels.{name}.{key}` names an environment variable that is not set")
            resolved[key.removesuffix("_env")] = os.environ[value]
        elif key.endswith("_secret_file") and isinstance(value, str):
            resolved[key.removesuffix("_secret_file")] = Path(value).read_text(encoding="utf-8").strip()
        else:
            resolved[key] = value
    return resolved


def load(home: Path) -> Settings:
    """Read the settings file of a home folder.

    Raises:
        SettingsError: there is none, it is not TOML, or a setting is unknown or malformed.
    """
    path = home / FILE_NAME
    if not path.is_file():
        raise SettingsError("there is no carelink home here", hint="run `carelink init`, or name one with --home")
    problem = ""
    data: dict[str, Any] = {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = type(error).__name__
    if problem:
        raise SettingsError("the settings file is not TOML", hint=problem)
    if surplus := sorted(set(data) - _TOP):
        raise SettingsError(f"unknown table `[{surplus[0]}]`", hint="see docs/reference/settings.md")
    main, paths = _table(data, "carelink", _MAIN), _table(data, "paths", _PATHS)
    plugins, routes = _table(data, "plugins", _PLUGINS), _table(data, "routes", {kind.value for kind in ChannelKind})
    channels = _table(data, "channels", None)
    region = main.get("region", "CN")
    if not isinstance(region, str) or len(region) != 2:  # noqa: PLR2004  ISO 3166-1 alpha-2
        raise SettingsError("`carelink.region` is a two-letter country code")
    lag = main.get("publish_lag", 100_000)
    if not isinstance(lag, int) or lag < 1:
        raise SettingsError("`carelink.publish_lag` is a positive number of entries")
    return Settings(
        home=home,
        store=home / str(paths.get("store", "data/carelink.db")),
        keys=home / str(paths.get("keys", "keys")),
        log=home / str(paths.get("log", "log")),
        outbox=home / str(paths.get("outbox", "outbox")),
        region=region.upper(),
        packs=_texts(main.get("packs", []), "carelink.packs"),
        routes={str(kind): str(name) for kind, name in routes.items()},
        channels={name: _with_secrets(name, _table(channels, name, None)) for name in channels},
        plugin_allow=_texts(plugins.get("allow", []), "plugins.allow"),
        plugin_block=_texts(plugins.get("block", []), "plugins.block"),
        permit_ttl=parse_duration(str(main.get("permit_ttl", "PT1H"))),
        publish_lag=lag,
    )


def render_settings(*, region: str, keys: str, packs: tuple[str, ...]) -> str:
    """Text of a new settings file."""
    listed = ", ".join(f'"{name}"' for name in packs)
    return f"""# carelink settings; see docs/reference/settings.md
[carelink]
region = "{region}"          # for phone numbers written without a country prefix
packs = [{listed}]

[paths]
store = "data/carelink.db"
keys = "{keys}"              # keep this folder, and its backups, apart from the data
log = "log"
outbox = "outbox"

[routes]                     # channel kind = channel
email = "outbox-email"
sms = "outbox-sms"

# [channels.smtp]
# host = "mail.example.org"
# port = 587
# username = "carelink"
# password_env = "CARELINK_SMTP_PASSWORD"
# sender = "clinic@example.org"
"""
