"""`carelink demo`, told in this process: what is in its log, what is left behind, and that its checks can fail."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import attrs
import pytest

from carelink.audit.bodies import HandoverBody
from carelink.audit.conservation import balance
from carelink.audit.decided import DecidedBody, DecisionBody
from carelink.audit.entry import Entry, parse_entry
from carelink.cli.main import main
from carelink.consent.facts import Known
from carelink.consent.reasons import ReasonCode
from carelink.errors import ConflictError
from carelink.home import open_home
from carelink.interop.demo_cast import CASES
from carelink.interop.synthetic import LABEL
from carelink.stores.logfolder import LogFolder
from carelink.testing.fakes import FakeClock
from carelink.vocabulary import AgeBand, Effect, Mode, RecipientRole

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = (AgeBand.UNDER_8, AgeBand.FROM_8)


@attrs.frozen
class Told:
    """One telling that was kept."""

    folder: Path
    code: int
    output: str
    entries: list[Entry]

    @property
    def decisions(self) -> list[DecisionBody]:
        return [entry.body for entry in self.entries if isinstance(entry.body, DecisionBody)]

    @property
    def mails(self) -> list[str]:
        folder = self.folder / "home" / "outbox" / "email"
        return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.eml"))]

    def subjects(self, code: ReasonCode) -> set[str]:
        """Who was refused or put off for this reason."""
        return {body.facts.subject for body in self.decisions if code in [v.reason for v in body.reasons]}


def _run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = main([*arguments])
    return code, out.getvalue()


def _tell(folder: Path, *arguments: str) -> Told:
    code, output = _run("demo", "--keep", str(folder), *arguments)
    log = LogFolder(folder / "export")
    return Told(folder, code, output, [parse_entry(data) for _, data in log.entries()])


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return _tell(tmp_path_factory.mktemp("bundled") / "demo")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory, fhir_sample: Path) -> Told:
    return _tell(tmp_path_factory.mktemp("synthetic") / "demo", "--fhir", str(fhir_sample), "--synthetic")


@pytest.fixture(scope="module")
def uninvented(tmp_path_factory: pytest.TempPathFactory, fhir_sample: Path) -> Told:
    return _tell(tmp_path_factory.mktemp("uninvented") / "demo", "--fhir", str(fhir_sample))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Two patients without consent, so that a telling is short."""
    folder = tmp_path / "few"
    folder.mkdir()
    rows = [
        {"resourceType": "Patient", "id": f"p{number}", "birthDate": "1970-01-01", "name": [{"text": f"P {number}"}]}
        for number in range(2)
    ]
    (folder / "Patient.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder


# -- the bundled people ----------------------------------------------------------------------------------------------


def test_the_bundled_story_comes_out_as_promised(bundled: Told) -> None:
    assert bundled.code == 0, bundled.output
    assert "BROKEN" not in bundled.output
    people = sum(case.count for case in CASES)
    assert len({body.facts.subject for body in bundled.decisions}) == people
    permitted = {body.facts.subject for body in bundled.decisions if body.effect is Effect.PERMIT}
    assert len(permitted) == sum(case.count for case in CASES if case.effect is Effect.PERMIT)


@pytest.mark.parametrize("case", [case for case in CASES if case.reason is not None], ids=lambda case: case.key)
def test_every_hard_case_is_refused_for_its_reason(bundled: Told, case) -> None:
    wanted = sum(other.count for other in CASES if other.reason is case.reason)
    assert len(bundled.subjects(case.reason)) >= wanted


def test_children_are_reached_through_their_guardian_only(bundled: Told) -> None:
    children = [
        body for body in bundled.decisions if isinstance(body.facts.age, Known) and body.facts.age.value in CHILDREN
    ]
    permitted = [body for body in children if body.effect is Effect.PERMIT]
    assert len({body.facts.subject for body in permitted}) == 4
    assert {body.facts.role for body in permitted} == {RecipientRole.GUARDIAN}
    assert len(bundled.subjects(ReasonCode.GUARDIAN_REQUIRED)) == 3


def test_a_shared_mailbox_shares_its_cap(bundled: Told) -> None:
    capped = [body for body in bundled.decisions if ReasonCode.CAP_EXCEEDED in [v.reason for v in body.reasons]]
    assert len({body.facts.subject for body in capped}) == 3
    assert len({body.facts.address for body in capped}) == 1
    handed = Counter(
        body.facts.address for body in bundled.decisions if body.effect is Effect.PERMIT and body.lease is not None
    )
    assert handed[capped[0].facts.address] == 3


def test_the_stop_binds_while_permits_wait(bundled: Told) -> None:
    kinds = [entry.kind.value for entry in bundled.entries]
    stop = kinds.index("stopped")
    assert bundled.entries[stop].body.in_flight == ()
    (released,) = bundled.entries[stop].body.released
    after = [entry.body for entry in bundled.entries[stop:]]
    assert not any(isinstance(body, HandoverBody) and body.reservation == released for body in after)
    (stopped,) = bundled.subjects(ReasonCode.OPTED_OUT)
    assert not any(
        isinstance(body, DecidedBody) and body.facts.subject == stopped and body.effect is Effect.PERMIT
        for body in after
    )
    assert sum(isinstance(body, HandoverBody) for body in after) > 30


def test_the_log_and_the_outbox_tell_the_same(bundled: Told) -> None:
    handed = [entry.body for entry in bundled.entries if isinstance(entry.body, HandoverBody)]
    assert len(bundled.mails) == len(handed) == len({body.reservation for body in handed})
    counted = balance(enumerate(bundled.entries))
    assert counted.findings == ()
    assert sum(counted.states.values()) == counted.requests == len({body.request for body in bundled.decisions})
    assert counted.states["handover:accepted"] == len(handed)


def test_a_script_without_the_engine_counts_the_same(bundled: Told) -> None:
    command = [sys.executable, str(ROOT / "verifier" / "count_outcomes.py"), str(bundled.folder / "export")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout
    assert f"handed over: accepted        {len(bundled.mails)}" in ran.stdout


def test_what_is_kept_verifies_and_what_is_forged_does_not(bundled: Told) -> None:
    with open_home(bundled.folder / "home") as link:
        key = link.key.text
    assert _run("audit", "verify", str(bundled.folder / "export"), "--key", key)[0] == 0
    assert _run("audit", "replay", str(bundled.folder / "export"), "--key", key)[0] == 0
    code, output = _run("audit", "verify", str(bundled.folder / "forged"), "--key", key)
    assert code == 3
    named = next(line for line in bundled.output.splitlines() if line.startswith("leaf: entry "))
    assert named in output
    assert key in bundled.output


def test_a_kept_home_can_never_go_live(bundled: Told) -> None:
    with open_home(bundled.folder / "home", clock=FakeClock(bundled.entries[-1].at)) as link:
        for mode in (Mode.LIVE, Mode.TEAM):
            with pytest.raises(ConflictError):
                link.set_mode(mode, actor="Dr Chen", checks=0)
        assert link.mode() is Mode.SANDBOX
    code, _ = _run("--home", str(bundled.folder / "home"), "mode", "live", "--actor", "Dr Chen")
    assert code != 0
    assert _run("--home", str(bundled.folder / "home"), "mode") == (0, "sandbox\n")


def test_no_personal_data_on_the_screen(bundled: Told) -> None:
    addresses = {
        line.removeprefix("To: ") for mail in bundled.mails for line in mail.splitlines() if line.startswith("To: ")
    }
    assert len(addresses) > 30
    assert not any(address in bundled.output for address in addresses)
    assert "@" not in bundled.output
    assert "MRN-" not in bundled.output
    assert "555 01" not in bundled.output


# -- the sample beside the project -----------------------------------------------------------------------------------


def test_the_sample_with_synthetic_consents(synthetic: Told) -> None:
    assert synthetic.code == 0, synthetic.output
    assert "2026-01-15T10:00:00-05:00" in synthetic.output.splitlines()[0]
    assert "104 records: 104 patients, 25 of them deceased" in synthetic.output
    assert "[ok] the log did not grow by one entry" in synthetic.output
    assert "104 of 104 have a phone number that no text message can reach: CONTACT_INVALID" in synthetic.output
    assert f"\n{LABEL}" in synthetic.output
    assert len({body.facts.subject for body in synthetic.decisions}) == 104
    assert len(synthetic.subjects(ReasonCode.SUBJECT_DECEASED)) == 25
    permitted = {body.facts.subject for body in synthetic.decisions if body.effect is Effect.PERMIT}
    assert len(permitted) >= 40
    assert not permitted & synthetic.subjects(ReasonCode.SUBJECT_DECEASED)
    handed = [entry.body for entry in synthetic.entries if isinstance(entry.body, HandoverBody)]
    assert {body.channel for body in handed} == {"outbox-email"}
    assert len(handed) == len(synthetic.mails)


def test_minors_of_the_sample(synthetic: Told) -> None:
    children = {  # the first decision about each: whoever says STOP later is picked by chance, and may be one of them
        body.facts.subject: body
        for body in reversed(synthetic.decisions)
        if isinstance(body.facts.age, Known)
        and body.facts.age.value in CHILDREN
        and ReasonCode.SUBJECT_DECEASED not in [v.reason for v in body.reasons]
    }
    permitted = [body for body in children.values() if body.effect is Effect.PERMIT]
    assert len(children) == 6
    assert len(permitted) == 3
    assert {body.facts.role for body in permitted} == {RecipientRole.GUARDIAN}
    assert set(children) - {body.facts.subject for body in permitted} == synthetic.subjects(
        ReasonCode.GUARDIAN_REQUIRED
    )
    assert sum("To: synthetic-guardian-" in mail for mail in synthetic.mails) >= 3
    assert all("@example.invalid" in mail for mail in synthetic.mails)


def test_without_synthetic_nothing_is_invented(uninvented: Told) -> None:
    assert uninvented.code == 0, uninvented.output
    assert {body.effect for body in uninvented.decisions} == {Effect.REFUSE}
    assert len(uninvented.subjects(ReasonCode.NO_CONSENT)) == 104
    assert len(uninvented.subjects(ReasonCode.SUBJECT_DECEASED)) == 25
    kinds = {entry.kind.value for entry in uninvented.entries}
    assert kinds.isdisjoint({"consent_granted", "guardian", "handover", "claim"})
    assert uninvented.mails == []
    assert LABEL not in uninvented.output
    end = uninvented.output.splitlines()[-6:]
    assert any("no consent is on record" in line for line in end)
    assert any("carelink consent import --csv FILE" in line for line in end)


# -- usage, leftovers, and checks that fail --------------------------------------------------------------------------


def test_synthetic_without_fhir_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, output = _run("demo", "--synthetic")
    assert code == 2
    assert "--fhir" in output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_patients_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    code, output = _run("demo", "--fhir", str(tmp_path))
    assert code == 2
    assert "Patient" in output
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: Path, language: str) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("COLUMNS", "40")
    code, output = _run("--lang", language, "demo", "--fhir", str(few))
    assert code == 0, output
    assert ("这些患者没有同意记录" in output) is (language == "zh")
    assert ("no consent is on record" in output) is (language == "en")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_throw_away_home_is_removed_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: Path
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def broken(*_: object) -> None:
        raise ConflictError("on purpose")

    monkeypatch.setattr("carelink.cli.demo.load_grants", broken)
    assert _run("demo", "--fhir", str(few))[0] == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_kept_folder_is_not_overwritten(tmp_path: Path, few: Path) -> None:
    assert _run("demo", "--fhir", str(few), "--keep", str(tmp_path / "kept"))[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "kept" / "export").rglob("*") if path.is_file()}
    code, output = _run("demo", "--fhir", str(few), "--keep", str(tmp_path / "kept"))
    assert code == 1
    assert "already" in output
    assert {path: path.read_bytes() for path in before} == before


def test_a_forgery_that_is_not_named_breaks_the_story(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: Path
) -> None:
    monkeypatch.setattr("carelink.cli.demo_proof.forge", lambda _: 0)
    code, output = _run("demo", "--fhir", str(few), "--keep", str(tmp_path / "kept"))
    assert code == 1
    assert "[BROKEN] verify names entry 0" in output


def test_a_home_that_could_go_live_breaks_the_story(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: Path) -> None:
    monkeypatch.setattr("carelink.app.CareLink.set_mode", lambda *_, **__: None)
    code, output = _run("demo", "--fhir", str(few), "--keep", str(tmp_path / "kept"))
    assert code == 1
    assert "[BROKEN] sandbox mode" in output
