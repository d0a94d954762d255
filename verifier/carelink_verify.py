#!/usr/bin/env python3
"""Checks an exported carelink log, or a patient's folder of proofs, with nothing but Python's standard library.

usage: python carelink_verify.py FOLDER --key KEY [--since FILE]     KEY: a verifier key line, or @FILE outside FOLDER

Written from docs/reference/published-log.md and log-entry.md alone; imports neither carelink nor anything in FOLDER.
Exit codes: 0 verified; 2 wrong usage; 3 tampered; 4 a request did not end in exactly one state; 5 cannot judge.
Not shown: sends outside carelink, a second log, forks that nobody remembered a checkpoint of, and whether decisions
follow from their facts (`carelink audit replay` shows that).
"""

import argparse
import base64
import hashlib
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

VERIFIED, NOT_CONSERVED, CANNOT_JUDGE, TAMPERED = VERDICTS = ["VERIFIED", "NOT CONSERVED", "CANNOT JUDGE", "TAMPERED"]
EXIT = {VERIFIED: 0, NOT_CONSERVED: 4, CANNOT_JUDGE: 5, TAMPERED: 3}
LISTED, WIDTH, MAX_NOTE, MAX_BUNDLE = 50, 256, 256 * 1024, 256 * (2 + 0xFFFF)
SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, SQRT_M1 = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)


class Bad(Exception):
    """Something is not in its form; the text shows nothing of it."""


