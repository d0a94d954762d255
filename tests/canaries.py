"""Canaries: personal data of nobody, and the search for them in every spelling bytes may lie in (P8)."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import urllib.parse
import zlib
from pathlib import Path

CANARIES = {
    "name": "Tweety Kanarienvogel",
    "chinese name": "林金丝雀",
    "phone": "13900007264",
    "email": "canary.7264@example.invalid",
    "identity number": "11010519491231002X",
    "medical record number": "MRN-canary-7264",
    "birth date": "1949-12-31",
    "template variable": "cataract-canary-ward 7",
    "evidence": "paper form canary 7264, cabinet 3",
    "provider id": "provider-canary-7264",
    "event id": "event-canary-7264",
    "request key": "case/canary-7264/day-1",
    "reply text": "canary-7264 please call me",
}


def _base64_cores(data):
    """What any base64 text of bytes holding these must contain: one for each of the three alignments."""
    for lead in range(3):
        text = base64.b64encode(bytes(lead) + data).decode()
        start, end = -(-lead * 8 // 6), len(text) - (0 if (lead + len(data)) % 3 == 0 else 4)
        yield text[start:end]
        yield text[start:end].replace("+", "-").replace("/", "_")


def spellings(text):
    """Byte strings by which a text may be lying somewhere, with the name of the encoding."""
    for name in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
        data = text.encode(name)
        yield name, data
        yield f"hex of {name}", data.hex().encode()
        yield f"HEX of {name}", data.hex().upper().encode()
        for core in _base64_cores(data):
            yield f"base64 of {name}", core.encode()
    yield "JSON", json.dumps(text)[1:-1].encode()
    yield "URL", urllib.parse.quote(text, safe="").encode()
    yield (
        "quoted-printable",
        "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"={byte:02X}" for byte in text.encode()).encode(),
    )


PATTERNS = [
    (what, how, data)
    for what, text in CANARIES.items()
    for how, data in dict.fromkeys(spellings(text))
    if len(data) > 5
]
ANY = re.compile(b"|".join(sorted({re.escape(data) for _, _, data in PATTERNS}, key=len, reverse=True)), re.IGNORECASE)


def unpacked(data):
    """The bytes, and what gzip or zlib streams in them hold."""
    yield data
    for mark, bits in ((b"\x1f\x8b\x08", 31), (b"\x78\x01", 15), (b"\x78\x9c", 15), (b"\x78\xda", 15)):
        at = data.find(mark)
        while at >= 0:
            with contextlib.suppress(zlib.error):
                yield zlib.decompressobj(bits).decompress(data[at:], 1 << 24)
            at = data.find(mark, at + 1)


def found_in(data):
    """Names of the canaries that bytes or text hold, in whatever spelling."""
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    found = set()
    for part in unpacked(data):
        if ANY.search(part):
            low = part.lower()
            found |= {what for what, _, pattern in PATTERNS if pattern.lower() in low}
    return found


def search(*folders, leave_out=()):
    """Canaries by file, for all files below the folders."""
    files = {path for folder in folders for path in Path(folder).rglob("*") if path.is_file()}
    files -= {path for path in files if any(path.is_relative_to(each) for each in leave_out)}
    return {path.name: found for path in sorted(files) if (found := found_in(path.read_bytes()))}, files
