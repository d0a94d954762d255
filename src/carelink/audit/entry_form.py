"""Form of entries as the verifier checks it: one canonical reading, a known version, genesis first and only there."""

from __future__ import annotations

from carelink.audit.bodies import ExportBody, GenesisBody
from carelink.audit.entry import parse_entry
from carelink.audit.findings import Finding, FindingCode, Judgement
from carelink.errors import CannotJudgeError, CarelinkError
from carelink.model.moment import Instant

__all__ = ["CanonicalEntries"]


class CanonicalEntries:
    """Checks the entries of the log of this origin; an `EntryCheck`.

    Attributes:
        latest: the latest instant at which an entry says it was written; None before the first.
        readme: digest, hex, of the README that the last export entry says went with it; None where none says so.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.latest: Instant | None = None
        self.readme: str | None = None

    def __call__(self, index: int, data: bytes) -> Finding | None:
        """What is wrong with an entry; None when nothing is. Never raises."""
        try:
            entry = parse_entry(data)
        except CannotJudgeError as error:
            return Finding(FindingCode.ENTRY_VERSION, Judgement.CANNOT_JUDGE, error.message, "", index)
        except CarelinkError as error:
            return _bad(error.message, index)
        except Exception:  # noqa: BLE001 - a verifier ends with a verdict, whatever the bytes do to a parser
            return _bad("the entry cannot be read", index)
        body = entry.body
        self.latest = entry.at if self.latest is None else max(self.latest, entry.at)
        if isinstance(body, ExportBody):
            self.readme = body.readme
        if isinstance(body, GenesisBody) != (index == 0):
            return _bad("a log begins with its genesis entry and has no other", index)
        if isinstance(body, GenesisBody) and body.origin != self._origin:
            return _bad("the genesis entry is of another log", index)
        return None


def _bad(detail: str, index: int) -> Finding:
    return Finding(FindingCode.ENTRY_FORM, Judgement.TAMPERED, detail, "", index)
