"""Form of entries as the verifier checks it: one canonical reading, a known version, genesis first and only there."""

from __future__ import annotations

from carelink.audit.bodies import GenesisBody
from carelink.audit.entry import parse_entry
from carelink.audit.findings import Finding, FindingCode, Judgement
from carelink.errors import CannotJudgeError, CarelinkError

__all__ = ["CanonicalEntries"]


class CanonicalEntries:
    """Checks the entries of the log of this origin; an `EntryCheck`."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def __call__(self, index: int, data: bytes) -> Finding | None:
        """What is wrong with an entry; None when nothing is. Never raises."""
        try:
            body = parse_entry(data).body
        except CannotJudgeError as error:
            return Finding(FindingCode.ENTRY_VERSION, Judgement.CANNOT_JUDGE, error.message, "", index)
        except CarelinkError as error:
            return _bad(error.message, index)
        except Exception:  # noqa: BLE001 - a verifier ends with a verdict, whatever the bytes do to a parser
            return _bad("the entry cannot be read", index)
        if isinstance(body, GenesisBody) != (index == 0):
            return _bad("a log begins with its genesis entry and has no other", index)
        if isinstance(body, GenesisBody) and body.origin != self._origin:
            return _bad("the genesis entry is of another log", index)
        return None


def _bad(detail: str, index: int) -> Finding:
    return Finding(FindingCode.ENTRY_FORM, Judgement.TAMPERED, detail, "", index)
