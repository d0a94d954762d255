"""Conservation, counted from an export by `verifier/count_outcomes.py`, which knows nothing of carelink (P5, P6)."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from carelink.audit.divergence import Summary
from carelink.audit.judge import PolicyJudge
from carelink.audit.kinds import ReleaseCause
from carelink.audit.replay import replay
from carelink.audit.tiles import tile_files
from carelink.vocabulary import Effect, Outcome

SCRIPT = Path(__file__).resolve().parents[2] / "verifier" / "count_outcomes.py"


def count(folder):
    """Exit code, states and all lines of the script, run as an auditor runs it: alone."""
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    states = Counter()
    for line in done.stdout.splitlines():
        found = re.fullmatch(r"  (?!entry )(.+?) +(\d+)", line)
        if found:
            states[found[1]] = int(found[2])
    return done.returncode, states, done.stdout


def written(entries, folder):
    """An unsigned log of these entries: the script checks no signature."""
    for path, data in (*tile_files(0, entries, lambda _: None), ("checkpoint", f"o\n{len(entries)}\nr\n".encode())):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def test_it_imports_nothing_but_the_standard_library():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.Name) and node.id == "__import__" for node in ast.walk(tree))


def test_every_request_of_a_real_log_is_in_exactly_one_final_state(clinic):
    code, states, out = count(clinic.export)
    assert code == 0, out
    assert states == clinic.states
    assert sum(states.values()) == int(re.search(r"^requests (\d+) = \1$", out, re.MULTILINE)[1])
    assert out.endswith("CONSERVED\n")


def test_the_real_log_has_every_state_of_the_closed_set(clinic):
    """What the scenario does not reach, it would not count: only a recovery with an outcome no look-up gives."""
    spec = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    constants = {}
    for node in spec.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = eval(
                compile(ast.Expression(node.value), "x", "eval"), {"frozenset": frozenset}, constants
            )
            if node.targets[0].id == "STATES":
                break
    never = {f"recovered: {name}" for name in constants["OUTCOMES"]} - {
        "recovered: accepted", "recovered: not_sent", "recovered: unknown",
    }  # fmt: skip
    assert set(constants["STATES"]) - set(clinic.states) == never


def test_the_script_knows_the_words_of_the_form():
    text = SCRIPT.read_text(encoding="utf-8")
    for word in (*Outcome, *ReleaseCause, *Effect):
        assert f'"{word.value}"' in text


def test_replay_counts_the_same_states(clinic):
    summary = Summary()
    assert list(replay(enumerate(clinic.entries()), PolicyJudge(), summary=summary)) == []
    words = {"permit_open": "permit waiting", "claim_open": "in flight"}
    ours = {
        words.get(state, state.replace("handover:", "handed over: ").replace("recovered:", "recovered: ").replace(
            "released:", "released: ")): number
        for state, number in summary.states.items()
    }  # fmt: skip
    assert Counter(ours) == clinic.states


def find(entries, kind, **fields):
    """Index of the first entry of a kind with these fields in its body."""
    for index, data in enumerate(entries):
        entry = json.loads(data)
        if entry["kind"] == kind and all(entry["body"].get(name) == value for name, value in fields.items()):
            return index
    raise AssertionError(kind)


def changed(data, **fields):
    entry = json.loads(data)
    entry["body"].update(fields)
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


def _without(kind, **fields):
    def doctor(entries):
        del entries[find(entries, kind, **fields)]

    return doctor


def _twice(kind, **fields):
    def doctor(entries):
        at = find(entries, kind, **fields)
        entries.insert(at + 1, entries[at])

    return doctor


def _another(kind, fields, **change):
    def doctor(entries):
        at = find(entries, kind, **fields)
        entries[at] = changed(entries[at], **change)

    return doctor


def _handed_over_after_release(entries):
    released = json.loads(entries[find(entries, "released", cause="stopped")])["body"]
    handover = changed(
        entries[find(entries, "handover")], reservation=released["reservation"], request=released["request"]
    )
    entries.append(handover)


def _decided_again_after_delivery(entries):
    sent = json.loads(entries[find(entries, "handover", outcome="accepted")])["body"]["request"]
    entries.append(entries[find(entries, "decision", request=sent)])


def _refused_after_delivery(entries):
    sent = json.loads(entries[find(entries, "handover", outcome="unknown")])["body"]["request"]
    entries.append(changed(entries[find(entries, "decision", effect="refuse")], request=sent))


def _mixed_up(entries):
    one, other = find(entries, "handover", outcome="accepted"), find(entries, "handover", outcome="unknown")
    request = json.loads(entries[other])["body"]["request"]
    entries[one] = changed(entries[one], request=request)


@pytest.mark.parametrize(
    ("doctor", "says"),
    [
        (_without("decision", effect="permit"), "but its permit is not open"),
        (_without("claim", effect="permit"), "but its permit is held"),
        (_without("released", cause="claim_refused"), "a refused claim whose permit was not released"),
        (_twice("handover", outcome="accepted"), "but its permit is not open"),
        (_twice("handover", outcome="not_sent"), "but its permit is not open"),
        (_twice("recovered", outcome="unknown"), "but its permit is not open"),
        (_twice("released", cause="expired"), "but its permit is not open"),
        (_twice("claim", effect="permit"), "a claim without exactly one waiting permit"),
        (_twice("decision", effect="permit"), "a permit with the reservation of another one"),
        (_another("handover", {}, outcome="lost"), "is not in the closed set"),
        (_another("released", {"cause": "expired"}, cause="mislaid"), "is not in the closed set"),
        (_another("released", {"cause": "stopped"}, cause="lease_ran_out"), "but its permit is held"),
        (_another("handover", {}, request="0" * 32), "but its permit is of another request"),
        (_mixed_up, "but its permit is of another request"),
        (_handed_over_after_release, "but its permit is not open"),
        (_decided_again_after_delivery, "decided again though it is handed over: accepted"),
        (_refused_after_delivery, "decided again though it is handed over: unknown"),
    ],
)
def test_a_doctored_log_is_not_conserved(clinic, tmp_path, doctor, says):
    entries = clinic.entries()
    doctor(entries)
    code, _, out = count(written(entries, tmp_path))
    assert code == 4, out
    assert any(says in line for line in out.splitlines() if line.startswith("BROKEN")), out
    assert out.endswith("NOT CONSERVED\n")


def test_a_lost_end_shows_as_a_claim_in_flight(clinic, tmp_path):
    """One that is missing cannot be told from one that is still to come: the term says so, and the sum holds."""
    entries = clinic.entries()
    del entries[find(entries, "handover", outcome="accepted")]
    code, states, out = count(written(entries, tmp_path))
    assert code == 0, out
    assert states["in flight"] == clinic.states["in flight"] + 1


def test_what_cannot_be_read_is_not_judged(clinic, tmp_path):
    assert count(tmp_path / "nowhere")[0] == 5
    entries = clinic.entries()
    for number, bad in enumerate((b"", b"{}", b"[1]", entries[3].replace(b'"v":1', b'"v":2'), b"\xff")):
        folder = written([*entries[:3], bad], tmp_path / str(number))
        assert count(folder)[0] == 5
    bundle = folder / "tile/entries/000.p/4"
    bundle.write_bytes(bundle.read_bytes() + b"\0")
    assert count(folder)[0] == 5
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
