"""The fail-closed matrix: every fact that a decision reads, and every way in which it can fail to be known.

To add a fact: a row for each word of `WAYS`, either `Row` with what breaks it and what is then said, or `Never` with the
reason why that way does not exist. `python docs/check.py --write` renews the table in docs/reference/fail-closed.md.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from carelink.engine import calendars, factreader
from carelink.errors import FormatError, StoreError

WAYS: Final = ("missing", "stale", "corrupt", "undecryptable", "late", "wrong type")


@attrs.frozen
class Row:
    """A way in which a fact fails.

    Attributes:
        what: what is broken, and where.
        says: what comes of a request then, on every channel.
        child: the fact is one of a child and its guardian.
        alone: it concerns these people only; everybody else goes on being sent to.
        held: what comes of a permit that was waiting, where that is something else.
        purpose, clinician: of the requests.
    """

    fact: str
    way: str
    what: str
    does: Callable[[Any, Any], object] = attrs.field(repr=False)
    says: str
    child: bool = False
    alone: bool = True
    held: str = ""
    purpose: str = "care.appointment"
    clinician: str = ""


@attrs.frozen
class Never:
    """Ways in which a fact cannot fail, with the reason. `constant`: the fact has no source yet."""

    fact: str
    ways: tuple[str, ...]
    why: str
    constant: bool = False


NOT_SEALED: Final = "it is not sealed"
NO_AGE: Final = "it has no age, it is what the last entry about it says, read anew at each decision"
NO_SOURCE: Final = "no source yet: the gate states it as a constant"
WITH_PEOPLE: Final = "read with the people and addresses, see `standing`"


# -- where things are --------------------------------------------------------------------------------------------------


def persons(bench: Any, cast: Any) -> list[str]:
    marks = ",".join("?" * len(cast.patients))
    return bench.column(f"SELECT person FROM patients WHERE id IN ({marks})", *cast.patients)


def owners(bench: Any, cast: Any) -> list[str]:
    """Whose contact points are used: the patients', or their guardians'."""
    marks = ",".join("?" * len(cast.patients))
    if cast.child:
        return bench.column(f"SELECT id FROM related WHERE patient IN ({marks})", *cast.patients)
    return list(cast.patients)


def contacts(bench: Any, cast: Any) -> list[str]:
    found = owners(bench, cast)
    return bench.column(f"SELECT id FROM contacts WHERE owner IN ({','.join('?' * len(found))})", *found)


def of(table: str, column: str, do: str, *values: Any, keys: Callable[[Any, Any], Sequence[Any]] | None = None) -> Any:
    """Changes the rows of the cast in a table."""

    def does(bench: Any, cast: Any) -> None:
        bench.change(table, column, cast.patients if keys is None else keys(bench, cast), do, *values)

    return does


def patients(do: str, *values: Any) -> Any:
    return of("patients", "id", do, *values)


def related(do: str, *values: Any) -> Any:
    return of("related", "patient", do, *values)


def grants(do: str, *values: Any) -> Any:
    return of("grants", "patient", do, *values)


def contact(do: str, *values: Any) -> Any:
    return of("contacts", "id", do, *values, keys=contacts)


def stops(do: str, *values: Any) -> Any:
    return of("stops", "person", do, *values, keys=persons)


def touches(do: str, *values: Any) -> Any:
    """Messages that were handed over; the permit that waits stays as it is."""
    return of(
        "reservations", "subject || state", do, *values, keys=lambda b, cast: [f"{p}spent" for p in persons(b, cast)]
    )


def template(do: str, *values: Any) -> Any:
    return lambda bench, _: bench.change("templates", "", (), do, *values)


def tenant(do: str, *values: Any) -> Any:
    return lambda bench, _: bench.change("tenant", "", (), do, *values)


def gates(do: str, *values: Any) -> Any:
    return of("gates", "key", do, *values, keys=persons)


def lost(table: str) -> Any:
    return lambda bench, _: bench.lose_table(table)


def slow(method: str) -> Any:
    return lambda bench, _: bench.slow(method)


# -- what takes more than a statement ----------------------------------------------------------------------------------


def flip(table: str, column: str, keys: Callable[[Any, Any], Sequence[Any]]) -> Any:
    """One bit of a sealed field."""

    def does(bench: Any, cast: Any) -> None:
        for key in keys(bench, cast):
            (data,) = bench.column(
                "SELECT envelope FROM sealed WHERE tbl = ? AND row = ? AND col = ?", table, key, column
            )
            broken = data[:-5] + bytes([data[-5] ^ 8]) + data[-4:]
            bench.change("sealed", "row || col", [key + column], "envelope = ?", broken)

    return does


def reseal(table: str, column: str, value: Any) -> Any:
    """A sealed field that opens, and holds something else."""

    def does(bench: Any, cast: Any) -> None:
        for patient in cast.patients:
            sealed = bench.link.safe.seal(patient, table, patient, column, value)
            bench.change("sealed", "row || col", [patient + column], "envelope = ?", sealed.envelope)

    return does


def _secret(bench: Any, do: str, *values: Any) -> None:
    """The key store is another file. Changed as another process would: its own connection does not see its own writes."""
    held = bench.link.wiring.keys._db
    (_, _, path) = held.execute("PRAGMA database_list").fetchone()

    def on_disk(*statements: tuple[str, Sequence[Any]]) -> None:
        db = sqlite3.connect(path, isolation_level=None)
        for statement, given in statements:
            db.execute(statement, given)
        db.close()

    before = held.execute("SELECT * FROM secrets WHERE name = 'request'").fetchall()
    gone = "DELETE FROM secrets WHERE name = 'request'"
    on_disk((gone if do == "DELETE" else f"UPDATE secrets SET {do} WHERE name = 'request'", values))
    mended = [(f"INSERT INTO secrets VALUES ({','.join('?' * len(row))})", row) for row in before]
    bench.later(lambda: on_disk((gone, ()), *mended))


def secret_gone(bench: Any, _: Any) -> None:
    _secret(bench, "DELETE")


def _wrapped(bench: Any) -> bytes:
    (wrapped,) = bench.link.wiring.keys._db.execute("SELECT wrapped FROM secrets WHERE name = 'request'").fetchone()
    return bytes(wrapped)


def secret_flipped(bench: Any, _: Any) -> None:
    wrapped = _wrapped(bench)
    _secret(bench, "wrapped = ?", wrapped[:-3] + bytes([wrapped[-3] ^ 1]) + wrapped[-2:])


def secret_of_another_root(bench: Any, _: Any) -> None:
    """The secret is wrapped under an epoch whose key is not there."""
    wrapped = _wrapped(bench)
    _secret(bench, "wrapped = ?", wrapped[:1] + (99).to_bytes(4, "big") + wrapped[5:])


def secret_slow(bench: Any, _: Any) -> None:
    whole = bench.link.safe.ready

    def ready() -> bool:
        bench.clock.advance(6_000_000)
        return bool(whole())

    bench.patch(bench.link.safe, "ready", ready)


def step(length: int) -> Any:
    """The wall clock is set by so much."""

    def does(bench: Any, _: Any) -> None:
        bench.clock.step(length)
        bench.later(lambda: bench.clock.step(-length))

    return does


def behind(bench: Any, _: Any) -> None:
    """A process that was started with a clock three minutes behind: it cannot know, but the gate rows do."""
    bench.clock.step(-180_000_000)
    bench.link.parts.guard.accept()

    def back() -> None:
        bench.clock.step(180_000_000)
        bench.link.parts.guard.accept()

    bench.later(back)


def restored(bench: Any, _: Any) -> None:
    """An older copy of the store's file is put back under the log that was published from it."""
    store = bench.world.settings.store
    old, new = store.with_name("old"), store.with_name("new")
    bench.link.publish()
    bench.link.close()
    shutil.copy(store, old)
    bench.world.restart()
    assert bench.answers(bench.requests(bench.bystander)) == ["sent"]
    bench.link.close()
    shutil.copy(store, new)
    shutil.copy(old, store)
    bench.world.restart()

    def back() -> None:
        bench.link.close()
        shutil.copy(new, store)
        bench.world.restart()

    bench.later(back)


