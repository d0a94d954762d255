"""Homes: a folder with settings, data store, key folder, log and outbox. Makes new ones, opens existing ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from carelink import settings as settings_files
from carelink.app import CareLink, Wiring
from carelink.audit.checkpoint import VerifierKey
from carelink.channels.memory import MemoryChannel
from carelink.channels.registry import load_registry, registry_of
from carelink.consent.policy import Policy
from carelink.engine.journal import genesis
from carelink.engine.zones import check_zone
from carelink.errors import ConflictError, KeyCheckError, SettingsError
from carelink.keys.folder import KeyFolder
from carelink.keys.memory import MemoryKeyFolder
from carelink.keys.plugins import load_provider
from carelink.keys.provider import KeyProvider
from carelink.keys.routing import Providers
from carelink.keys.signing import SigningFolder
from carelink.keys.store import KeyStore, MemoryKeyStore
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes
from carelink.ports.channel import Channel
from carelink.ports.rows import TenantRow
from carelink.ports.store import Store
from carelink.ports.system import Clock, Entropy
from carelink.settings import KEY_FOLDER, Settings
from carelink.stores.durable_files import create_file, sync_folder
from carelink.stores.logfolder import LogFolder
from carelink.stores.memory import MemoryStore
from carelink.stores.sqlite.store import SqliteStore
from carelink.system import SystemClock
from carelink.system import entropy as system_entropy
from carelink.vocabulary import ChannelKind

__all__ = ["in_memory", "init", "key_providers", "open_home", "start"]

KEY_STORE: Final = "keys.db"
DEFAULT_HOME: Final = "carelink-data"


def _wire(
    chosen: Settings, store: Store, keys: KeyStore, folder: SigningFolder, clock: Clock, entropy: Entropy
) -> Wiring:
    outbox = {"folder": str(chosen.outbox)}
    tables = {"outbox": outbox, **{name: dict(table) for name, table in chosen.channels.items()}}
    registry = load_registry(tables, allow=chosen.plugin_allow, block=chosen.plugin_block, clock=clock)
    return Wiring(
        settings=chosen,
        store=store,
        keys=keys,
        key_folder=folder,
        log=LogFolder(chosen.log),
        registry=registry,
        clock=clock,
        entropy=entropy,
    )


def start(wiring: Wiring, *, zone: str, packs: Sequence[bytes], actor: str, synthetic: bool) -> CareLink:
    """Begin a tenant in an empty store: its row, the log's first entry, the policy in force."""
    _begin(wiring, zone=zone, synthetic=synthetic)
    return _adopted(CareLink(wiring), packs, actor)


def _begin(wiring: Wiring, *, zone: str, synthetic: bool) -> None:
    tenant = wiring.keys.tenant
    origin = f"carelink.invalid/log/{wiring.entropy(8).hex()}"
    signer = wiring.key_folder.signer(origin)
    key = VerifierKey(origin, 1, signer.public_key)
    now = wiring.clock.now()
    with wiring.store.transaction() as tx:
        tx.put_tenant(TenantRow(tenant=tenant, origin=origin, zone=zone, created=now, synthetic=synthetic))
        tx.append([genesis(wiring.entropy, tenant=tenant, origin=origin, log_key=key.text, at=now)])


def _adopted(link: CareLink, packs: Sequence[bytes], actor: str) -> CareLink:
    link.adopt(packs, actor=actor)
    link.publish()
    return link


