"""The golden log of decisions: an export of form version 1 that must verify and replay with every later release (P7).

A failure here means that a rule, a pack's reading or a form changed under a log that is already signed. Once a release
is out, the old version must stay and the new one gets a number of its own. Before the first release the log may be
renewed: `python tests/clinic.py DIR`, and the folder `DIR/export` takes the place of `golden_decisions`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import attrs

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