def lagging(bench: Any, _: Any) -> None:
    """Nothing can be published, and more is waiting than may."""
    notary = bench.link.notary
    lag = notary.lag

    def cannot(_: Any) -> None:
        raise StoreError("the log's disk is full")

    notary.lag = 0
    bench.patch(type(notary), "publish", cannot)
    bench.later(lambda: setattr(notary, "lag", lag))


def no_zone(bench: Any, cast: Any) -> None:
    bench.change("contacts", "id", contacts(bench, cast), "zones = ''")
    bench.change("tenant", "", (), "zone = ''")


def no_channels(bench: Any, _: Any) -> None:
    """The plugin is gone."""
    bench.patch(bench.link.parts, "channels", {})


def credentials(do: str, *values: Any) -> Any:
    return lambda bench, _: bench.change("credentials", "", (), do, *values)


def lists(given: Any) -> Any:
    """What comes of loading the word lists: an error, or what is given."""

    def does(bench: Any, _: Any) -> None:
        def load() -> Any:
            if isinstance(given, Exception):
                raise given
            return given

        screener = bench.link.parts.screener
        bench.patch(screener, "_lists", None)
        bench.patch(screener, "_kept", {})
        bench.patch(screener, "load", load)

    return does


def screening_slow(bench: Any, _: Any) -> None:
    screener = type(bench.link.parts.screener)
    whole = screener.fact

    def fact(self: Any, *values: Any, **named: Any) -> Any:
        bench.clock.advance(6_000_000)
        return whole(self, *values, **named)

    bench.patch(screener, "fact", fact)


