"""First schema, written out: a released revision stays what it was, whatever `tables` says later."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_LONG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TYPES: Final[dict[str, sa.types.TypeEngine[Any]]] = {
    "text": sa.Text(),
    "int": sa.Integer(),
    "long": _LONG,
    "blob": sa.LargeBinary(),
}

_TABLES: Final = {
    # name: (columns with their types, "?" where null may stand; primary key)
    "tenant": (("id int, tenant text, origin text, zone text, created long, mode text, policy text, packs text, "
               "plugins text, synthetic int"), "id"),
    "head": ("id int, size long, frontier blob, published long", "id"),
    "entries": ("id long, request text, data blob", "id"),
    "gates": ("kind text, key text, last long", "kind key"),
    "patients": (("id text, person text, standing text, age text?, zone text, language text, created long, "
                 "merged_into text?, stage text?"), "id"),
    "related": (("id text, patient text, person text, relation text, standing text, verified int, acts int, "
                "scopes text, since long, until long?"), "id"),
    "contacts": (("id text, owner text, person text, kind text, token text, address text, status text, "
                 "verified_at long?, rank int, zones text"), "id"),
    "addresses": ("token text, address text", "token"),
    "sealed": ("tbl text, row text, col text, envelope blob", "tbl row col"),
    "blind": ("col text, version int, value text, row text", "col version value row"),
    "grants": (("id text, patient text, purposes text, channels text, by text, since long, until long?, separate int, "
               "notice text, state text, ended_at long?, plans text, method text, age text?"), "id"),
    "stops": (("id text, person text?, token text?, purposes text, channels text, source text, since long, "
               "until long?, lifted_at long?, plans text"), "id"),
    "templates": (("name text, version int, status text, purposes text, channels text, language text, subject text, "
                  "body text, variables text, digest text, since long, until long?, details text, data text, "
                  "author text, quorum int, reviews text, number text, number_until long?, providers text, "
                  "screened text"), "name version"),
    "credentials": ("id text, actor text, role text, since long, until long?, ended_at long?", "id"),
    "accesses": (("id text, patient text, actor text, emergency int, what text, purpose text, at long, by text, "
                  "until long?, reviewed_at long?, finding text"), "id"),
    "erasures": (("patient text, owners text, phase text, reason text, by text, begun long, shredded_at long?, "
                  "clean int, copies text, receipt text"), "patient"),
    "packs": ("digest text, data blob", "digest"),
    "reservations": (("id text, request text, mac blob, decision text, patient text, contact text, subject text, "
                     "recipient text, role text, token text, address text, purpose text, channel text, "
                     "channel_kind text, template text, template_version int, reply int, at long, state text, "
                     "expires long, lease long?, outcome text?, delivery text, provider blob?, plan text, "
                     "topic text"), "id"),
    "allow_list": ("token text", "token"),
    "channel_stops": ("channel text", "channel"),
    "events": ("channel text, event text", "channel event"),
    "parked": ("id long, channel text, key text, event text, at long", "id"),
}  # fmt: skip

_CHECKS: Final = {"stops": sa.CheckConstraint("(person IS NULL) <> (token IS NULL)", name="stops_bind_one")}
_BY_KEY: Final = {"gates", "addresses", "blind", "erasures", "events"}
"""Tables that SQLite keeps in the order of their key, without a row number."""

_INDEXES: Final = (
    # name, table, columns, unique, only rows where
    ("entries_request", "entries", "request", False, "request <> ''"),
    ("patients_person", "patients", "person", True, None),
    ("patients_merged", "patients", "merged_into", False, "merged_into IS NOT NULL"),
    ("related_patient", "related", "patient", False, None),
    ("contacts_owner", "contacts", "owner", False, None),
    ("contacts_token", "contacts", "token", False, None),
    ("addresses_address", "addresses", "address", True, None),
    ("blind_row", "blind", "row", False, None),
    ("grants_patient", "grants", "patient", False, None),
    ("stops_person", "stops", "person", False, "person IS NOT NULL"),
    ("stops_token", "stops", "token", False, "token IS NOT NULL"),
    ("credentials_actor", "credentials", "actor", False, None),
    ("accesses_patient", "accesses", "patient", False, None),
    ("accesses_open", "accesses", "emergency at id", False, "reviewed_at IS NULL"),
    ("reservations_request", "reservations", "request", True, "state <> 'released'"),
    ("reservations_subject", "reservations", "subject at", False, None),
    ("reservations_recipient", "reservations", "recipient at", False, None),
    ("reservations_token", "reservations", "token at", False, None),
    ("reservations_open", "reservations", "state at", False, "state IN ('held', 'claimed')"),
    ("parked_key", "parked", "channel key", False, None),
)


def upgrade() -> None:
    """Create every table, and the head of an empty log."""
    for name, (columns, key) in _TABLES.items():
        pairs = [column.split() for column in columns.split(", ")]
        op.create_table(
            name,
            *(sa.Column(column, _TYPES[kind.rstrip("?")], nullable=kind.endswith("?")) for column, kind in pairs),
            sa.PrimaryKeyConstraint(*key.split()),
            *([_CHECKS[name]] if name in _CHECKS else []),
            sqlite_strict=True,
            sqlite_with_rowid=name not in _BY_KEY,
        )
    for name, table, columns, unique, where in _INDEXES:
        only = None if where is None else sa.text(where)
        op.create_index(name, table, columns.split(), unique=unique, sqlite_where=only, postgresql_where=only)
    head = sa.table("head", sa.column("id"), sa.column("size"), sa.column("frontier"), sa.column("published"))
    op.bulk_insert(head, [{"id": 1, "size": 0, "frontier": bytes(8), "published": 0}])
