"""The golden log of decisions: an export of form version 1 that must verify and replay with every later release (P7).

A failure here means that a rule, a pack's reading or a form changed under a log that is already signed. Once a release
is out, the old version must stay and the new one gets a number of its own. Before the first release the log may be
renewed: `python tests/clinic.py DIR`, and the folder `DIR/export` takes the place of `golden_decisions`.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path

import attrs

from carelink.audit.bodies import AccessBody
from carelink.audit.decided import DecidedBody
from carelink.audit.divergence import Summary
from carelink.audit.entry import encode_entry, parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import Replay
from carelink.audit.verify import verify
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder
from carelink.vocabulary import Effect

GOLDEN = Path(__file__).parent / "golden_decisions"
KEY = "carelink.invalid/log/65e3fe75fe8dab39+e0067df6+ARjwEhFjytlL+MQjZFREeoDJGIlPLo80LmueBVo/+K5Q"


def test_the_golden_decisions_verify():
    report = verify(FolderFetcher(GOLDEN), vkey=KEY, check_signature=KeyFolder.check_signature)
    assert report.exit_code == 0, report.lines()
    assert (report.size, report.history) == (133, 8)


def test_the_golden_decisions_replay_bit_for_bit():
    run = Replay(PolicyJudge(), summary=Summary())
    effects: Counter[Effect] = Counter()
    for index, data in LogFolder(GOLDEN).entries():
        entry = parse_entry(data)
        assert encode_entry(entry) == data
        body = entry.body
        if isinstance(body, DecidedBody):
            made = run.judge.decide(body.facts, run._policy)
            again = attrs.evolve(body, policy=made.policy, effect=made.effect, rules=len(made.verdicts),
                                 reasons=made.reasons, earliest=made.earliest, notes=made.notes)  # fmt: skip
            assert encode_entry(attrs.evolve(entry, body=again)) == data, index
            effects[body.effect] += 1
        assert run.feed(index, data) == []
    assert run.finish() == []
    assert run.summary.exit_code == 0
    assert set(effects) == set(Effect)
    assert effects.total() == run.summary.decisions + run.summary.claims > 20


# -- what patients may ask, and who looked -----------------------------------------------------------------

RIGHTS = Path(__file__).parent / "golden_rights"
RIGHTS_KEY = "carelink.invalid/log/4db6837cd4c95b90+46e34a8f+Aa61i+AHpqXqon53GtyN2bWwpSgrJmVBSjkN+Jva1ge5"


def test_the_golden_log_of_rights_verifies_and_replays():
    """Renewed, before the first release, with `python tests/rights_log.py DIR`."""
    report = verify(FolderFetcher(RIGHTS), vkey=RIGHTS_KEY, check_signature=KeyFolder.check_signature)
    assert report.exit_code == 0, report.lines()
    run, kinds, actions = Replay(PolicyJudge(), summary=Summary()), Counter(), Counter()
    for index, data in LogFolder(RIGHTS).entries():
        entry = parse_entry(data)
        assert encode_entry(entry) == data
        kinds[entry.kind.value] += 1
        if isinstance(entry.body, AccessBody):
            actions[entry.body.action.value] += 1
        assert run.feed(index, data) == []
    assert run.finish() == []
    assert actions == {"denied": 1, "approved": 1, "reviewed": 1}
    assert (kinds["opened"], kinds["rights"], kinds["erasing"], kinds["erased"]) == (7, 4, 1, 1)


def test_the_second_reader_knows_the_golden_log_of_rights():
    script = Path(__file__).parents[3] / "verifier" / "carelink_verify.py"
    command = [sys.executable, str(script), str(RIGHTS), "--key", RIGHTS_KEY]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_story_of_rights_can_be_told_again(tmp_path):
    spec = importlib.util.spec_from_file_location("rights_log", Path(__file__).parents[2] / "rights_log.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder, key = module.build(tmp_path)
    kinds = [[parse_entry(data).kind for _, data in LogFolder(place).entries()] for place in (folder, RIGHTS)]
    assert kinds[0] == kinds[1]
    assert verify(FolderFetcher(folder), vkey=key, check_signature=KeyFolder.check_signature).exit_code == 0