def _calendar(bench: Any, source: Any) -> None:
    before = calendars._calendar
    bench.calendar(source)
    bench.later(lambda: bench.calendar(before))


def calendar(works: Any) -> Any:
    """A calendar that says this of a day, or none."""
    return lambda bench, _: _calendar(bench, lambda _name: None if works is None else (works, "calendar-of-tests"))


def calendar_slow(bench: Any, _: Any) -> None:
    whole = calendars.calendar_facts

    def facts(*values: Any) -> Any:
        bench.clock.advance(6_000_000)
        return whole(*values)

    bench.patch(factreader, "calendar_facts", facts)


DOCTOR: Final = "Dr Li"
LATE: Final = "released lease_ran_out"
DAMAGED: Final = "error store.failed"
REFUSED: Final = "refuse FACT_UNKNOWN"
NOT_SOUND: Final = "refuse AGE_UNKNOWN FACT_UNKNOWN ZONE_UNKNOWN"
NO_GUARDIAN: Final = "refuse CONTACT_MISSING GUARDIAN_REQUIRED NO_CONSENT"
WHO: Final = "refuse CONTACT_MISSING FACT_UNKNOWN NO_CONSENT"
MAYBE_CHILD: Final = "refuse AGE_UNKNOWN CONTACT_MISSING NO_CONSENT"

