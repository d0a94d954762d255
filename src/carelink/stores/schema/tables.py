"""Tables, as SQLAlchemy Core metadata. Clear columns hold only random ids, closed codes, instants, zone names and the
age band; all else is an envelope or a keyed hash (P8). Tokens and pseudonyms are lower-case hex text.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

__all__ = ["METADATA"]

METADATA = MetaData()


def _table(name: str, *columns: Column[object]) -> Table:
    return Table(name, METADATA, *columns)


def _key(name: str) -> Column[object]:
    return Column(name, Text, primary_key=True)


def _text(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, Text, nullable=null)


def _when(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, BigInteger, nullable=null)


def _flag(name: str) -> Column[object]:
    return Column(name, Integer, nullable=False)


def _blob(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, LargeBinary, nullable=null)


_table("tenant", Column("id", Integer, primary_key=True, autoincrement=False), _text("tenant"), _text("origin"),
       _text("zone"), _when("created"), _text("mode"), _text("policy"), _text("packs"), _text("plugins"),
       _flag("synthetic"))  # fmt: skip
_table("head", Column("id", Integer, primary_key=True, autoincrement=False), _when("size"), _blob("frontier"),
       _when("published"))  # fmt: skip
ENTRIES = _table("entries", Column("id", Integer, primary_key=True, autoincrement=False), _text("request"),
                 _blob("data"))  # fmt: skip
Index("entries_request", ENTRIES.c.request, sqlite_where=text("request <> ''"), postgresql_where=text("request <> ''"))
_table("gates", _key("kind"), _key("key"), _when("last"))
PATIENTS = _table("patients", _key("id"), _text("person"), _text("standing"), _text("age", null=True), _text("zone"),
                  _text("language"), _when("created"), _text("merged_into", null=True))  # fmt: skip
Index("patients_person", PATIENTS.c.person, unique=True)
Index("patients_merged", PATIENTS.c.merged_into, sqlite_where=text("merged_into IS NOT NULL"),
      postgresql_where=text("merged_into IS NOT NULL"))  # fmt: skip
RELATED = _table("related", _key("id"), _text("patient"), _text("person"), _text("relation"), _text("standing"),
                 _flag("verified"), _flag("acts"), _text("scopes"), _when("since"), _when("until", null=True))  # fmt: skip
Index("related_patient", RELATED.c.patient)
CONTACTS = _table("contacts", _key("id"), _text("owner"), _text("person"), _text("kind"), _text("token"),
                  _text("address"), _text("status"), _when("verified_at", null=True), _flag("rank"),
                  _text("zones"))  # fmt: skip
Index("contacts_owner", CONTACTS.c.owner)
Index("contacts_token", CONTACTS.c.token)
ADDRESSES = _table("addresses", _key("token"), _text("address"))
Index("addresses_address", ADDRESSES.c.address, unique=True)
_table("sealed", _key("tbl"), _key("row"), _key("col"), _blob("envelope"))
_table("blind", _key("col"), Column("version", Integer, primary_key=True), _key("value"), _key("row"))
GRANTS = _table("grants", _key("id"), _text("patient"), _text("purposes"), _text("channels"), _text("by"),
                _when("since"), _when("until", null=True), _flag("separate"), _text("notice"), _text("state"),
                _when("ended_at", null=True))  # fmt: skip
Index("grants_patient", GRANTS.c.patient)
STOPS = _table("stops", _key("id"), _text("person", null=True), _text("token", null=True), _text("purposes"),
               _text("channels"), _text("source"), _when("since"), _when("until", null=True),
               _when("lifted_at", null=True))  # fmt: skip
Index("stops_person", STOPS.c.person)
Index("stops_token", STOPS.c.token)
_table("templates", _key("name"), Column("version", Integer, primary_key=True), _text("status"), _text("purposes"),
       _text("channels"), _text("language"), _text("subject"), _text("body"), _text("variables"), _text("digest"),
       _when("since"), _when("until", null=True), _text("approvers"))  # fmt: skip
RESERVATIONS = _table("reservations", _key("id"), _text("request"), _blob("mac"), _text("decision"), _text("patient"),
                      _text("contact"), _text("subject"), _text("recipient"), _text("role"), _text("token"),
                      _text("address"), _text("purpose"), _text("channel"), _text("channel_kind"), _text("template"),
                      _flag("template_version"), _flag("reply"), _when("at"), _text("state"), _when("expires"),
                      _when("lease", null=True), _text("outcome", null=True), _text("delivery"),
                      _blob("provider", null=True))  # fmt: skip
Index("reservations_request", RESERVATIONS.c.request, unique=True, sqlite_where=text("state <> 'released'"),
      postgresql_where=text("state <> 'released'"))  # fmt: skip
Index("reservations_subject", RESERVATIONS.c.subject, RESERVATIONS.c.at)
Index("reservations_recipient", RESERVATIONS.c.recipient, RESERVATIONS.c.at)
Index("reservations_token", RESERVATIONS.c.token, RESERVATIONS.c.at)
Index("reservations_open", RESERVATIONS.c.state, RESERVATIONS.c.at,
      sqlite_where=text("state IN ('held', 'claimed')"),
      postgresql_where=text("state IN ('held', 'claimed')"))  # fmt: skip
_table("packs", _key("digest"), _blob("data"))
_table("allow_list", _key("token"))
_table("channel_stops", _key("channel"))
_table("events", _key("channel"), _key("event"))
_table("parked", Column("id", Integer, primary_key=True), _text("channel"), _text("key"), _text("event"), _when("at"))
