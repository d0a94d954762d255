"""A long log made from a short one: what the real engine wrote for one patient over three years, told again for thousands.

    python benchmarks/synthetic_log.py DIR --entries N      writes a published log; its key is printed

The engine runs once: one patient, registered with a grant, is sent a reminder each month; each is reported as delivered,
and now and then a request is refused. Every further patient is the same story with ids, salts, keyed hashes and instants
of their own, so that every entry differs, every decision follows from its facts, and the whole replays without divergence.
Entries stand in the order of their instants: everybody's first month, then everybody's second. Nothing here is secret:
ids come from a counter, and the log's key is made from the seed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import shake_128
from pathlib import Path

import attrs

from carelink.audit.checkpoint import Checkpoint, SignedCheckpoint, VerifierKey, sign_checkpoint
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.audit.tiles import tile_files
from carelink.model.moment import DAY, HOUR, MINUTE
from carelink.ports.channel import ChannelEvent
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent

MONTHS = 36
APART = 37_000
"""Microseconds between one patient and the next; no number of one patient's story is near another's."""

_SALT = re.compile(rb'"salt":"[A-Za-z0-9_-]{22}"')
_REF = re.compile(rb'"(?:[0-9a-f]{64}|[0-9a-f]{32})"')
_INSTANT = re.compile(rb"(?<=[:\[])1[0-9]{15}(?=[,}\]])")


@attrs.frozen
class Story:
    """What one patient adds to the log, month by month, as templates.

    Attributes:
        prefix: entries before the first patient.
        chapters: the entries of registration, then of each month: format and what fills it, in order.
        signer: signs for the log; its key is the one that the first entry names.
    """

    prefix: tuple[bytes, ...]
    chapters: tuple[tuple[Template, ...], ...]
    signer: object
    key: VerifierKey
    refs: int

    @property
    def length(self) -> int:
        """Entries of one patient."""
        return sum(map(len, self.chapters))

    def entries(self, count: int) -> Iterator[bytes]:
        """So many entries; the last month may be cut short."""
        yield from self.prefix[:count]
        left = count - len(self.prefix)
        patients = max(1, -(-left // self.length))
        for chapter in self.chapters:
            for patient in range(patients):
                ids = _ids(patient, self.refs)
                for template in chapter:
                    if left <= 0:
                        return
                    left -= 1
                    yield template.fill(patient, ids)


@attrs.frozen
class Template:
    """An entry with holes: salts, references and instants, in the order they stand."""

    form: bytes
    number: int
    holes: tuple[tuple[str, int], ...]

    def fill(self, patient: int, ids: Sequence[bytes]) -> bytes:
        """The entry of one patient."""
        shift, values = patient * APART, []
        for kind, value in self.holes:
            if kind == "ref":
                values.append(ids[value])
            elif kind == "at":
                values.append(b"%d" % (value + shift))
            else:
                values.append(_salt(patient, self.number))
        return self.form % tuple(values)


def _ids(patient: int, count: int) -> list[bytes]:
    text = shake_128(b"id %d" % patient).hexdigest(32 * count).encode()
    return [text[at : at + 64] for at in range(0, len(text), 64)]


def _salt(patient: int, number: int) -> bytes:
    return b64encode(shake_128(b"salt %d %d" % (patient, number)).digest(16), b"-_")[:22]


def story() -> Story:
    """Let the engine tell it once."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "home")
        world.content()
        world.clock.advance(DAY + 17 * MINUTE + 1)
        marks = [_size(world)]
        patient = world.patient()
        marks.append(_size(world))
        for month in range(MONTHS):
            world.clock.advance(30 * DAY + 11 - (HOUR if month and month % 2 == 0 else 0))
            sent = world.link.send(world.ask(patient))
            assert sent.receipt is not None, sent
            world.clock.advance(MINUTE)
            handed = world.email.handed[-1]
            event = ChannelEvent(event=DeliveryEvent.DELIVERED, key=handed.key, event_id=f"e-{month}",
                                 address=Personal(handed.address))  # fmt: skip
            world.link.inbound("rec-email", [event])
            if month % 2:
                world.clock.advance(HOUR)
                assert world.link.send(world.ask(patient, purpose="marketing.event")).effect.value == "refuse"
            marks.append(_size(world))
        world.link.publish()
        entries = [data for _, data in world.link.wiring.log.entries()]
        signer, key = world.link.notary.signer, world.link.key
        world.link.close()
    return _told(entries, marks, signer, key)


def _size(world: World) -> int:
    with world.link.wiring.store.reader() as reader:
        return reader.head().size


def _told(entries: list[bytes], marks: list[int], signer: object, key: VerifierKey) -> Story:
    prefix = entries[: marks[0]]
    known = b"".join(prefix)
    refs: dict[bytes, int] = {}
    chapters = []
    for start, end in zip(marks, [*marks[1:], len(entries)], strict=True):
        if start < end:
            chapters.append(tuple(_template(entries[n], n, known, refs) for n in range(start, end)))
    return Story(tuple(prefix), tuple(chapters), signer, key, len(refs))


def _template(entry: bytes, number: int, known: bytes, refs: dict[bytes, int]) -> Template:
    """What earlier entries say of everybody stays as it is: policies, templates, plugins, and their instants."""
    found = [(match.start() + 8, match.end() - 1, ("salt", 0)) for match in _SALT.finditer(entry)]
    for match in _REF.finditer(entry):
        text = match.group()[1:-1]
        if text not in known:
            found.append((match.start() + 1, match.end() - 1, ("ref", refs.setdefault(text, len(refs)))))
    zones = entry.partition(b'"zones":{')[2].partition(b"}")[0]
    found += [
        (match.start(), match.end(), ("at", int(match.group())))
        for match in _INSTANT.finditer(entry)
        if match.group() not in known and match.group() not in zones
    ]
    parts, at = [], 0
    for start, end, hole in sorted(found):
        cut = b"%.32b" if hole[0] == "ref" and end - start == 32 else b"%b"
        parts += [entry[at:start], cut]
        at = end
    form = b"".join([*parts, entry[at:]])
    return Template(form, number, tuple(hole for _, _, hole in sorted(found)))


def write(folder: Path, count: int, *, told: Story | None = None, history: Sequence[int] = ()) -> str:
    """Write a published log of so many entries, with checkpoints of earlier sizes; its verifier key as text."""
    told = told or story()
    edge, size, notes = Frontier(), 0, dict[int, SignedCheckpoint]()

    def seen() -> Iterator[bytes]:
        nonlocal edge, size
        leaves: list[bytes] = []
        for entry in told.entries(count):
            leaves.append(leaf_hash(entry))
            size += 1
            if size in history or len(leaves) == 256 or size == count:
                edge, leaves = edge.append_many(leaves), []
            if size in history or size == count:
                notes[size] = sign_checkpoint(Checkpoint(told.key.name, size, edge.root()), [told.signer])
            yield entry

    for path, data in tile_files(0, seen(), lambda _: None):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (folder / "checkpoints").mkdir(parents=True)
    for earlier, note in notes.items():
        (folder / "checkpoints" / str(earlier)).write_bytes(note.to_bytes())
    (folder / "checkpoint").write_bytes(notes[count].to_bytes())
    return told.key.text


def main() -> int:
    """Write a log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, default=1_000_000)
    args = parser.parse_args()
    print(write(args.folder, args.entries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