# fmt: off
ROWS: Final[tuple[Row | Never, ...]] = (
    # standing
    Row("standing", "missing", "the patient's row is deleted", patients("DELETE"), "error input.not_found"),
    Row("standing", "corrupt", "`patients.standing` holds a word nobody knows", patients("standing = 'actve'"), DAMAGED),
    Row("standing", "late", "reading `patients` takes 6 s", slow("patients"), LATE, alone=False),
    Row("standing", "wrong type", "`patients.created` holds text", patients("created = 'long ago'"), NOT_SOUND),
    Never("standing", ("stale",), NO_AGE),
    Never("standing", ("undecryptable",), NOT_SEALED),
    # recipient_standing
    Row("recipient_standing", "missing", "the guardian's row is deleted", related("DELETE"), NO_GUARDIAN, child=True),
    Row("recipient_standing", "corrupt", "`related.standing` holds a word nobody knows", related("standing = 'x'"), WHO, child=True),
    Row("recipient_standing", "late", "reading `related` takes 6 s", slow("related"), LATE, child=True, alone=False),
    Row("recipient_standing", "wrong type", "`related.standing` holds bytes", related("standing = x'6163'"), WHO, child=True),
    Never("recipient_standing", ("stale",), NO_AGE),
    Never("recipient_standing", ("undecryptable",), NOT_SEALED),
    # age
    Row("age", "missing", "`patients.age` is empty", patients("age = NULL"), "refuse AGE_UNKNOWN"),
    Row("age", "corrupt", "`patients.age` holds a word nobody knows", patients("age = '18-'"), DAMAGED),
    Row("age", "undecryptable", "one bit of a child's sealed birth date", flip("patient", "birth_date", lambda _, cast: cast.patients), MAYBE_CHILD, child=True),
    Row("age", "late", "reading the sealed birth date takes 6 s", slow("sealed"), LATE, child=True, alone=False),
    Row("age", "wrong type", "a child's sealed birth date holds text", reseal("patient", "birth_date", "2021-03-01"), MAYBE_CHILD, child=True),
    Never("age", ("stale",), "a child's age is worked out from the birth date at each decision; adults stay adults"),
    # contact
    Row("contact", "missing", "the contact points are deleted", contact("DELETE"), "refuse CONTACT_MISSING"),
    Row("contact", "corrupt", "`contacts.status` holds a word nobody knows", contact("status = 'vald'"), "refuse CONTACT_MISSING"),
    Row("contact", "undecryptable", "one bit of the sealed address", flip("contact", "address", contacts), "released address_unreadable"),
    Row("contact", "late", "reading who is on an address takes 6 s", slow("contacts_on"), LATE, alone=False),
    Row("contact", "wrong type", "`contacts.verified_at` holds text", contact("verified_at = 'last year'"), "refuse CONTACT_MISSING"),
    Never("contact", ("stale",), "how old a verification may be is for a pack to say; the instant is part of the fact"),
    # guardian
    Row("guardian", "missing", "the related person's row is deleted", related("DELETE"), NO_GUARDIAN, child=True),
    Row("guardian", "stale", "the relation has ended", related("until = since"), NO_GUARDIAN, child=True),
    Row("guardian", "corrupt", "`related.scopes` holds a word nobody knows", related("scopes = 'gossip'"), WHO, child=True),
    Row("guardian", "late", "reading `related` takes 6 s", slow("related"), LATE, child=True, alone=False),
    Row("guardian", "wrong type", "`related.verified` holds text", related("verified = 'yes'"), WHO, child=True),
    Never("guardian", ("undecryptable",), "only the name is sealed, and no decision opens it"),
    # grants
    Row("grants", "missing", "the grants are deleted", grants("DELETE"), "refuse NO_CONSENT"),
    Row("grants", "stale", "the grant has run out", grants("until = since"), "refuse CONSENT_EXPIRED"),
    Row("grants", "corrupt", "`grants.purposes` holds a word nobody knows", grants("purposes = 'caer'"), REFUSED),
    Row("grants", "late", "reading `grants` takes 6 s", slow("grants"), LATE, alone=False),
    Row("grants", "wrong type", "`grants.separate` holds text", grants("separate = 'no'"), REFUSED),
    Never("grants", ("undecryptable",), "only the evidence is sealed, and no decision opens it"),
    # stops
    Row("stops", "missing", "the table `stops` is gone", lost("stops"), "error store.failed", alone=False),
    Row("stops", "corrupt", "`stops.purposes` of another stop holds a word nobody knows", stops("purposes = 'marketnig'"), REFUSED),
    Row("stops", "late", "reading `stops` takes 6 s", slow("stops"), LATE, alone=False),
    Row("stops", "wrong type", "`stops.since` of another stop holds text", stops("since = 'now'"), REFUSED),
    Never("stops", ("stale",), NO_AGE),
    Never("stops", ("undecryptable",), NOT_SEALED),
    # touches
    Row("touches", "missing", "the table `reservations` is gone", lost("reservations"), "error store.failed", alone=False),
    Row("touches", "corrupt", "`reservations.purpose` of an earlier message holds a word nobody knows", touches("purpose = 'care.x'"), REFUSED),
    Row("touches", "late", "reading `reservations` takes 6 s", slow("touches"), LATE, alone=False),
    Row("touches", "wrong type", "`reservations.at` of an earlier message holds text", touches("at = 'noon'"), REFUSED),
    Never("touches", ("stale",), "counted at each decision, as far back as the longest window in force"),
    Never("touches", ("undecryptable",), NOT_SEALED),
    # content
    Row("content", "missing", "the template's row is deleted", template("DELETE"), "refuse CONTENT_UNREVIEWED", alone=False),
    Row("content", "stale", "the approval has run out", template("until = since + 1"), "refuse CONTENT_EXPIRED", alone=False),
    Row("content", "corrupt", "the text is not the one that was approved", template("body = 'Something else.'"), "released content_changed", alone=False),
    Row("content", "late", "reading `templates` takes 6 s", slow("templates"), LATE, alone=False),
    Row("content", "wrong type", "`templates.since` holds text", template("since = 'today'"), "refuse CONTENT_UNREVIEWED", alone=False),
    Never("content", ("undecryptable",), NOT_SEALED),
    # channel
    Row("channel", "missing", "the plugin is gone from the registry", no_channels, "error input.not_found", alone=False),
    Row("channel", "late", "reading `channel_stops` takes 6 s", slow("stopped_channels"), LATE, alone=False),
    Row("channel", "wrong type", "`channel_stops.channel` holds bytes", lambda bench, _: bench.add("channel_stops", channel=b"smtp"), REFUSED, alone=False),
    Never("channel", ("stale",), NO_AGE),
    Never("channel", ("corrupt",), "a stop under a name that is no channel's is one of a channel that was removed"),
    Never("channel", ("undecryptable",), NOT_SEALED),
    # zones
    Row("zones", "missing", "patient, contact points and tenant have no zone", no_zone, "refuse ZONE_UNKNOWN", alone=False),
    Row("zones", "corrupt", "`patients.zone` is no zone", patients("zone = 'Asia/Shangai'"), "refuse ZONE_UNKNOWN"),
    Row("zones", "wrong type", "`patients.zone` holds bytes", patients("zone = x'41'"), NOT_SOUND),
    Never("zones", ("stale",), "offsets are worked out at each decision, from the zone data whose version the entry names"),
    Never("zones", ("undecryptable",), NOT_SEALED),
    Never("zones", ("late",), WITH_PEOPLE),
    # mode
    Row("mode", "missing", "the tenant's row is deleted", tenant("DELETE"), "error store.failed", alone=False),
    Row("mode", "corrupt", "`tenant.mode` holds a word nobody knows", tenant("mode = 'loud'"), "error store.failed", alone=False),
    Row("mode", "late", "reading `tenant` takes 6 s", slow("tenant"), LATE, alone=False),
    Row("mode", "wrong type", "`tenant.mode` holds bytes", tenant("mode = x'6c697665'"), "error store.failed", alone=False),
    Never("mode", ("stale",), NO_AGE),
    Never("mode", ("undecryptable",), NOT_SEALED),
    # clock
    Row("clock", "stale", "the wall clock stands three minutes behind the gate rows", behind, "defer CLOCK_UNTRUSTED", alone=False),
    Row("clock", "corrupt", "the wall clock is stepped three minutes forward", step(180_000_000), "defer CLOCK_UNTRUSTED", alone=False),
    Row("clock", "late", "the wall clock is stepped three minutes back", step(-180_000_000), "defer CLOCK_UNTRUSTED", alone=False),
    Row("clock", "wrong type", "`gates.last` holds text", gates("last = 'later'"), "defer CLOCK_UNTRUSTED"),
    Never("clock", ("missing",), "a machine has one; a gate row that is gone is one that was never made"),
    Never("clock", ("undecryptable",), NOT_SEALED),
    # store
    Row("store", "missing", "the head of the log is deleted", lambda bench, _: bench.change("head", "", (), "DELETE"), "error store.failed", alone=False),
    Row("store", "stale", "an older copy of the store's file is put back", restored, "refuse STORE_RESTORED", alone=False),
    Row("store", "late", "nothing can be published, and more waits than may", lagging, "defer LOG_UNPUBLISHED", alone=False),
    Row("store", "wrong type", "`head.size` holds text", lambda bench, _: bench.change("head", "", (), "size = 'big'"), "error store.failed", alone=False),
    Row("store", "corrupt", "`head.frontier` is no frontier", lambda bench, _: bench.change("head", "", (), "frontier = x'00'"), "error format.invalid", alone=False),
    Never("store", ("undecryptable",), NOT_SEALED),
    # keys_available
    Row("keys_available", "missing", "the key store has lost the tenant's secret", secret_gone, "defer KEYS_UNAVAILABLE", alone=False),
    Row("keys_available", "corrupt", "one bit of the wrapped secret", secret_flipped, "defer KEYS_UNAVAILABLE", alone=False),
    Row("keys_available", "undecryptable", "the key of the secret's epoch is not there", secret_of_another_root, "defer KEYS_UNAVAILABLE", alone=False),
    Row("keys_available", "late", "the key store takes 6 s to answer", secret_slow, LATE, alone=False),
    Row("keys_available", "wrong type", "the wrapped secret is text", lambda bench, _: _secret(bench, "wrapped = 'secret'"), "defer KEYS_UNAVAILABLE", alone=False),
    Never("keys_available", ("stale",), "asked at each decision"),
    # stage
    Row("stage", "corrupt", "`patients.stage` holds a word nobody knows", patients("stage = 'x'"), DAMAGED),
    Row("stage", "wrong type", "`patients.stage` holds bytes", patients("stage = x'61'"), DAMAGED),
    Never("stage", ("missing",), "not said is a value of its own: a rule that needs a stage refuses by itself"),
    Never("stage", ("stale",), NO_AGE),
    Never("stage", ("undecryptable",), NOT_SEALED),
    Never("stage", ("late",), WITH_PEOPLE),
    # clinician
    Row("clinician", "missing", "the credential's row is deleted", credentials("DELETE"), REFUSED, alone=False, clinician=DOCTOR),
    Row("clinician", "corrupt", "`credentials.role` holds a word nobody knows", credentials("role = 'x'"), REFUSED, alone=False, clinician=DOCTOR),
    Row("clinician", "late", "reading `credentials` takes 6 s", slow("credentials"), LATE, alone=False, clinician=DOCTOR),
    Row("clinician", "wrong type", "`credentials.since` holds text", credentials("since = 'ever'"), REFUSED, alone=False, clinician=DOCTOR),
    Never("clinician", ("stale",), "the dates of the credential are the fact: a rule that needs a valid one refuses by itself"),
    Never("clinician", ("undecryptable",), NOT_SEALED),
    # screening
    Row("screening", "missing", "the word lists are not there", lists(FileNotFoundError("no lists")), REFUSED, alone=False),
    Row("screening", "corrupt", "the word lists are not in their form", lists(FormatError("not a list")), REFUSED, alone=False),
    Row("screening", "late", "screening takes 6 s", screening_slow, LATE, alone=False),
    Row("screening", "wrong type", "what is loaded as word lists is something else", lists(None), REFUSED, alone=False),
    Never("screening", ("stale",), "the lists are those of the package; the entry names them by digest"),
    Never("screening", ("undecryptable",), NOT_SEALED),
    # calendars
    Row("calendars", "missing", "the calendar is not installed", calendar(None), "refuse CALENDAR_UNKNOWN", alone=False, purpose="care.treatment"),
    Row("calendars", "stale", "the calendar does not reach this year", calendar(lambda _: None), "refuse CALENDAR_UNKNOWN", alone=False, purpose="care.treatment"),
    Row("calendars", "corrupt", "the calendar fails", calendar(lambda day: {}[day]), "refuse CALENDAR_UNKNOWN", alone=False, purpose="care.treatment"),
    Row("calendars", "late", "the calendar takes 6 s to answer", calendar_slow, LATE, alone=False, purpose="care.treatment"),
    Never("calendars", ("wrong type",), "a calendar is asked for yes or no, and anything else is taken as one of them"),
    Never("calendars", ("undecryptable",), NOT_SEALED),
    # no source yet
    Never("vetoes", WAYS, NO_SOURCE, constant=True),
)
# fmt: on
