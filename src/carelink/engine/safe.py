"""The safe: what the engine may do with keys. Wraps key store and vault, so that the engine never holds a key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from carelink.errors import CarelinkError, DecryptError, KeyMissingError
from carelink.model.ids import RequestRef
from carelink.model.request import Request
from carelink.ports.rows import SealedRow
from carelink.vault.attempt import AttemptKeys
from carelink.vault.datakey import DataKey, commit
from carelink.vault.derive import KeyedHash
from carelink.vault.envelope import FieldContext, Value, key_id, kid_of, open_field, padding_of, seal
from carelink.vault.index import BlindIndex, address_hash, address_token, request_hash, request_ref
from carelink.vault.personal import Personal, SecretKey
from carelink.vocabulary import AddressKind

__all__ = ["Held", "KeyKeeper", "Safe"]


class KeyKeeper(Protocol):
    """What the safe needs of a key store. Implemented by `carelink.keys.store`."""

    def new_keys(self, owners: Sequence[str]) -> Mapping[str, DataKey]:
        """Make and durably keep a data key for each owner."""

    def get(self, owners: Sequence[str]) -> Mapping[str, object]:
        """Data keys by owner; an owner without a usable key has something else, or nothing."""

    def one(self, owner: str) -> DataKey:
        """The data key of one owner, or the typed error that says why there is none."""

    def by_kid(self, kids: Sequence[bytes]) -> Mapping[bytes, DataKey]:
        """Keys of any generation by key id; those that cannot be had are left out."""

    def secret(self, name: str) -> SecretKey:
        """The newest version of a tenant-wide secret."""

    def secrets(self, name: str) -> Mapping[int, SecretKey]:
        """All versions of a secret that are in use, by number."""


_FORM: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class Held:
    """One owner's key for one job, and the owner's older ones. Not to be kept: only a look-up tells whether a key was
    destroyed since.
    """

    __slots__ = ("_keeper", "_key", "_tenant")

    def __init__(self, key: DataKey, tenant: str, keeper: KeyKeeper) -> None:
        self._key, self._tenant, self._keeper = key, tenant, keeper

    def __repr__(self) -> str:
        return "Held(***)"

    def open(self, table: str, row: str, column: str, envelope: bytes) -> Personal:  # type: ignore[type-arg]
        """Open one field.

        Raises:
            DecryptError: it does not open in this place, or is no envelope at all.
        """
        if not isinstance(envelope, bytes):
            raise DecryptError("a sealed field does not open here")
        return Personal(open_field(self._of(envelope), FieldContext(self._tenant, table, column, row), envelope))

    def _of(self, envelope: bytes) -> DataKey:
        """The owner's key that sealed this: an older generation's is known by its key id. The newest, if none is."""
        kid = key_id(envelope)
        if kid == self._key.kid:
            return self._key
        older = self._keeper.by_kid([kid]).get(kid)
        return self._key if older is None or older.owner != self._key.owner else older

    def commit(self, salt: bytes, data: bytes) -> str:
        """Commitment to bytes that dies with the owner's key, 64 hex digits."""
        return commit(self._key, salt, data).hex()


