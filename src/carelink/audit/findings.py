"""What a verifier found: findings that name file, entry and defect, and the report they add up to."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final

import attrs

from carelink.audit.checkpoint import encode_base64
from carelink.model.moment import Instant, to_datetime

__all__ = ["MAX_LISTED", "Finding", "FindingCode", "Findings", "Judgement", "Report", "shown"]

MAX_LISTED: Final = 100
"""Findings a report lists; further ones are counted."""

_LONGEST_SHOWN: Final = 120


class Judgement(Enum):
    """What can be said, each with its exit code; the later outranks the earlier."""

    OK = 0
    DIVERGED = 4
    CANNOT_JUDGE = 5
    TAMPERED = 3

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        return self.value

    @property
    def rank(self) -> int:
        """Position in the order in which one outranks another."""
        return list(Judgement).index(self)


class FindingCode(StrEnum):
    """Kinds of defects; part of the machine-readable output."""

    KEY_FORM = "key_form"
    """The trusted key given is not a verifier key of a log."""
    KEY_INSIDE = "key_inside"
    """A key lies inside the folder it should judge."""
    CHECKPOINT_MISSING = "checkpoint_missing"
    CHECKPOINT_FORM = "checkpoint_form"
    CHECKPOINT_SIGNATURE = "checkpoint_signature"
    """The head is not signed by the given key, or is of another log."""
    BUNDLE_MISSING = "bundle_missing"
    BUNDLE_FORM = "bundle_form"
    LEAF = "leaf"
    """The bytes of an entry are not those that were signed."""
    TILE_MISSING = "tile_missing"
    TILE = "tile"
    """A hash tile is not what the entries give."""
    ROOT = "root"
    """The entries do not give the signed root."""
    ENTRY_FORM = "entry_form"
    """An entry is not in canonical form, or not where its kind belongs."""
    ENTRY_VERSION = "entry_version"
    """An entry of a form this version does not know."""
    HISTORY = "history"
    """An earlier checkpoint in the folder is malformed or not signed by the given key."""
    FORK = "fork"
    """Two checkpoints of the same key contradict each other; both are evidence."""
    ROLLBACK = "rollback"
    """A checkpoint of the same key is larger than the head."""
    SINCE_FORM = "since_form"
    """The remembered checkpoint given cannot be used."""
    README = "readme"
    """The README is not the text that the last export entry says went with the export."""
    SURPLUS = "surplus"
    """A file that does not belong to the log."""
    WITNESS = "witness"
    """Too few of the trusted witnesses cosigned, or one of their cosignatures does not verify."""
    UNREADABLE = "unreadable"
    """The medium did not give the file."""


@attrs.frozen(slots=True)
class Finding:
    """One defect.

    Attributes:
        code: kind of defect.
        judgement: what it means.
        detail: sentence without any content of an entry.
        path: file inside the folder, spelled so that it is safe to print; "" when none.
        index: number of the entry, from 0; None when it is not about one entry.
    """

    code: FindingCode
    judgement: Judgement
    detail: str
    path: str = ""
    index: int | None = None

    def __str__(self) -> str:
        where = [] if self.index is None else [f"entry {self.index}"]
        if self.path:
            where.append(self.path)
        return f"{self.code}: {', '.join(where)}: {self.detail}" if where else f"{self.code}: {self.detail}"


def shown(path: str) -> str:
    """A path from a folder nobody vouches for, in printable ASCII and of bounded length."""
    text = ascii(path)[1:-1]
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class Findings:
    """Collects findings in bounded memory; what is not listed still counts."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.unlisted = 0
        self.judgement = Judgement.OK
        self.evidence: list[bytes] = []
        self._tampered = 0

    def add(self, finding: Finding) -> None:
        """Keep a finding."""
        if finding.judgement.rank > self.judgement.rank:
            self.judgement = finding.judgement
        self._tampered += finding.judgement is Judgement.TAMPERED
        if len(self.listed) < MAX_LISTED:
            self.listed.append(finding)
        else:
            self.unlisted += 1
            if finding.judgement is Judgement.TAMPERED and self._tampered == 1:
                self.listed[-1] = finding

    def tampered(self, code: FindingCode, detail: str, path: str = "", index: int | None = None) -> None:
        """Keep a finding that contradicts what was signed."""
        self.add(Finding(code, Judgement.TAMPERED, detail, path, index))

    def cannot_judge(self, code: FindingCode, detail: str, path: str = "", index: int | None = None) -> None:
        """Keep a finding that leaves the question open."""
        self.add(Finding(code, Judgement.CANNOT_JUDGE, detail, path, index))

    def add_evidence(self, *notes: bytes) -> None:
        """Keep signed notes that contradict each other, the first such set only."""
        if not self.evidence:
            self.evidence.extend(notes)

    @property
    def exhausted(self) -> bool:
        """Whether so much is contradicted that looking further would add nothing."""
        return self._tampered >= MAX_LISTED


