"""What an auditor does with an exported folder: verify it under a key from elsewhere, replay it, see a forgery named.

Run it: `python examples/verify_export.py`. It needs no store, no keys and no network; only `prepare` does.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import carelink
from carelink import Request
from carelink.audit.divergence import Summary
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder


def prepare(place: Path) -> str:
    """A log with a few decisions in it, exported; the log's key, which the auditor must not take from the folder."""
    with carelink.init(place / "clinic", zone="Asia/Shanghai") as link:
        link.template("recheck", "Your recheck is due.", purposes=["care.appointment"], channels=["email"])
        link.approve("recheck", actor="Dr Chen")
        for number in range(6):
            patient = link.register(
                identifier=f"MRN-{number}", email=f"p{number}@example.invalid", birth_date=date(1968, 4, 2)
            )
            if number % 2:
                link.grant(patient, purposes=["care"], channels=["email"], evidence=f"form {number}")
            link.send(Request(key=f"recheck/{number}", patient=patient, purpose="care.appointment", channel="email",
                              template="recheck"))  # fmt: skip
        link.export(place / "export", actor="Dr Chen")
        return link.key.text


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        key, export = prepare(Path(folder)), Path(folder) / "export"
        report = verify(FolderFetcher(export), vkey=key, check_signature=KeyFolder.check_signature)
        print("verify: exit code", report.exit_code, *report.lines(), sep="\n  ")

        summary = Summary()
        differs = list(replay(LogFolder(export).entries(), PolicyJudge(), summary=summary))
        print(f"replay: {summary.decisions + summary.claims} decisions derived again, {len(differs)} differ")

        bundle = next((export / "tile" / "entries").rglob("*.p/*"))
        forged = bundle.read_bytes().replace(b'"effect":"refuse"', b'"effect":"permit"', 1)
        bundle.write_bytes(forged)
        report = verify(FolderFetcher(export), vkey=key, check_signature=KeyFolder.check_signature)
        print("after one changed word: exit code", report.exit_code, *report.lines(), sep="\n  ")


if __name__ == "__main__":
    main()