def init(
    home: Path | str,
    *,
    zone: str,
    region: str = "CN",
    keys: str = "keys",
    packs: Sequence[Path] = (),
    actor: str = "init",
    synthetic: bool = False,
    passphrase: str | None = None,
    clock: Clock | None = None,
    entropy: Entropy = system_entropy,
) -> CareLink:
    """Make a new home: settings, store, keys, log; mode sandbox. Overwrites nothing, and leaves nothing behind if it
    fails. The settings file is written last: without it there is no home.

    Args:
        home: the folder; made if it is not there.
        zone: IANA time zone of the tenant, for people whose own is not known.
        region: two-letter country of phone numbers without a prefix.
        keys: key folder; relative to the home. Best on another disk, with backups of its own.
        packs: the hospital's own policy packs, adopted beside the bundled ones.
        actor: who does this; kept as a keyed hash.
        synthetic: this home is for made-up data and can never leave sandbox mode.
        passphrase: protects the root key file.
        clock, entropy: the system's, unless a test says otherwise.

    Raises:
        ConflictError: there is a home here already, or a part of one.
        InvalidInputError: the zone is not an IANA zone, or no actor is named.
        SettingsError: the region is not a country code.
        PolicyError: a pack is malformed.
    """
    home = Path(home)
    check_zone(zone)
    text = settings_files.render_settings(
        region=settings_files.check_region(region), keys=keys, packs=tuple(path.name for path in packs)
    ).encode()
    chosen = settings_files.parse(text, home)
    data = [*(bundled_bytes(name) for name in DEFAULT_PACKS), *(path.read_bytes() for path in packs)]
    Policy.from_bytes(data)
    _check_free(chosen)
    made: list[Path] = []
    opened: list[KeyStore | SqliteStore] = []
    try:
        for place in (home, chosen.keys, chosen.store.parent, chosen.outbox):
            _make_folder(place, made)
        made += _parts(chosen)
        folder = KeyFolder.create(chosen.keys, passphrase=passphrase, entropy=entropy)
        key_store = KeyStore.create(chosen.keys / KEY_STORE, folder, entropy(16).hex(), entropy)
        opened.append(key_store)
        store = SqliteStore.create(chosen.store)
        opened.append(store)
        wiring = _wire(chosen, store, key_store, folder, clock or SystemClock(), entropy)
        link = start(wiring, zone=zone, packs=data, actor=actor, synthetic=synthetic)
        create_file(home / settings_files.FILE_NAME, text)
        sync_folder(home)
    except BaseException:
        for part in opened:
            part.close()
        _remove(made)
        raise
    return link


def _parts(chosen: Settings) -> list[Path]:
    """Everything `init` makes but folders that may have been there before; none of it exists when `init` begins."""
    store = [chosen.store.with_name(chosen.store.name + suffix) for suffix in ("", "-wal", "-shm")]
    keys = [chosen.keys / name for name in ("root.key", "signing.key", KEY_STORE, "head")]
    return [*store, *keys, chosen.log, chosen.home / settings_files.FILE_NAME]


def _check_free(chosen: Settings) -> None:
    if (chosen.home / settings_files.FILE_NAME).exists():
        raise ConflictError("there is a carelink home here already", hint="open it, or choose another folder")
    left = next((part for part in _parts(chosen) if part.exists()), None)
    if left is not None:
        raise ConflictError(
            f"`{left.name}` is here already, but no settings file",
            hint="choose another folder; or remove it, if it is what an interrupted `carelink init` left",
        )


def _make_folder(path: Path, made: list[Path]) -> None:
    """Make a folder that only its owner may enter, and note it and those above it that were made with it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700)
        made.append(folder)


def _remove(made: Sequence[Path]) -> None:
    """Undo a failed `init`: what it made, and the folders it made if nothing else is in them."""
    for path in reversed(made):
        try:
            if path.name == "log":
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        except OSError:
            continue


def open_home(
    home: Path | str | None = None,
    *,
    passphrase: str | None = None,
    clock: Clock | None = None,
    entropy: Entropy = system_entropy,
) -> CareLink:
    """Open a home: the folder given, else `CARELINK_HOME`, else `carelink-data` here.

    Raises:
        SettingsError: there is no home, or its settings are malformed.
        StoreOutdatedError: the schema is of another version.
        KeyCheckError: the key folder is not the one this store was made with, or its passphrase is wrong; or its keys
            are another provider's than the settings name.
        KeyProviderError: the key folder is missing or not private, or the key provider is out of reach.
        PluginError: a channel plugin or key provider is malformed, or not installed.
    """
    place = Path(home) if home is not None else settings_files.home_from_environment() or Path(DEFAULT_HOME)
    chosen = settings_files.load(place)
    if not chosen.store.is_file():
        raise SettingsError("the data store of this home is missing", hint="restore it from a backup")
    provider = key_providers(chosen, passphrase=passphrase or settings_files.passphrase(), entropy=entropy)
    provider.load()
    folder = SigningFolder.checked(chosen.keys)
    opened: list[KeyStore | SqliteStore] = []
    try:
        key_store = KeyStore.open(chosen.keys / KEY_STORE, provider, entropy)
        opened.append(key_store)
        store = SqliteStore.open(chosen.store)
        opened.append(store)
        _check_keys(store, key_store)
        return CareLink(_wire(chosen, store, key_store, folder, clock or SystemClock(), entropy))
    except BaseException:
        for part in opened:
            part.close()
        raise


def key_providers(
    chosen: Settings, *, passphrase: str | None, folder: Path | None = None, entropy: Entropy = system_entropy
) -> Providers:
    """The key providers that the settings name; each is opened when it is first asked.

    Args:
        folder: in the place of `paths.keys`: a copy, for a drill.
    """
    place = chosen.keys if folder is None else folder

    def opener(name: str) -> Callable[[], KeyProvider]:
        if name == KEY_FOLDER:
            return lambda: KeyFolder.open(place, passphrase=passphrase, entropy=entropy)
        return lambda: load_provider(name, chosen.key_providers[name], entropy, block=chosen.plugin_block)

    return Providers(chosen.key_provider, {name: opener(name) for name in chosen.key_providers})


def _check_keys(store: Store, keys: KeyStore) -> None:
    """Another tenant's keys open nothing here, and would hash request keys to something new: all would go twice."""
    with store.reader() as reader:
        tenant = reader.tenant().tenant
    if keys.tenant != tenant:
        raise KeyCheckError("the key folder is not the one this store was made with", hint="check `paths.keys`")