@attrs.frozen(slots=True)
class Report:
    """What a verification found.

    Attributes:
        judgement: the weightiest of all findings.
        findings: the first hundred, in the order they were met.
        unlisted: how many more there were.
        evidence: signed notes that contradict each other, for a third party; empty when there are none.
        origin: name of the log, from the given key; "" when the key is unusable.
        key_id, fingerprint: of the given key, hex.
        size: entries under the signed head; None when there is no head to trust.
        root: signed root.
        checked: entries whose bytes were hashed.
        history: earlier checkpoints in the folder that the entries reproduce.
        since: size of the remembered checkpoint that was shown to be a prefix; None when none was given, or it was not.
        strict: whether files beyond the head counted as findings.
        witnessed: entries of the largest checkpoint that enough trusted witnesses cosigned; `witnesses`: who, and
            `witnessed_at`: when the first of them did, POSIX seconds by its clock.
        latest: latest instant at which an entry says it was written, by its writer's clock; None when unknown.
    """

    judgement: Judgement
    findings: tuple[Finding, ...] = ()
    unlisted: int = 0
    evidence: tuple[bytes, ...] = ()
    origin: str = ""
    key_id: str = ""
    fingerprint: str = ""
    size: int | None = None
    root: bytes | None = None
    checked: int = 0
    history: int = 0
    since: int | None = None
    strict: bool = True
    latest: Instant | None = None
    witnessed: int | None = None
    witnesses: tuple[str, ...] = ()
    witnessed_at: int = 0

    @property
    def exit_code(self) -> int:
        """0 verified, 3 tampered, 5 cannot judge."""
        return self.judgement.exit_code

    @property
    def tier(self) -> str:
        """How much this shows: `witnessed` by others up to a size, `remembered` by the reader, else `signed`: by the
        key's holder alone.
        """
        if self.witnessed is not None:
            return "witnessed"
        return "signed" if self.since is None else "remembered"

    def lines(self) -> tuple[str, ...]:
        """The report as text; the verdict comes last."""
        lines = []
        if self.key_id:
            lines += [f"origin    {shown(self.origin)}   key {self.key_id}", f"key       SHA-256 {self.fingerprint}"]
        if self.size is not None and self.root is not None:
            lines.append(f"head      {self.size:,} entries   {encode_base64(self.root)}")
        if self.latest is not None:
            lines.append(
                f"newest    entry written {to_datetime(self.latest):%Y-%m-%dT%H:%M:%SZ} by the clock of the hospital"
            )
        lines.append(f"bytes     {self.checked:,} entries hashed, {self.history:,} earlier checkpoints reproduced")
        if self.witnessed is not None:
            names, beyond = ", ".join(map(shown, self.witnesses)), (self.size or 0) - self.witnessed
            at = to_datetime(Instant(self.witnessed_at * 1_000_000))
            lines.append(
                f"tier      witnessed: {self.witnessed:,} entries, by {names} at {at:%Y-%m-%dT%H:%M:%SZ}; "
                f"the last {beyond:,} are not"
            )
        if self.since is None and self.witnessed is None:
            lines.append("tier      signed: a rewrite by the key's holder shows only against a remembered checkpoint")
        elif self.since is not None:
            lines.append(f"tier      remembered: extends the given checkpoint of {self.since:,} entries")
        lines += [f"found     {finding}" for finding in self.findings]
        if self.unlisted:
            lines.append(f"found     and {self.unlisted:,} more")
        return (*lines, _VERDICTS[self.judgement])


_VERDICTS: Final = {
    Judgement.OK: "VERIFIED",
    Judgement.DIVERGED: "DIVERGED",
    Judgement.CANNOT_JUDGE: "CANNOT JUDGE",
    Judgement.TAMPERED: "TAMPERED",
}