def add_points(p, q):
    """Points of edwards25519 in extended coordinates (RFC 8032, 5.1.4)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point(data):
    """The point that these 32 bytes are the one encoding of, or None."""
    y, sign = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * SQRT_M1 % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519(public, signature, message):
    """Whether the signature is of this message under this key (RFC 8032, 5.1.7, without cofactor)."""
    key, scalar = point(public), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or key is None or scalar >= L:
        return False
    digest = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus, total = (P - key[0], key[1], 1, P - key[3]), (0, 1, 1, 0)
    choice = (None, BASE, minus, add_points(BASE, minus))
    for bit in range(255, -1, -1):
        total, pick = add_points(total, total), choice[(scalar >> bit & 1) + 2 * (digest >> bit & 1)]
        total = add_points(total, pick) if pick else total
    x, y = (each * pow(total[2], -1, P) % P for each in total[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def unbase64(text):
    """Bytes of base64 in its one canonical spelling."""
    quads = re.fullmatch(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}[A-Za-z0-9+/=]=)?", text)
    data = base64.b64decode(text) if quads else b""
    if base64.b64encode(data).decode() != text:
        raise Bad("not canonical base64")
    return data


def number(text):
    """A decimal without leading zeros, as far as a log can count."""
    if not SIZE.fullmatch(text) or int(text) > 2**63 - 1:
        raise Bad("not a decimal number without leading zeros")
    return int(text)


class Key:
    """A verifier key line: name+hex(key id)+base64(0x01 || Ed25519 public key)."""

    def __init__(self, line):
        parts = [*line.removesuffix("\n").split("+", 2), "", ""][:3]
        blob = unbase64(parts[2])
        self.name, self.public = parts[0], blob[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + blob).digest()[:4]
        if not is_name(self.name) or blob[:1] != b"\1" or len(blob) != 33 or parts[1] != self.id.hex():
            raise Bad("not an Ed25519 verifier key of a log")


def is_name(text):
    """Whether a text can name a key."""
    return bool(text) and "+" not in text and not any(each.isspace() or each < " " for each in text)


class Note:
    """A checkpoint as a signed note (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""

    def __init__(self, data, key):
        body, mark, lines = data.decode("utf-8", "replace").rpartition("\n\n")
        rows, head = lines[:-1].split("\n"), body.split("\n")
        odd = any((each < " " and each != "\n") or each == "\ufffd" for each in body + lines)
        if len(data) > MAX_NOTE or odd:
            raise Bad("not a note of UTF-8 text")
        if not mark or not lines.endswith("\n") or len(rows) > 64 or len(head) != 3 or not head[0]:
            raise Bad("not three lines and their signatures")
        self.origin, self.size, self.root = head[0], number(head[1]), unbase64(head[2])
        if len(self.root) != 32:
            raise Bad("a root hash has 32 bytes")
        mine = [blob[4:] for name, blob in map(self._signature, rows) if name == key.name and blob[:4] == key.id]
        if not mine:
            raise Bad("not signed by the given key")
        if not all(len(each) == 64 and ed25519(key.public, each, (body + "\n").encode()) for each in mine):
            raise Bad("the signature of the given key does not verify")
        if self.origin != key.name:
            raise Bad("of another log than the given key")

    @staticmethod
    def _signature(row):
        dash, name, code = [*row.split(" "), "", ""][:3]
        blob = unbase64(code)
        if row.count(" ") != 2 or dash != "\N{EM DASH}" or not is_name(name) or len(blob) < 5:
            raise Bad("not a signature line")
        return name, blob


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """RFC 6962 root of a growing list of hashes, kept as the roots of its complete subtrees, largest first."""

    def __init__(self, hashes=b""):
        self.stack, self.size = [], 0
        self.extend(hashes)

    def extend(self, hashes):
        for at in range(0, len(hashes), 32):
            each, position = bytes(hashes[at : at + 32]), self.size
            while position & 1:
                each, position = node(self.stack.pop(), each), position >> 1
            self.stack.append(each)
            self.size += 1

    def root(self):
        total = self.stack[-1] if self.stack else hashlib.sha256(b"").digest()
        for left in reversed(self.stack[:-1]):
            total = node(left, total)
        return total


def tile_path(level, index, width):
    """Path of a tile (c2sp.org/tlog-tiles); level "entries" names a bundle of entries."""
    groups = f"{index % 1000:03d}"
    while index := index // 1000:
        groups = f"x{index % 1000:03d}/{groups}"
    return f"tile/{level}/{groups}" + ("" if width == WIDTH else f".p/{width}")


def tile_of(path):
    """(level, index, width) of a path spelled exactly as `tile_path` spells it, else None."""
    match = re.fullmatch(r"tile/(entries|[0-7])/((?:x?[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", path, re.ASCII)
    index, width = (int(re.sub("[x/]", "", match[2])), int(match[3] or WIDTH)) if match else (0, 0)
    return (match[1], index, width) if match and tile_path(match[1], index, width) == path else None


def bundle(data, width):
    """Entries of a bundle, and what is wrong with it or an empty text."""
    found, at = [], 0
    while data is not None and len(found) < width:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            return found, "ends early"
        found.append(data[at + 2 : end])
        at = end
    return found, "is missing" if data is None else "has surplus bytes" if at < len(data) else ""


FIELDS = """decision: request facts policy effect rules reasons decision / earliest notes lease reservation expires;
consent_granted: grant subject purposes channels by since separate notice evidence / until plans method age; witness:
name size digest; claim: request facts policy effect rules reasons claim reservation / earliest notes lease; sealed:
successor by; handover: reservation request channel outcome attempted_at / content wire provider detail; plugins: digest
plugins; suppression_added: suppression purposes channels source since / person address until plans; opened: subject
what purpose by / role access; access: action access subject actor what purpose / by until finding; rights: receipt
right subject by / refusal; suppression_carried: suppression address purposes channels source since / until plans;
suppression_lifted: suppression by at; content: action template version digest by / purposes channels since until quorum
data role at number number_until channel state lists findings; credential: action credential actor role by / since until
at; policy: digest packs by approvers loosens; inbound: event channel source matched actions / address; genesis: origin
tenant log_key form created / previous; consent_ended: grant subject state ended_at / evidence; reconciled: from_size
to_size restored orphaned by; subject: subject / standing age contact guardian stage; recovered: reservation request
outcome by; erasing: subject reason / by; stopped: suppressions in_flight released; receipt: reservation event at state;
released: reservation request cause; export: first last by / readme; pack: id version digest toml; key: action key
version; mode: mode by / checks; merged: subject merged; erased: subject kept"""
FIELDS = dict(" ".join(item.split()).split(": ") for item in FIELDS.split(";"))  # needed / may be left out
ALPHABET = re.compile(rb'[A-Za-z0-9_.:+/=*\-{}\[\]",]*')


def integer(text):
    """Reader of every number in an entry: only an integer within 2^53 gets through."""
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,15}", text, re.ASCII) or abs(int(text)) > 2**53 - 1:
        raise Bad("an entry holds a number that is no integer within 2^53")
    return int(text)


