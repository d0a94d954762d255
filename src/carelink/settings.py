"""Settings: one TOML file in the home folder, the environment for secrets. The only reader of either.

The file is written by `carelink init` and may be edited by hand; an unknown key is an error, so that a misspelt
one is not silently ignored.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import attrs

from carelink.errors import CarelinkError, SettingsError
from carelink.model.access import DataKind, PurposeOfUse, Role
from carelink.model.moment import DAY, Instant, Micros, from_datetime, parse_duration
from carelink.vault.personal import Personal
from carelink.vocabulary import ChannelKind

__all__ = [
    "FILE_NAME",
    "KEY_FOLDER",
    "Settings",
    "check_region",
    "home_from_environment",
    "load",
    "parse",
    "passphrase",
    "render_settings",
]

FILE_NAME: Final = "carelink.toml"
KEY_FOLDER: Final = "folder"
"""The key provider of a home that names none."""

_FIRST_YEAR: Final = 1971
_LAST_YEAR: Final = 2254
_TOP: Final = {
    "carelink",
    "paths",
    "routes",
    "channels",
    "plugins",
    "processors",
    "keys",
    "retention",
    "access",
    "controller",
}
_MAIN: Final = {"region", "permit_ttl", "publish_lag", "packs", "screening", "unsubscribe"}
_PATHS: Final = {"store", "keys", "log", "outbox"}
_CONTROLLER: Final = {"name", "address", "contact", "jurisdiction", "notice", "storage", "withdrawal", "retention"}
_ACCESS: Final = {"actor", "roles", "purpose", "opens"}
_RETENTION: Final = {"key_backups"}
_PLUGINS: Final = {"allow", "block"}
_UNSUBSCRIBE: Final = re.compile(r"https://[!-;=?-~]{1,500}", re.ASCII)
_PROVIDER: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_LONGEST_TTL: Final = 7 * DAY
"""A permit holds a slot of its patient's caps: one that nobody claims must not hold it for ever."""


@attrs.frozen(kw_only=True)
class AccessSettings:
    """Who acts where nobody is named, and what roles open beside or instead of the built-in table.

    Attributes:
        actor, roles, purpose: of whoever does not say.
        opens: kinds of data by role; a role that is not here opens what the built-in table says.
    """

    actor: str = "operator"
    roles: tuple[Role, ...] = (Role.OPERATOR,)
    purpose: PurposeOfUse = PurposeOfUse.OPERATIONS
    opens: Mapping[Role, frozenset[DataKind]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Settings:
    """What a deployment says about itself.

    Attributes:
        home: folder that relative paths start from.
        store: data store file. keys: key folder (keep it, and its backups, apart). log: published log.
        outbox: where the outbox channels write.
        region: two-letter country for phone numbers written without a prefix.
        packs: pack files adopted beside the bundled ones at `init`.
        screening: files of the hospital's own word lists, used beside the bundled ones.
        routes: channel kind to channel name.
        channels: `[channels.<name>]` tables, passed to the channel as they are.
        plugin_allow, plugin_block: entry-point names; an empty allow-list allows all.
        permit_ttl: how long an unclaimed permit stands.
        publish_lag: how many entries may be unpublished before sending stops.
        unsubscribe: one-click unsubscribe address (RFC 8058) with `{token}` in it; empty for none.
        key_provider: who wraps the epochs' keys. key_providers: `[keys.<name>]` tables of those that may unwrap them.
        processors: by channel: where its provider processes data ("" unknown), and the end of the agreement with it.
        controller: who is responsible, for answers to patients and consent records.
        access: who acts where nobody is named, and what roles open.
        key_backups: for how long a backup of the key store is kept; None where nobody said.
    """

    home: Path
    store: Path
    keys: Path
    log: Path
    outbox: Path
    region: str = "CN"
    packs: tuple[str, ...] = ()
    screening: tuple[Path, ...] = ()
    routes: Mapping[str, str] = attrs.field(factory=dict)
    channels: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)
    plugin_allow: tuple[str, ...] = ()
    plugin_block: tuple[str, ...] = ()
    permit_ttl: Micros = attrs.field(factory=lambda: parse_duration("PT1H"))
    publish_lag: int = 100_000
    unsubscribe: str = ""
    processors: Mapping[str, tuple[str, Instant | None]] = attrs.field(factory=dict)
    key_provider: str = KEY_FOLDER
    key_providers: Mapping[str, Mapping[str, Any]] = attrs.field(factory=lambda: {KEY_FOLDER: {}}, repr=False)
    key_backups: Micros | None = None
    access: AccessSettings = attrs.field(factory=AccessSettings)
    controller: Mapping[str, str] = attrs.field(factory=dict)


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


