"""Verification of a published log with what an outsider has: the folder and a key that came another way.

Checked: signature and origin of the head under the given key; every bundle, leaf and hash tile, byte for byte; the
root; the canonical form of each entry; every earlier checkpoint in the folder, whose root the entries must reproduce;
the checkpoint the caller remembers; the README, whose digest the last export entry holds; and that nothing else lies in
the folder. Nothing is trimmed, nothing is trusted because it lies there, and hostile input makes findings, not
exceptions.

What it cannot show: that an entry is true (replay does that), that nothing was left out before it was recorded, or
that the holder of the key did not rewrite what nobody remembers (`Report.tier`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from carelink.audit.checkpoint import (
    ED25519,
    MAX_NOTE,
    NoteVerifier,
    SignatureCheck,
    SignedCheckpoint,
    VerifierKey,
    parse_number,
    parse_signed_checkpoint,
)
from carelink.audit.entry_form import CanonicalEntries
from carelink.audit.fetcher import Fetcher, NodeKind
from carelink.audit.findings import MAX_LISTED, FindingCode, Findings, Report, shown
from carelink.audit.scan import EntryCheck, Progress, TreeScan
from carelink.audit.surplus import SurplusWalk
from carelink.audit.witness import Witnessing
from carelink.errors import CarelinkError, FormatError, StoreError

__all__ = ["verify"]

_LONGEST_README: Final = 1 << 20


def verify(
    fetch: Fetcher,
    *,
    vkey: str,
    check_signature: SignatureCheck,
    since: bytes | None = None,
    strict: bool = True,
    progress: Progress | None = None,
    check_entry: EntryCheck | None = None,
    witnesses: Sequence[str] = (),
    require_witness: int = 0,
) -> Report:
    """Verify a published log.

    Args:
        fetch: reads the folder.
        vkey: the trusted key as text; it must not come from the folder.
        check_signature: Ed25519.
        since: a checkpoint note the caller kept; the log must extend it.
        strict: off while a writer is at work on the folder: what lies beyond the head is then no finding.
        progress: called after every 256 entries.
        check_entry: replaces the check of each entry's form, for trees that do not hold carelink's entries.
        witnesses: trusted keys of witnesses (type cosignature/v1) as text.
        require_witness: how many distinct ones of them must have cosigned one of the log's checkpoints.

    Returns:
        The report; nothing is raised for anything the folder, the key or the remembered checkpoint holds.
    """
    findings = Findings()
    verifier = _trusted(vkey, check_signature, findings)
    if verifier is None:
        return Report(findings.judgement, tuple(findings.listed), strict=strict)
    run = _Verification(fetch, verifier, findings, strict=strict)
    run.witnessing = Witnessing.of(witnesses, check_signature, require_witness, findings)
    try:
        run.verify(since, progress, check_entry)
    except StoreError as error:
        findings.cannot_judge(FindingCode.UNREADABLE, f"the log cannot be read: {error.message}")
    return run.report()


def _trusted(vkey: str, check: SignatureCheck, findings: Findings) -> NoteVerifier | None:
    problem = "not an Ed25519 key of a log"
    try:
        key = VerifierKey.parse(vkey)
        if key.kind == ED25519:
            return NoteVerifier(key, check)
    except CarelinkError as error:
        problem = error.message
    findings.cannot_judge(FindingCode.KEY_FORM, f"the given key cannot be used: {problem}")
    return None


class _Verification:
    """State of one verification."""

    def __init__(self, fetch: Fetcher, verifier: NoteVerifier, findings: Findings, *, strict: bool) -> None:
        self._fetch, self._verifier, self._findings, self._strict = fetch, verifier, findings, strict
        self._head: SignedCheckpoint | None = None
        self._since: SignedCheckpoint | None = None
        self._sizes = array("Q")
        self._contradicted: list[tuple[str, SignedCheckpoint]] = []
        self._reproduced = 0
        self._since_shown: int | None = None
        self._checked = 0
        self._form = CanonicalEntries(verifier.key.name)
        self.witnessing = Witnessing(())

    def verify(self, since: bytes | None, progress: Progress | None, check_entry: EntryCheck | None) -> None:
        """Run all checks that the state of the folder allows."""
        if since is not None:
            self._since = self._open(since, FindingCode.SINCE_FORM, "", "the remembered checkpoint")
        head = self._head = self._read_head()
        if head is None:
            return
        self._sizes = self._list_history(head)
        wanted = self._wanted(head)
        check = check_entry or self._form
        scan = TreeScan(
            self._fetch,
            head.size,
            self._findings,
            check,
            wanted=wanted,
            sink=self._at_size,
            progress=progress,
            exact=self._strict,
        )
        try:
            root = scan.run()
            self._settle(root, head)
            scan.settle(root_is_signed=None if root is None else root == head.root)
        finally:
            scan.settle(root_is_signed=None)
            self._checked = scan.checked
        if root == head.root:
            self.witnessing.see(head, "checkpoint", self._findings)
            if check_entry is None:
                self._read_readme()
        self.witnessing.settle(self._findings)
        SurplusWalk(self._fetch, head.size, self._sizes, self._findings, strict=self._strict).run()

    def report(self) -> Report:
        """What was found."""
        found, head, key = self._findings, self._head, self._verifier.key
        return Report(
            judgement=found.judgement,
            findings=tuple(found.listed),
            unlisted=found.unlisted,
            evidence=tuple(found.evidence),
            origin=key.name,
            key_id=key.key_id.hex(),
            fingerprint=key.fingerprint,
            size=None if head is None else head.size,
            root=None if head is None else head.root,
            checked=self._checked,
            history=self._reproduced,
            since=self._since_shown,
            strict=self._strict,
            witnessed=self.witnessing.size,
            witnesses=self.witnessing.names,
            witnessed_at=self.witnessing.seconds,
            latest=self._form.latest,
        )

    def _read_readme(self) -> None:
        """A README must be the one that the log says went with the export: its instructions are followed."""
        data = self._fetch.read("README.md", _LONGEST_README)
        if data is not None and sha256(data).hexdigest() != self._form.readme:
            detail = "not the text that was exported with the log; do not follow it"
            self._findings.tampered(FindingCode.README, detail, "README.md")

    def _open(self, data: bytes, form: FindingCode, path: str, what: str) -> SignedCheckpoint | None:
        """Read a note and accept it under the key; a remembered one that fails says nothing about the log."""
        signed: SignedCheckpoint | None = None
        code, problem = form, ""
        try:
            signed = parse_signed_checkpoint(data)
            if form is FindingCode.CHECKPOINT_FORM:
                code = FindingCode.CHECKPOINT_SIGNATURE
            self._verifier.open(signed.note)
            if signed.checkpoint.origin != self._verifier.key.name:
                problem = "it is of another log than the given key"
        except CarelinkError as error:
            problem = error.message
        if not problem:
            return signed
        add = self._findings.cannot_judge if form is FindingCode.SINCE_FORM else self._findings.tampered
        add(code, f"{what}: {problem}", path)
        return None

    def _read_head(self) -> SignedCheckpoint | None:
        data = self._fetch.read("checkpoint", MAX_NOTE)
        if data is None:
            self._findings.cannot_judge(FindingCode.CHECKPOINT_MISSING, "there is no checkpoint", "checkpoint")
            return None
        head = self._open(data, FindingCode.CHECKPOINT_FORM, "checkpoint", "the head")
        since = self._since
        if head is not None and since is not None and since.size > head.size:
            detail = f"the head has {head.size} entries, the remembered checkpoint {since.size}"
            self._findings.tampered(FindingCode.ROLLBACK, detail, "checkpoint")
            self._findings.add_evidence(since.to_bytes(), head.to_bytes())
        return head

    def _list_history(self, head: SignedCheckpoint) -> array[int]:
        sizes = array("Q")
        for name, kind in self._fetch.names("checkpoints"):
            size = _size_of(name) if kind is NodeKind.FILE else None
            path = f"checkpoints/{name}"
            if size is None:
                temporary = not self._strict and name.startswith(".") and name.endswith(".tmp")
                if not temporary:
                    self._findings.tampered(FindingCode.SURPLUS, "not the name of a checkpoint", shown(path))
            elif size <= head.size:
                sizes.append(size)
            elif self._strict:
                self._ahead(path, size, head)
            if self._findings.exhausted:
                break
        return array("Q", sorted(sizes))

    def _ahead(self, path: str, size: int, head: SignedCheckpoint) -> None:
        """A checkpoint larger than the head: signed, it proves that the head was set back."""
        signed = self._read_history(path, size)
        if signed is not None:
            detail = f"a checkpoint of {size} entries is signed, the head has {head.size}"
            self._findings.tampered(FindingCode.ROLLBACK, detail, path)
            self._findings.add_evidence(signed.to_bytes(), head.to_bytes())

    def _wanted(self, head: SignedCheckpoint) -> array[int]:
        since = self._since
        if since is None or since.size > head.size:
            return array("Q", self._sizes)
        return array("Q", sorted({*self._sizes, since.size}))

    def _at_size(self, size: int, root: bytes) -> None:
        """Compare the entries' root at a size with the checkpoints that claim it."""
        since = self._since
        if since is not None and since.size == size:
            if since.root == root:
                self._since_shown = size
            else:
                self._contradicted.append(("", since))
        at = bisect_left(self._sizes, size)
        if at < len(self._sizes) and self._sizes[at] == size and len(self._contradicted) < MAX_LISTED:
            path = f"checkpoints/{size}"
            signed = self._read_history(path, size)
            if signed is not None and signed.root != root:
                self._contradicted.append((path, signed))
            if signed is not None and signed.root == root:
                self._reproduced += 1
                self.witnessing.see(signed, path, self._findings)

    def _settle(self, root: bytes | None, head: SignedCheckpoint) -> None:
        """Name what the roots say: changed bytes if the entries miss the signed root, else a second history."""
        if root is not None and root != head.root:
            self._findings.tampered(FindingCode.ROOT, "the entries do not give the signed root", "checkpoint")
        for path, signed in self._contradicted:
            what = f"the {'earlier' if path else 'remembered'} checkpoint of {signed.size} entries"
            if root == head.root or (signed.size == head.size and signed.root != head.root):
                self._findings.tampered(FindingCode.FORK, f"the signed head does not continue {what}", path)
                self._findings.add_evidence(signed.to_bytes(), head.to_bytes())
            else:
                self._findings.tampered(FindingCode.ROOT, f"the entries do not give the root of {what}", path)

    def _read_history(self, path: str, size: int) -> SignedCheckpoint | None:
        data = self._fetch.read(path, MAX_NOTE)
        if data is None:
            return None
        signed = self._open(data, FindingCode.HISTORY, path, "an earlier checkpoint")
        if signed is not None and signed.size != size:
            self._findings.tampered(FindingCode.HISTORY, "its name is not its size", path)
            return None
        return signed


def _size_of(name: str) -> int | None:
    try:
        return parse_number(name)
    except FormatError:
        return None