class _Fleeting(CareLink):
    """A `CareLink` whose temporary folder ends with it."""

    def __init__(self, wiring: Wiring, folder: TemporaryDirectory[str]) -> None:
        self._folder = folder
        super().__init__(wiring)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._folder.cleanup()


def in_memory(
    *,
    zone: str = "Asia/Shanghai",
    region: str = "CN",
    packs: Sequence[bytes] | None = None,
    channels: Sequence[Channel] = (),
    actor: str = "test",
    clock: Clock | None = None,
    entropy: Entropy = system_entropy,
    synthetic: bool = True,
) -> CareLink:
    """A whole `CareLink` that ends with the process, for tests and for trying things: store and keys in memory, the
    same engine, the same policy. Unless `synthetic` is false, it can never leave sandbox mode.

    The log is published into a temporary folder, removed by `close`, because tiles are files; like every published
    log it holds no personal data. Nothing else touches the disk. What was handed over is kept by the channels:
    `link.channels["memory-email"].kept`.

    Args:
        zone: IANA time zone of the tenant.
        region: two-letter country of phone numbers without a prefix.
        packs: texts of policy packs; the bundled defaults if left out.
        channels: your own; else `memory-email` and `memory-sms`. Kinds are routed to the first of each.
        actor: who adopts the policy.
        clock, entropy: the system's, unless a test says otherwise (`carelink.testing.fakes`).
        synthetic: as in `init`.

    Raises:
        InvalidInputError: the zone is not an IANA zone.
        PluginError: a channel does not keep the contract.
        PolicyError: a pack is malformed.
    """
    check_zone(zone)
    offered = tuple(channels) or tuple(MemoryChannel(kind) for kind in (ChannelKind.EMAIL, ChannelKind.SMS))
    registry = registry_of(offered)
    data = [bundled_bytes(name) for name in DEFAULT_PACKS] if packs is None else list(packs)
    folder = TemporaryDirectory(prefix="carelink-memory-")
    try:
        home = Path(folder.name)
        wiring = Wiring(
            settings=Settings(
                home=home,
                store=home / "store",
                keys=home / "keys",
                log=home / "log",
                outbox=home / "outbox",
                region=settings_files.check_region(region),
                routes={channel.info.kind.value: channel.info.name for channel in reversed(offered)},
            ),
            store=MemoryStore(),
            keys=MemoryKeyStore(entropy(16).hex(), entropy),
            key_folder=MemoryKeyFolder(entropy),
            log=LogFolder(home / "log"),
            registry=registry,
            clock=clock or SystemClock(),
            entropy=entropy,
        )
        _begin(wiring, zone=zone, synthetic=synthetic)
        return _adopted(_Fleeting(wiring, folder), data, actor)
    except BaseException:
        folder.cleanup()
        raise