def holds_null(value):
    """Whether null stands anywhere; in the form, what is absent is left out."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(holds_null, parts))


def read_entry(data, index, origin):
    """The entry. Bad: not in its form; LookupError: of a version or kind that this program does not know."""
    try:
        entry = json.loads(data.decode(), parse_int=integer, parse_float=integer, parse_constant=integer)
        again = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        canonical = again == data and not holds_null(entry)
    except (ValueError, RecursionError):
        canonical = False
    if not canonical or not isinstance(entry, dict) or type(entry.get("v")) is not int:
        raise Bad("an entry is not a canonical JSON object with a version")
    kind, body = entry.get("kind"), entry.get("body")
    if entry["v"] != 1 or (isinstance(kind, str) and kind not in FIELDS):
        raise LookupError("an entry has a version or a kind that this program does not know")
    salt_fits = re.fullmatch(r"[A-Za-z0-9_-]{21}[AQgw]", str(entry.get("salt")), re.ASCII)
    if set(entry) != {"at", "body", "kind", "salt", "v"} or type(entry["at"]) is not int or not salt_fits:
        raise Bad("an entry has not its five fields")
    needed, _, more = FIELDS[kind].partition("/")
    if not isinstance(body, dict) or not set(needed.split()) <= set(body) <= {*needed.split(), *more.split()}:
        raise Bad(f"an entry of kind `{kind}` has not its fields")
    if kind not in ("genesis", "pack") and not ALPHABET.fullmatch(data):
        raise Bad(f"an entry of kind `{kind}` holds a character that no field of it has")
    if (kind == "genesis") is not (index == 0) or (kind == "genesis" and body["origin"] != origin):
        raise Bad("a log begins with its own genesis entry and has no other")
    if kind == "pack" and hashlib.sha256(str(body["toml"]).encode()).hexdigest() != body["digest"]:
        raise Bad("the digest of a pack is not of its text")
    return entry


class Conservation:
    """What became of every request: exactly one final state each, and one claimed permit behind each hand-over."""

    def __init__(self):
        self.state, self.open, self.breaks, self.readme = {}, {}, [], None

    def take(self, index, kind, body):
        if kind == "decision":
            had, lease, permit = self.state.get(body["request"], ""), body.get("lease"), body["effect"] == "permit"
            if had.endswith(("permit waiting", "in flight", ": accepted", ": awaiting_human", ": unknown")):
                if not permit and body["facts"].get("store") == "restored":
                    return  # a restored backup refuses what it does not know; the request stays what it was
                self.breaks.append(f"entry {index}: decided again though it is {had}")
            self.state[body["request"]] = body["effect"] if not permit else "in flight" if lease else "permit waiting"
            if permit and self.open.setdefault(body.get("reservation"), (body["request"], lease))[0] != body["request"]:
                self.breaks.append(f"entry {index}: one permit for two requests")
        elif kind in ("claim", "handover", "recovered", "released"):
            self._after(index, kind, body)

    def _after(self, index, kind, body):
        request, lease = self.open.get(body["reservation"], (None, None))
        if request != body["request"] or (kind != "released" and (lease is None) is not (kind == "claim")):
            self.breaks.append(f"entry {index}: a {kind} without exactly one permit of its request open for it")
        elif kind == "claim":
            if body["effect"] == "permit":
                self.state[request], self.open[body["reservation"]] = "in flight", (request, body.get("lease"))
        else:
            if kind == "handover" and body["attempted_at"] >= lease:
                self.breaks.append(f"entry {index}: an attempt at or after the end of its lease")
            self.state[request] = f"{kind}: {body.get('outcome', body.get('cause'))}"
            del self.open[body["reservation"]]


class Check:
    """One check of one folder: what was found, and the weightiest verdict."""

    def __init__(self, folder, key_text):
        self.folder, self.verdict, self.lines, self.balance, self.entries = folder, VERIFIED, [], Conservation(), 0
        self.key = Key(key_text if not key_text.startswith("@") else self._key_file(Path(key_text[1:]).resolve()))

    def _key_file(self, place):
        if place.is_relative_to(self.folder.resolve()):
            raise Bad("the key lies inside the folder that it should judge")
        return place.read_text(encoding="utf-8")

    def found(self, verdict, text):
        self.verdict = max(self.verdict, verdict, key=VERDICTS.index)
        self.lines.append(text)

    def read(self, path, limit=MAX_BUNDLE):
        """At most limit + 1 bytes of a plain file; None where there is none, or a link on the way to it."""
        place, parts = self.folder, path.split("/")
        if any((place := place / part).is_symlink() for part in parts) or not place.is_file():
            return None
        with place.open("rb") as file:
            return file.read(limit + 1)

    def note(self, data, name, verdict=TAMPERED):
        try:
            return Note(data, self.key)
        except Bad as error:
            self.found(verdict, f"{name}: {error}")
        return None

    def log(self, since):
        """Check a whole log; the head, or None where there is none to go by."""
        data = self.read("checkpoint", MAX_NOTE)
        head = self.note(data, "checkpoint") if data is not None else self.found(CANNOT_JUDGE, "there is no checkpoint")
        kept = self.note(since, "the remembered checkpoint", CANNOT_JUDGE) if since is not None else None
        if head is None:
            return None
        notes = [("checkpoint", head), *self.history(), *([("the remembered checkpoint", kept)] if kept else [])]
        for name, note in notes:
            if note.size > head.size:
                self.found(TAMPERED, f"checkpoint: set back to {head.size} entries; {name} has {note.size}")
        notes = sorted((each for each in notes if each[1].size <= head.size), key=lambda each: each[1].size)
        levels, tree = self.leaves(head.size), Tree()
        for name, note in notes if levels else ():
            tree.extend(levels[0][tree.size * 32 : note.size * 32])
            if tree.root() != note.root:
                self.found(TAMPERED, f"{name}: the entries do not give the root of {note.size} entries")
        self.files(levels, head.size, {note.size for _, note in notes})
        for line in self.balance.breaks:
            self.found(NOT_CONSERVED, line)
        return head

    def history(self):
        """Every earlier checkpoint that is in its form, with its path."""
        place = self.folder / "checkpoints"
        for name in sorted(os.listdir(place)) if place.is_dir() and not place.is_symlink() else ():
            path = f"checkpoints/{name}"
            data = self.read(path, MAX_NOTE)
            if data is None or not SIZE.fullmatch(name):
                self.found(TAMPERED, f"{path!a}: not the name of a checkpoint")
            elif (note := self.note(data, path)) is not None and note.size == int(name):
                yield path, note
            elif note is not None:
                self.found(TAMPERED, f"{path}: its name is not its size")

    def leaves(self, size):
        """The hashes of each level of tiles, one behind the other, made from the entries; None if some are missing."""
        hashes, whole = bytearray(), True
        for index in range(-(-size // WIDTH)):
            width = min(WIDTH, size - index * WIDTH)
            path, signed = tile_path("entries", index, width), self.read(tile_path(0, index, width)) or b""
            entries, wrong = bundle(self.read(path), width)
            if wrong:
                self.found(TAMPERED, f"{path}: entry {index * WIDTH + len(entries)}: the bundle {wrong}")
                whole = False
            for at, entry in enumerate(entries):
                hashes += leaf(entry)
                if hashes[-32:] == signed[at * 32 : at * 32 + 32]:
                    self.entry(index * WIDTH + at, entry, path)
                else:
                    self.found(TAMPERED, f"{path}: entry {index * WIDTH + at}: not the bytes that its hash tile names")
        levels = [hashes]
        while len(levels[-1]) >= WIDTH * 32:
            starts = range(0, len(levels[-1]) - WIDTH * 32 + 1, WIDTH * 32)
            levels.append(bytearray(b"".join(Tree(levels[-1][at : at + WIDTH * 32]).root() for at in starts)))
        return levels if whole else None

    def entry(self, index, data, path):
        """Check the form of an entry, and let it count."""
        self.entries += 1
        try:
            entry = read_entry(data, index, self.key.name)
            self.balance.take(index, entry["kind"], entry["body"])
            self.balance.readme = entry["body"].get("readme") if entry["kind"] == "export" else self.balance.readme
        except Bad as error:
            self.found(TAMPERED, f"{path}: entry {index}: {error}")
        except LookupError as error:
            self.found(CANNOT_JUDGE, f"{path}: entry {index}: {error}")

    def files(self, levels, size, sizes):
        """Each tile holds what the entries give, none is missing, and nothing else lies in the folder."""
        shifts = {"entries": 0, **{str(level): 8 * level for level in range(8)}}
        missing = {tile_path(level, index, min(WIDTH, (size >> shift) - index * WIDTH))
                   for level, shift in shifts.items() for index in range(-(-(size >> shift) // WIDTH))}  # fmt: skip
        edges = {tile_path(level, (each >> shift) // WIDTH, (each >> shift) % WIDTH)
                 for level, shift in shifts.items() for each in sizes}  # fmt: skip
        for top, folders, files in os.walk(self.folder):
            for name in [*files, *(each for each in folders if (Path(top) / each).is_symlink())]:
                path = (Path(top) / name).relative_to(self.folder).as_posix()
                data, tile = self.read(path), tile_of(path)
                called_for = tile is not None and (path in missing or path in edges)
                missing.discard(path)
                if path == "README.md" and data is not None and hashlib.sha256(data).hexdigest() != self.balance.readme:
                    self.found(TAMPERED, "README.md: not the text that was exported with the log; do not follow it")
                if data is not None and called_for:
                    if levels and not self.is_right(tile, data, levels):
                        self.found(TAMPERED, f"{path}: not what the entries give")
                elif data is None or not (path in ("checkpoint", "README.md") or path.startswith("checkpoints/")):
                    self.stray(path, data)
        for path in sorted(missing):
            self.found(TAMPERED, f"{path}: is missing")

    @staticmethod
    def is_right(tile, data, levels):
        """Whether the bytes of a tile are what the entries give."""
        level, index, width = tile
        if level == "entries":
            entries, wrong = bundle(data, width)
            data = b"" if wrong else b"".join(map(leaf, entries))
        hashes = levels[0 if level == "entries" else int(level)]
        return hashes[index * WIDTH * 32 : (index * WIDTH + width) * 32] == data

    def stray(self, path, data):
        """A file that does not belong: a key proves nothing where it lies, anything else was put there."""
        try:
            Key((data or b"")[:2048].decode("utf-8", "replace").strip())
        except Bad:
            self.found(TAMPERED, f"{path!a}: does not belong to the log")
        else:
            self.found(CANNOT_JUDGE, f"{path!a}: a key inside the folder proves nothing; take it away")

    def proofs(self):
        """Check each `proofs/N.entry` against its `proofs/N.proof` (c2sp.org/tlog-proof)."""
        names = os.listdir(self.folder / "proofs")
        for stem in sorted({name.rpartition(".")[0] for name in names}):
            data, proof = self.read(f"proofs/{stem}.entry"), self.read(f"proofs/{stem}.proof")
            try:
                self.proof(data, (proof or b"").partition(b"\n\n"))
                self.entries += 1
            except Bad as error:
                self.found(TAMPERED, f"proofs/{stem!a}: {error}")
            except LookupError as error:
                self.found(CANNOT_JUDGE, f"proofs/{stem!a}: {error}")
        if {name.rpartition(".")[2] for name in names} != {"entry", "proof"}:
            self.found(TAMPERED, "proofs: holds something else than entries and their proofs, or nothing")

    def proof(self, data, parts):
        rows = parts[0].decode("ascii", "replace").split("\n")
        index = number(rows[1].removeprefix("index ")) if rows[1:] else -1
        if data is None or rows[0] != "c2sp.org/tlog-proof@v1":
            raise Bad("not an entry beside its proof")
        note = Note(parts[2], self.key)
        if not included(leaf(data), index, note.size, [unbase64(row) for row in rows[2:]], note.root):
            raise Bad("the proof does not show this entry in the log")
        read_entry(data, index, self.key.name)


def included(total, index, size, path, root):
    """Whether an audit path leads from a leaf to the root (RFC 9162, 2.1.3.2)."""
    position, last = index, size - 1
    for sibling in path:
        if last <= 0:
            return False
        if position & 1 or position == last:
            total = node(sibling, total)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            total = node(total, sibling)
        position, last = position >> 1, last >> 1
    return index < size and last == 0 and total == root


def main(arguments):
    """Check, print, and answer with the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", required=True)
    parser.add_argument("--since", type=Path)
    args = parser.parse_args(arguments)
    try:
        check = Check(args.folder, args.key)
        print(f"key       {check.key.name}   {check.key.id.hex()}")
        if (args.folder / "proofs").is_dir():
            check.proofs()
        elif head := check.log(args.since.read_bytes() if args.since else None):
            print(f"head      {head.size} entries   {base64.b64encode(head.root).decode()}")
        lines, verdict = check.lines, check.verdict
        print(f"entries   {check.entries} read and hashed")
        for name, count in sorted(Counter(check.balance.state.values()).items()):
            print(f"requests  {count:>9}  {name}")
    except (Bad, OSError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, Bad) else type(error).__name__
        lines, verdict = [f"key or folder: {reason}"], CANNOT_JUDGE
    for line in [*lines[:LISTED], *([f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else [])]:
        print(f"found     {line}")
    print("limits    sends outside carelink, a second log, and forks that no one remembers cannot be shown")
    print(verdict)
    return EXIT[verdict]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