class Safe:
    """Keys at work for one tenant."""

    def __init__(self, keys: KeyKeeper, tenant: str) -> None:
        self._keys = keys
        self._tenant = tenant
        root = keys.secret("request")
        self._requests = request_hash(root)
        self._contents = KeyedHash(root, b"carelink/request-content/v1")
        self._actors = KeyedHash(root, b"carelink/actor/v1")
        self._events = KeyedHash(root, b"carelink/event/v1")
        self._providers = KeyedHash(root, b"carelink/provider/v1")
        self._tokens = address_hash(keys.secret("address"))
        self._indexes: dict[int, tuple[SecretKey, BlindIndex]] = {}
        self._attempts = AttemptKeys(root)

    def ready(self) -> bool:
        """Whether keys can be had now."""
        try:
            self._keys.secret("request")
        except CarelinkError:
            return False
        return True

    # -- hashes that reach store and log -----------------------------------------------------------------

    def request_ref(self, key: str) -> RequestRef:
        """Keyed hash of a request key, 32 hex digits."""
        return RequestRef(request_ref(self._requests, self._tenant, key))

    def request_mac(self, request: Request) -> bytes:
        """Keyed hash over what a request asks for: the same key with other content is told by it."""
        form = {
            "automated": request.automated,
            "channel": request.channel,
            "clinician": request.clinician,
            "data": request.data,
            "disclosure": request.disclosure,
            "due_from": request.due_from,
            "due_until": request.due_until,
            "not_before": request.not_before,
            "patient": request.patient,
            "plan": request.plan,
            "purpose": request.purpose,
            "recipient": request.recipient,
            "reply": request.reply,
            "template": request.template,
            "topic": request.topic,
            "useless_after": request.useless_after,
            "variables": request.variables,
            "version": request.version,
        }
        return self._contents.digest(_FORM.encode(form).encode("utf-8", "surrogatepass"))

    def actor_ref(self, name: str) -> str:
        """Pseudonym of a member of staff, 32 hex digits."""
        return self._actors.digest(name.encode())[:16].hex()

    def event_ref(self, text: str) -> str:
        """Keyed hash of a far end's event id or unknown key."""
        return self._events.digest(text.encode())[:16].hex()

    def provider_hash(self, channel: str, provider_id: str) -> bytes:
        """Keyed hash of a far end's message id, 32 bytes."""
        return self._providers.digest(channel.encode(), provider_id.encode())

    def token(self, kind: AddressKind, canonical: str) -> bytes:
        """Full-length keyed token of an address."""
        return address_token(self._tokens, kind.value, canonical)

    def blind(self, column: str, canonical: str) -> tuple[tuple[int, bytes], ...]:
        """Blind-index values of an identifier, one for each key version in use."""
        found = []
        for version, key in self._keys.secrets("index").items():
            held = self._indexes.get(version)
            if held is None or held[0] is not key:
                # An identifier names one patient: this index is an equality look-up by design, 64 bits (ADR 0006).
                held = self._indexes[version] = key, BlindIndex(key, self._tenant, "patient", "identifier", 64)
            found.append((version, held[1].value(f"{column}\x00{canonical}")))
        return tuple(found)

    def attempt_key(self, request: RequestRef) -> str:
        """Token of a request's hand-over that a far end may see, 32 hex digits."""
        return self._attempts.seal(request)

    def request_of(self, key: str) -> RequestRef | None:
        """The request whose token this is; None if it has not the form of one."""
        opened = self._attempts.open(key)
        return None if opened is None else RequestRef(opened)

    # -- sealed fields -------------------------------------------------------------------------------------

    def new_owners(self, owners: Sequence[str]) -> None:
        """Make data keys, durably, before any row needs them.

        Raises:
            KeyProviderError: the key store cannot be written.
        """
        if owners:
            self._keys.new_keys(owners)

    def prefetch(self, owners: Sequence[str]) -> None:
        """Load data keys in one read; owners without one are told when something of theirs is opened.

        Raises:
            KeyProviderError: keys cannot be had now.
        """
        if owners:
            self._keys.get(owners)

    def require(self, owner: str) -> None:
        """See that an owner's key can be had.

        Raises:
            ErasedError, KeyMissingError, KeyProviderError: as for `seal`.
        """
        self._key(owner)

    def _key(self, owner: str) -> DataKey:
        # Keys are kept by the key store alone: it forgets them the moment any process destroys one.
        return self._keys.one(owner)

    def seal(self, owner: str, table: str, row: str, column: str, value: Value) -> SealedRow:
        """Seal one field of a row under its owner's key.

        Raises:
            ErasedError: the owner's key was destroyed.
            KeyMissingError: the owner has no key.
            KeyProviderError: keys cannot be had now.
        """
        envelope = seal(self._key(owner), FieldContext(self._tenant, table, column, row), value)
        return SealedRow(table=table, row=row, column=column, envelope=envelope)

    def held(self, owner: str) -> Held:
        """An owner's key, looked up now, for several uses at once.

        Raises:
            ErasedError, KeyMissingError, KeyProviderError: as for `seal`.
        """
        return Held(self._key(owner), self._tenant, self._keys)

    def held_by(self, owners: Sequence[str]) -> dict[str, Held]:
        """The keys of many owners, looked up now; an owner whose key cannot be had is left out."""
        try:
            found = self._keys.get(owners)
        except CarelinkError:
            return {}
        keys = self._keys
        return {owner: Held(key, self._tenant, keys) for owner, key in found.items() if isinstance(key, DataKey)}

    def open(self, owner: str, table: str, row: str, column: str, envelope: bytes) -> Personal:  # type: ignore[type-arg]
        """Open one field.

        Raises:
            ErasedError, KeyMissingError, KeyProviderError: as for `seal`.
            DecryptError: it does not open in this place, or is no envelope at all.
        """
        return self.held(owner).open(table, row, column, envelope)

    def try_open(self, owner: str, table: str, row: str, column: str, envelope: bytes) -> Personal | None:  # type: ignore[type-arg]
        """Open one field, or None if it cannot be: the fact is then UNKNOWN."""
        try:
            return self.open(owner, table, row, column, envelope)
        except CarelinkError:
            return None

    def reopen(self, row: SealedRow) -> Personal:  # type: ignore[type-arg]
        """Open a field by the key that it names, whoever's it is.

        Raises:
            KeyMissingError, ErasedError: nobody has this key.
            DecryptError: it does not open in this place.
        """
        return Personal(
            open_field(self._sealer(row), FieldContext(self._tenant, row.table, row.column, row.row), row.envelope)
        )

    def _sealer(self, row: SealedRow) -> DataKey:
        kid = kid_of(row.envelope)
        found = self._keys.by_kid([kid]).get(kid)
        if found is None:
            self._keys.one(row.row)  # says whether the owner was erased, where the row is the owner's
            raise KeyMissingError("a sealed field is under a key that is not in the key store")
        return found

    def renewed(self, row: SealedRow) -> bytes | None:
        """The field under its owner's newest key and of the same length; None if it is under that already.

        Raises:
            DecryptError: it does not open in this place.
            KeyMissingError, ErasedError, KeyProviderError: as for `seal`.
        """
        old = self._sealer(row)
        key = self._key(old.owner)
        if key.kid == old.kid:
            return None
        place = FieldContext(self._tenant, row.table, row.column, row.row)
        return seal(key, place, open_field(old, place, row.envelope), padding_of(row.envelope))

    def commit(self, owner: str, salt: bytes, data: bytes) -> str:
        """Commitment to bytes that dies with the owner's key, 64 hex digits."""
        return self.held(owner).commit(salt, data)
