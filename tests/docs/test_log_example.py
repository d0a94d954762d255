"""docs/reference/log-example.md cannot lie: every value on it is computed again, with hashlib and nothing of carelink."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carelink.audit.verify import verify
from carelink.cli.main import main as carelink
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "log-example.md").read_text(encoding="utf-8")
NAME = b"log.example/clinic"


def leaf(entry):
    return sha256(b"\x00" + entry).digest()


def node(left, right):
    return sha256(b"\x01" + left + right).digest()


@pytest.fixture(scope="module")
def page():
    """The blocks of the page by their names."""
    found = dict(re.findall(r"<!-- value: ([^\n]+) -->\n```text\n(.*?)\n```", PAGE, re.DOTALL))
    assert len(found) == PAGE.count("```text") == 19
    return found


def dumped(text):
    """Bytes of a dump: offset, at most sixteen of them, and what they are as text."""
    data = b""
    for line in text.split("\n"):
        offset, codes, shown = line[:4], line[6:53], line[55:]
        row = bytes.fromhex(codes)
        assert int(offset, 16) == len(data)
        assert shown == "".join(chr(each) if 32 <= each < 127 else "." for each in row)
        data += row
    return data


@pytest.fixture(scope="module")
def entries(page):
    """The three entries; the first is taken out of its bundle."""
    bundle = dumped(page["bundle"])
    length = int.from_bytes(bundle[:2], "big")
    assert len(bundle) == length + 2
    assert f"{len(bundle)} bytes. The first two are the length of the entry, 0x{length:04x} = {length};" in PAGE
    return [bundle[2:], page["entry 1"].encode(), page["entry 2"].encode()]


def test_the_key(page):
    public = bytes.fromhex(page["public key"])
    secret = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert secret.public_key().public_bytes_raw() == public
    preimage = NAME + b"\n\x01" + public
    assert page["key id preimage"] == preimage.hex()
    assert page["key id"] == sha256(preimage).hexdigest()[:8]
    line = f"{NAME.decode()}+{page['key id']}+{b64encode(bytes([1]) + public).decode()}"
    assert page["verifier key"] == line
    assert page["fingerprint"] == sha256(line.encode()).hexdigest()
    assert line.encode() in dumped(page["bundle"])


def test_the_hashes(page, entries):
    leaves = [leaf(entry) for entry in entries]
    assert [page[f"leaf {n}"] for n in range(3)] == [each.hex() for each in leaves]
    assert page["node 0 1"] == node(leaves[0], leaves[1]).hex()
    assert page["root 3"] == node(node(leaves[0], leaves[1]), leaves[2]).hex()
    assert f"is now {sum(len(each) + 2 for each in entries)} bytes" in PAGE


@pytest.mark.parametrize(("size", "root"), [(1, "leaf 0"), (3, "root 3")])
def test_the_checkpoints(page, size, root):
    lines = page[f"checkpoint {size}"].split("\n")
    assert lines[:4] == [NAME.decode(), str(size), b64encode(bytes.fromhex(page[root])).decode(), ""]
    dash, name, code = lines[4].split(" ")
    assert (dash, name, len(lines)) == ("\N{EM DASH}", NAME.decode(), 5)
    blob, message = b64decode(code), "".join(f"{line}\n" for line in lines[:3]).encode()
    assert (len(blob), blob[:4].hex()) == (68, page["key id"])
    Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().verify(blob[4:], message)
    if size == 1:
        assert page["signature"] == blob[4:].hex()
        assert dumped(page["signed message"]) == message
        assert f"{len(message)} bytes:" in PAGE


def test_the_proofs(page):
    hashes = [b64encode(bytes.fromhex(page[name])).decode() for name in ("leaf 1", "leaf 2")]
    assert page["inclusion"].split("\n") == [
        "c2sp.org/tlog-proof@v1", "index 0", *hashes, "", *page["checkpoint 3"].split("\n")
    ]  # fmt: skip
    assert page["growth"].split("\n") == ["old 1", *hashes, "", *page["checkpoint 3"].split("\n")]


def test_carelink_and_the_second_reader_accept_what_the_page_shows(page, entries, tmp_path, capsys):
    files = {
        "checkpoint": page["checkpoint 3"].encode() + b"\n",
        "checkpoints/1": page["checkpoint 1"].encode() + b"\n",
        "tile/entries/000.p/1": dumped(page["bundle"]),
        "tile/entries/000.p/3": b"".join(len(each).to_bytes(2, "big") + each for each in entries),
        "tile/0/000.p/1": bytes.fromhex(page["leaf 0"]),
        "tile/0/000.p/3": bytes.fromhex(page["leaf 0"] + page["leaf 1"] + page["leaf 2"]),
    }
    for name, data in files.items():
        (tmp_path / "log" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "log" / name).write_bytes(data)
    key = page["verifier key"]
    report = verify(FolderFetcher(tmp_path / "log"), vkey=key, check_signature=KeyFolder.check_signature)
    assert report.exit_code == 0, report.lines()
    spec = importlib.util.spec_from_file_location("second", ROOT / "verifier" / "carelink_verify.py")
    second = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(second)
    with contextlib.redirect_stdout(io.StringIO()):
        assert second.main([str(tmp_path / "log"), "--key", key]) == 0
    for name, against, data in (("inclusion", "--entry", entries[0]), ("growth", "--since", files["checkpoints/1"])):
        (tmp_path / "proof").write_text(page[name] + "\n", encoding="utf-8")
        (tmp_path / "against").write_bytes(data)
        assert carelink(["audit", "prove", "--check", str(tmp_path / "proof"), against, str(tmp_path / "against"),
                         "--key", key]) == 0  # fmt: skip
    assert "PROVEN" in capsys.readouterr().out
