"""Sealing a field beside a bare primitive and beside what an application would otherwise take; import of sealed patients beside
plain inserts; renewal of keys. All ratios in one run.

    python benchmarks/bench_vault.py [--pairs N] [--rounds N] [--patients N] [--no-limit]

pair:   a value sealed and opened again under one key. Beside `AESGCM` with one key, a random nonce, the same bytes and associated data:
        limit 2.2, aim 2.0. Beside `Fernet`: at least 6 times faster. Beside sqlalchemy-utils' encrypted type, where the interpreter that
        CARELINK_SQLALCHEMY_UTILS names has it: at least 7 times.
import: patients with name, birth date, phone and mail, registered in batches of a thousand, beside inserts of the same values in clear into
        one table with one index, in as many commits of the same durability. Limit 12.
keys:   seconds for a million wrapped keys under a new epoch, and for a million data keys renewed, from `--patients` of them. Only reported.

Of the rounds, the fastest counts, of the processor; import and keys by the clock. Exit code 1: a limit is not held.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from carelink.engine.registration import ContactInput, PatientInput
from carelink.system import entropy
from carelink.testing.world import World
from carelink.vault.datakey import new_data_key
from carelink.vault.envelope import FieldContext, open_field, seal
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind

HERE = Path(__file__).parent
VALUE = "13812345678, 林小满"
BATCH = 1_000


def fastest(work: Callable[[], object], pairs: int, rounds: int) -> float:
    """Seconds of the processor for one call, in the fastest round."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(pairs):
            work()
        best = min(best, (time.process_time() - began) / pairs)
    return best


class Table:
    """Prints a line for each ratio and remembers whether a limit was missed."""

    def __init__(self) -> None:
        self.good = True

    def line(
        self,
        what: str,
        took: float,
        beside: str,
        other: float,
        *,
        most: float | None = None,
        least: float | None = None,
    ) -> None:
        """One ratio: at most so many times the other's time, or at least so many times faster."""
        ratio = took / other if most is not None else other / took
        bound = most if most is not None else least
        held = ratio <= most if most is not None else least is None or ratio >= least
        self.good &= held
        how = "times the time of" if most is not None else "times faster than"
        limit = "" if bound is None else f"   limit {bound:g}{'' if held else '  MISSED'}"
        print(f"{what:28} {took * 1e6:9.2f} us  {ratio:6.2f} {how} {beside} ({other * 1e6:.2f} us){limit}")


def pairs(table: Table, count: int, rounds: int) -> None:
    key = new_data_key("t" * 32, "0" * 32, entropy)
    place = FieldContext("t" * 32, "contact", "address", "1" * 32)
    envelope = seal(key, place, VALUE)
    plain = bytes(len(envelope) - 46)
    aad = place.aad(envelope[:18])
    cipher = AESGCM(os.urandom(32))
    fernet = Fernet(Fernet.generate_key())
    raw = VALUE.encode()

    def bare() -> object:
        nonce = os.urandom(12)
        return cipher.decrypt(nonce, cipher.encrypt(nonce, plain, aad), aad)

    ours = fastest(lambda: open_field(key, place, seal(key, place, VALUE)), count, rounds)
    table.line("pair", ours, "AESGCM with one key", fastest(bare, count, rounds), most=2.2)
    table.line("pair", ours, "Fernet", fastest(lambda: fernet.decrypt(fernet.encrypt(raw)), count, rounds), least=6.0)
    python = os.environ.get("CARELINK_SQLALCHEMY_UTILS")
    if python is None:
        print(f"{'':28} not compared with sqlalchemy-utils: CARELINK_SQLALCHEMY_UTILS names no Python that has it")
        return
    script = [python, str(HERE / "peers" / "encrypted_type.py"), str(max(100, count // 10)), str(rounds)]
    default, sealed = map(float, subprocess.run(script, check=True, capture_output=True, text=True).stdout.split())
    table.line("pair", ours, "sqlalchemy-utils (AES-CBC)", default, least=7.0)
    table.line("pair", ours, "sqlalchemy-utils (AES-GCM)", sealed, least=7.0)


def people(count: int) -> list[PatientInput]:
    return [
        PatientInput(
            identifiers=(("mrn", Personal(f"B-{number:07d}")),),
            name=Personal(f"Person {number}"),
            birth_date=Personal(date(1970, 1, 5)),
            contacts=(
                ContactInput(kind=AddressKind.PHONE, address=Personal(f"+86138{number:08d}")),
                ContactInput(kind=AddressKind.EMAIL, address=Personal(f"b{number}@example.invalid")),
            ),
        )
        for number in range(count)
    ]


def plain_inserts(folder: Path, count: int) -> float:
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        db.execute(f"PRAGMA {pragma}")
    db.execute(
        "CREATE TABLE patients (id TEXT PRIMARY KEY, mrn TEXT UNIQUE, name TEXT, born TEXT, phone TEXT, mail TEXT)"
    )
    rows = [
        (
            f"{number:032x}",
            f"B-{number:07d}",
            f"Person {number}",
            "1970-01-05",
            f"+86138{number:08d}",
            f"b{number}@example.invalid",
        )
        for number in range(count)
    ]
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO patients VALUES (?, ?, ?, ?, ?, ?)", rows[start : start + BATCH])
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.close()
    return took


def imports(table: Table, folder: Path, count: int) -> World:
    given = people(count)
    world = World(folder / "home", sqlite=True)
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        world.link.register_many(given[start : start + BATCH])
    ours = time.perf_counter() - began
    table.line("import, a patient", ours / count, "plain inserts", plain_inserts(folder, count) / count, most=12.0)
    return world


def renewals(world: World, count: int) -> None:
    for what, work in (("epoch", world.link.rotation.epoch), ("data", world.link.rotation.data)):
        began = time.perf_counter()
        done = work()
        took = time.perf_counter() - began
        print(f"{'keys, ' + what:28} {took / count * 1e6:9.2f} s for a million patients ({count} renewed, {done})")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--no-limit", action="store_true", help="report only")
    args = parser.parse_args(argv)
    table = Table()
    pairs(table, args.pairs, args.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-vault-") as folder:
        world = imports(table, Path(folder), args.patients)
        renewals(world, args.patients)
        world.link.close()
    return 0 if table.good or args.no_limit else 1


if __name__ == "__main__":
    sys.exit(main())
