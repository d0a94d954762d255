"""Homes: a folder with settings, data store, key folder, log and outbox. Makes new ones, opens existing ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from carelink import settings as settings_files
from carelink.app import CareLink, Wiring
from carelink.audit.checkpoint import VerifierKey
from carelink.channels.registry import load_registry
from carelink.engine.journal import genesis
from carelink.engine.zones import check_zone
from carelink.errors import ConflictError, SettingsError
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes
from carelink.ports.rows import TenantRow
from carelink.ports.store import Store
from carelink.ports.system import Clock, Entropy
from carelink.settings import Settings
from carelink.stores.logfolder import LogFolder
from carelink.stores.sqlite.store import SqliteStore
from carelink.system import SystemClock
from carelink.system import entropy as system_entropy

__all__ = ["init", "open_home", "start"]

KEY_STORE: Final = "keys.db"


def _wire(chosen: Settings, store: Store, keys: KeyStore, folder: KeyFolder, clock: Clock, entropy: Entropy) -> Wiring:
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
    tenant = wiring.keys.tenant
    origin = f"carelink.invalid/log/{wiring.entropy(8).hex()}"
    signer = wiring.key_folder.signer(origin)
    key = VerifierKey(origin, 1, signer.public_key)
    now = wiring.clock.now()
    with wiring.store.transaction() as tx:
        tx.put_tenant(TenantRow(tenant=tenant, origin=origin, zone=zone, created=now, synthetic=synthetic))
        tx.append([genesis(wiring.entropy, tenant=tenant, origin=origin, log_key=key.text, at=now)])
    link = CareLink(wiring)
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
    """Make a new home: settings, store, keys, log; mode sandbox. Overwrites nothing.

    Raises:
        ConflictError: there is a home here already.
        InvalidInputError: the zone is not an IANA zone.
    """
    home = Path(home)
    check_zone(zone)
    if (home / settings_files.FILE_NAME).exists():
        raise ConflictError("there is a carelink home here already", hint="open it, or choose another folder")
    home.mkdir(parents=True, exist_ok=True)
    text = settings_files.render_settings(region=region, keys=keys, packs=tuple(path.name for path in packs))
    (home / settings_files.FILE_NAME).write_text(text, encoding="utf-8")
    chosen = settings_files.load(home)
    if chosen.store.exists():
        raise ConflictError("there is a data store here already", hint="choose another folder")
    folder = KeyFolder.create(chosen.keys, passphrase=passphrase, entropy=entropy)
    key_store = KeyStore.create(chosen.keys / KEY_STORE, folder, entropy(16).hex(), entropy)
    chosen.store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = SqliteStore.create(chosen.store)
    wiring = _wire(chosen, store, key_store, folder, clock or SystemClock(), entropy)
    data = [*(bundled_bytes(name) for name in DEFAULT_PACKS), *(path.read_bytes() for path in packs)]
    return start(wiring, zone=zone, packs=data, actor=actor, synthetic=synthetic)


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
        KeyCheckError: the key folder is not the one this store was made with.
    """
    place = Path(home) if home is not None else settings_files.home_from_environment() or Path("carelink-data")
    chosen = settings_files.load(place)
    if not chosen.store.is_file():
        raise SettingsError("the data store of this home is missing", hint="restore it from a backup")
    folder = KeyFolder.open(chosen.keys, passphrase=passphrase or settings_files.passphrase())
    key_store = KeyStore.open(chosen.keys / KEY_STORE, folder, entropy)
    store = SqliteStore.open(chosen.store)
    return CareLink(_wire(chosen, store, key_store, folder, clock or SystemClock(), entropy))