def _text(table: Mapping[str, Any], group: str, name: str, default: str) -> str:
    value = table.get(name, default)
    if not isinstance(value, str) or (name in table and not value.strip()):
        raise SettingsError(f"`{group}.{name}` is not a text")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"`{name}` is not a list of texts")
    return tuple(value)


def _with_secrets(group: str, table: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Resolve `KEY_env = "NAME"` and `KEY_secret_file = "path"` into `KEY`, so that no secret stands in the file; it is
    wrapped, so that it does not show either. Other `..._file` are paths that start from the home folder.
    """
    resolved: dict[str, Any] = {}
    for key, value in table.items():
        if key.endswith("_env") and isinstance(value, str):
            if not os.environ.get(value):
                raise SettingsError(f"`{group}.{key}` names an environment variable that is not set")
            resolved[key.removesuffix("_env")] = Personal(os.environ[value])
        elif key.endswith("_secret_file") and isinstance(value, str):
            resolved[key.removesuffix("_secret_file")] = Personal(_secret(home / value, f"{group}.{key}"))
        elif key.endswith("_file") and isinstance(value, str) and value:
            resolved[key] = str(home / value)
        else:
            resolved[key] = value
    return resolved


def _secret(path: Path, setting: str) -> str:
    """The text of a secret's file. Neither its path nor its bytes go into the error."""
    text: str | None = None
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = None
    if not text:
        raise SettingsError(f"`{setting}` names a file that cannot be read, is empty or is not UTF-8 text")
    return text


def load(home: Path) -> Settings:
    """Read the settings file of a home folder.

    Raises:
        SettingsError: there is none, it is not TOML, or a setting is unknown or malformed.
    """
    path = home / FILE_NAME
    if not path.is_file():
        raise SettingsError("there is no carelink home here", hint="run `carelink init`, or name one with --home")
    return parse(path.read_bytes(), home)


def parse(text: bytes, home: Path) -> Settings:
    """Settings from the text of a settings file.

    Raises:
        SettingsError: it is not TOML, or a setting is unknown or malformed.
    """
    problem = ""
    data: dict[str, Any] = {}
    try:
        data = tomllib.loads(text.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        # Where, but not what: the line could hold a secret that somebody put there after all.
        problem = re.sub(r"^.*(\(at .*\))$", r"\1", str(error), flags=re.DOTALL)
    except UnicodeDecodeError:
        problem = "save it as UTF-8"
    if problem:
        raise SettingsError("the settings file is not TOML", hint=problem)
    if surplus := sorted(set(data) - _TOP):
        raise SettingsError(f"unknown table `[{surplus[0]}]`", hint="see docs/reference/settings.md")
    main, paths = _table(data, "carelink", _MAIN), _table(data, "paths", _PATHS)
    plugins, routes = _table(data, "plugins", _PLUGINS), _table(data, "routes", {kind.value for kind in ChannelKind})
    channels = _table(data, "channels", None)
    provider, providers = _key_providers(_table(data, "keys", None), home)
    return Settings(
        home=home,
        store=home / _text(paths, "paths", "store", "data/carelink.db"),
        keys=home / _text(paths, "paths", "keys", "keys"),
        log=home / _text(paths, "paths", "log", "log"),
        outbox=home / _text(paths, "paths", "outbox", "outbox"),
        region=check_region(_text(main, "carelink", "region", "CN")),
        packs=_texts(main.get("packs", []), "carelink.packs"),
        screening=tuple(home / name for name in _texts(main.get("screening", []), "carelink.screening")),
        routes={kind: _text(routes, "routes", kind, "") for kind in routes},
        channels={name: _with_secrets(f"channels.{name}", _table(channels, name, None), home) for name in channels},
        plugin_allow=_texts(plugins.get("allow", []), "plugins.allow"),
        plugin_block=_texts(plugins.get("block", []), "plugins.block"),
        permit_ttl=_permit_ttl(_text(main, "carelink", "permit_ttl", "PT1H")),
        publish_lag=_lag(main.get("publish_lag", 100_000)),
        unsubscribe=_unsubscribe(_text(main, "carelink", "unsubscribe", "")),
        access=_access(data),
        controller={
            name: _text(_table(data, "controller", _CONTROLLER), "controller", name, "")
            for name in _table(data, "controller", _CONTROLLER)
        },
        key_backups=_key_backups(_text(_table(data, "retention", _RETENTION), "retention", "key_backups", "")),
        processors={name: _processor(name, data["processors"]) for name in _table(data, "processors", None)},
        key_provider=provider,
        key_providers=providers,
    )


def _key_providers(table: Mapping[str, Any], home: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Name of the chosen key provider, and the options of all that are named. The chosen one needs no table."""
    chosen = _text(table, "keys", "provider", KEY_FOLDER)
    if _PROVIDER.fullmatch(chosen) is None:
        raise SettingsError("`keys.provider` is the name of a key provider, in small letters")
    given = {name: _table(table, name, None) for name in table if name != "provider"}
    if surplus := sorted(name for name in given if _PROVIDER.fullmatch(name) is None):
        raise SettingsError(f"`[keys.{surplus[0][:32]}]` names no key provider")
    if given.get(KEY_FOLDER):
        raise SettingsError("`[keys.folder]` has no options", hint="its place is `paths.keys`")
    return chosen, {name: _with_secrets(f"keys.{name}", given.get(name, {}), home) for name in sorted({chosen, *given})}


def _processor(name: str, tables: Mapping[str, Any]) -> tuple[str, Instant | None]:
    """Region and end of the agreement of one channel's provider. A date ends at its first instant, UTC."""
    group = f"processors.{name}"
    table = _table(tables, name, {"region", "agreement_until"})
    region, until = _text(table, group, "region", ""), table.get("agreement_until")
    if isinstance(until, date) and not isinstance(until, datetime):
        until = datetime(until.year, until.month, until.day, tzinfo=UTC)
    good = isinstance(until, datetime) and until.tzinfo is not None and _FIRST_YEAR <= until.year <= _LAST_YEAR
    if until is not None and not good:
        raise SettingsError(f"`{group}.agreement_until` is not a date, or an instant with an offset, from 1971 to 2254")
    return (check_region(region, f"{group}.region") if region else ""), None if until is None else from_datetime(until)


def check_region(text: str, name: str = "carelink.region") -> str:
    """The region in capitals.

    Raises:
        SettingsError: not a two-letter country code.
    """
    if re.fullmatch(r"[A-Za-z]{2}", text, re.ASCII) is None:
        raise SettingsError(f"`{name}` is a two-letter country code", hint="for example CN")
    return text.upper()


def _permit_ttl(text: str) -> Micros:
    length = Micros(0)
    try:
        length = parse_duration(text)
    except CarelinkError:
        length = Micros(0)
    if not 0 < length <= _LONGEST_TTL:
        raise SettingsError("`carelink.permit_ttl` is a duration above zero and up to a week", hint="for example PT1H")
    return length


def _access(data: Mapping[str, Any]) -> AccessSettings:
    table, usual = _table(data, "access", _ACCESS), AccessSettings()
    opens = _table(table, "opens", {role.value for role in Role})
    roles = _texts(table.get("roles", [role.value for role in usual.roles]), "access.roles")
    found: AccessSettings | None = None
    try:
        found = AccessSettings(
            actor=_text(table, "access", "actor", usual.actor),
            roles=tuple(dict.fromkeys(map(Role, roles))),
            purpose=PurposeOfUse(_text(table, "access", "purpose", usual.purpose.value)),
            opens={
                Role(role): frozenset(map(DataKind, _texts(kinds, f"access.opens.{role}")))
                for role, kinds in opens.items()
            },
        )
    except ValueError:
        found = None
    if found is None or not found.roles or found.purpose is PurposeOfUse.EMERGENCY:
        raise SettingsError("`[access]` names a role, a purpose or a kind of data that is none",
                            hint="see docs/how-to/control-access.md")  # fmt: skip
    return found


def _key_backups(text: str) -> Micros | None:
    """For how long backups of the key store are kept: an erasure is real in them only then (crypto.md e7)."""
    if not text:
        return None
    length = Micros(0)
    try:
        length = parse_duration(text)
    except CarelinkError:
        length = Micros(0)
    if length <= 0:
        raise SettingsError("`retention.key_backups` is a duration above zero", hint="for example P30D")
    return length


def _lag(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingsError("`carelink.publish_lag` is a positive number of entries")
    return value


def _unsubscribe(text: str) -> str:
    if text and (_UNSUBSCRIBE.fullmatch(text) is None or text.count("{token}") != 1 or text.count("{") != 1):
        raise SettingsError(
            "`carelink.unsubscribe` is an https address with `{token}` in it", hint="https://care.example.org/u/{token}"
        )
    return text


def render_settings(*, region: str, keys: str, packs: tuple[str, ...]) -> str:
    """Text of a new settings file."""
    listed = ", ".join(map(_quoted, packs))
    return f"""# carelink settings; see docs/reference/settings.md
[carelink]
region = {_quoted(region)}          # for phone numbers written without a country prefix
packs = [{listed}]

[paths]
store = "data/carelink.db"
keys = {_quoted(keys)}              # keep this folder, and its backups, apart from the data
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


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
