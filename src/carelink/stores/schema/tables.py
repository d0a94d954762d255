"""Tables, as SQLAlchemy Core metadata. Clear columns hold only random ids, closed codes, instants, zone names and the
age band; all else is an envelope or a keyed hash (P8). Tokens and pseudonyms are lower-case hex text.

On SQLite the tables are STRICT: a value of another type cannot get in.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

__all__ = ["METADATA"]

METADATA: Final = MetaData()

_Column = Column[object]
_LONG: Final = BigInteger().with_variant(Integer, "sqlite")
_OPEN: Final = "state IN ('held', 'claimed')"
_STANDING: Final = "state <> 'released'"


def _table(name: str, *columns: _Column | CheckConstraint, rowid: bool = True) -> Table:
    return Table(name, METADATA, *columns, sqlite_strict=True, sqlite_with_rowid=rowid)


def _index(name: str, *columns: _Column, unique: bool = False, where: str | None = None) -> None:
    only = None if where is None else text(where)
    Index(name, *columns, unique=unique, sqlite_where=only, postgresql_where=only)


def _key(name: str) -> _Column:
    return Column(name, Text, primary_key=True)


def _number(name: str) -> _Column:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _text(name: str, *, null: bool = False) -> _Column:
    return Column(name, Text, nullable=null)


def _long(name: str, *, null: bool = False) -> _Column:
    return Column(name, _LONG, nullable=null)


def _flag(name: str) -> _Column:
    return Column(name, Integer, nullable=False)


def _blob(name: str, *, null: bool = False) -> _Column:
    return Column(name, LargeBinary, nullable=null)


# -- tenant and log -----------------------------------------------------------------------------------------
_table("tenant", _number("id"), _text("tenant"), _text("origin"), _text("zone"), _long("created"), _text("mode"),
       _text("policy"), _text("packs"), _text("plugins"), _flag("synthetic"))  # fmt: skip
_table("head", _number("id"), _long("size"), _blob("frontier"), _long("published"))
_entries = _table("entries", Column("id", _LONG, primary_key=True, autoincrement=False), _text("request"),
                  _blob("data"))  # fmt: skip
_index("entries_request", _entries.c.request, where="request <> ''")
_table("gates", _key("kind"), _key("key"), _long("last"), rowid=False)

# -- persons and addresses ----------------------------------------------------------------------------------
_patients = _table("patients", _key("id"), _text("person"), _text("standing"), _text("age", null=True), _text("zone"),
                   _text("language"), _long("created"), _text("merged_into", null=True),
                   _text("stage", null=True))  # fmt: skip
_index("patients_person", _patients.c.person, unique=True)
_index("patients_merged", _patients.c.merged_into, where="merged_into IS NOT NULL")
_related = _table("related", _key("id"), _text("patient"), _text("person"), _text("relation"), _text("standing"),
                  _flag("verified"), _flag("acts"), _text("scopes"), _long("since"),
                  _long("until", null=True))  # fmt: skip
_index("related_patient", _related.c.patient)
_contacts = _table("contacts", _key("id"), _text("owner"), _text("person"), _text("kind"), _text("token"),
                   _text("address"), _text("status"), _long("verified_at", null=True), _flag("rank"),
                   _text("zones"))  # fmt: skip
_index("contacts_owner", _contacts.c.owner)
_index("contacts_token", _contacts.c.token)
_addresses = _table("addresses", _key("token"), _text("address"), rowid=False)
_index("addresses_address", _addresses.c.address, unique=True)
_table("sealed", _key("tbl"), _key("row"), _key("col"), _blob("envelope"))
_blind = _table("blind", _key("col"), _number("version"), _key("value"), _key("row"), rowid=False)
_index("blind_row", _blind.c.row)

# -- consent and content ------------------------------------------------------------------------------------
_grants = _table("grants", _key("id"), _text("patient"), _text("purposes"), _text("channels"), _text("by"),
                 _long("since"), _long("until", null=True), _flag("separate"), _text("notice"), _text("state"),
                 _long("ended_at", null=True), _text("plans"), _text("method"), _text("age", null=True))  # fmt: skip
_index("grants_patient", _grants.c.patient)
_stops = _table("stops", _key("id"), _text("person", null=True), _text("token", null=True), _text("purposes"),
                _text("channels"), _text("source"), _long("since"), _long("until", null=True),
                _long("lifted_at", null=True), _text("plans"),
                CheckConstraint("(person IS NULL) <> (token IS NULL)", name="stops_bind_one"))  # fmt: skip
_index("stops_person", _stops.c.person, where="person IS NOT NULL")
_index("stops_token", _stops.c.token, where="token IS NOT NULL")
_table("templates", _key("name"), _number("version"), _text("status"), _text("purposes"), _text("channels"),
       _text("language"), _text("subject"), _text("body"), _text("variables"), _text("digest"), _long("since"),
       _long("until", null=True), _text("details"), _text("data"), _text("author"), _flag("quorum"), _text("reviews"),
       _text("number"), _long("number_until", null=True), _text("providers"), _text("screened"))  # fmt: skip
_credentials = _table("credentials", _key("id"), _text("actor"), _text("role"), _long("since"),
                      _long("until", null=True), _long("ended_at", null=True))  # fmt: skip
_index("credentials_actor", _credentials.c.actor)
_accesses = _table("accesses", _key("id"), _text("patient"), _text("actor"), _flag("emergency"), _text("what"),
                   _text("purpose"), _long("at"), _text("by"), _long("until", null=True),
                   _long("reviewed_at", null=True), _text("finding"))  # fmt: skip
_index("accesses_patient", _accesses.c.patient)
_index("accesses_open", _accesses.c.emergency, _accesses.c.at, _accesses.c.id, where="reviewed_at IS NULL")
_table("erasures", _key("patient"), _text("owners"), _text("phase"), _text("reason"), _text("by"), _long("begun"),
       _long("shredded_at", null=True), _flag("clean"), _text("copies"), _text("receipt"), rowid=False)  # fmt: skip
_table("packs", _key("digest"), _blob("data"))

# -- reservations -------------------------------------------------------------------------------------------
_reservations = _table("reservations", _key("id"), _text("request"), _blob("mac"), _text("decision"),
                       _text("patient"), _text("contact"), _text("subject"), _text("recipient"), _text("role"),
                       _text("token"), _text("address"), _text("purpose"), _text("channel"), _text("channel_kind"),
                       _text("template"), _flag("template_version"), _flag("reply"), _long("at"), _text("state"),
                       _long("expires"), _long("lease", null=True), _text("outcome", null=True), _text("delivery"),
                       _blob("provider", null=True), _text("plan"), _text("topic"))  # fmt: skip
_index("reservations_request", _reservations.c.request, unique=True, where=_STANDING)
_index("reservations_subject", _reservations.c.subject, _reservations.c.at)
_index("reservations_recipient", _reservations.c.recipient, _reservations.c.at)
_index("reservations_token", _reservations.c.token, _reservations.c.at)
_index("reservations_open", _reservations.c.state, _reservations.c.at, where=_OPEN)

# -- lists and reports --------------------------------------------------------------------------------------
_table("allow_list", _key("token"))
_table("channel_stops", _key("channel"))
_table("events", _key("channel"), _key("event"), rowid=False)
_parked = _table("parked", Column("id", _LONG, primary_key=True), _text("channel"), _text("key"), _text("event"),
                 _long("at"))  # fmt: skip
_index("parked_key", _parked.c.channel, _parked.c.key)
