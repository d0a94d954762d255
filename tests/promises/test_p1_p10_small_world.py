"""P1, P2, P3, P4, P10 by exhaustion: a finite world of over two million states, decided by carelink and by a second evaluator
that knows only the packs and the design. Nothing is permitted without consent, and the comparison would notice.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import carelink

HERE = Path(__file__).parent / "small_world"
SOURCE = Path(carelink.__file__).parent
_spec = importlib.util.spec_from_file_location("small_world_compare", HERE / "compare.py")
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)


def test_the_second_evaluator_knows_only_toml():
    tree = ast.parse((HERE / "slow_evaluator.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "re", "tomllib"}


def test_a_sample_of_the_world_is_decided_alike():
    assert world.SIZE > 1_000_000
    said = []
    effects, wrong = world.compare(random.Random(20260115).sample(range(world.SIZE), 6000), tell=said.append)
    assert not wrong, "\n".join(said)
    assert min(effects.values()) > 20
    assert set(effects) == {"permit", "defer", "refuse"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_world_is_decided_alike():
    said = []
    effects, wrong = world.compare(range(world.SIZE), tell=said.append)
    said.insert(0, f"{world.SIZE:,} states: {dict(effects)}; differences {wrong}")
    assert not wrong, "\n".join(said)


# -- would it notice? --------------------------------------------------------------------------------------------------

BUGS = (  # file, what is there, what a mistaken change would make of it
    ("consent/rules/suppression.py", "covers and (stop.until is None or facts.at < stop.until)", "covers and stop.until is None"),
    ("consent/rules/suppression.py", "covers and (stop.until is None or facts.at < stop.until)", "covers"),
    ("consent/rules/suppression.py", "covers = stop.scope.covers(facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan)",
     'covers = stop.binds == "subject" and stop.scope.covers(facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan)'),
    ("consent/rules/suppression.py", "covers = stop.scope.covers(facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan)",
     "covers = True"),
    ("consent/rules/suppression.py", "if not standing:", "if len(standing) < 2:"),
    ("consent/rules/grant.py", "grant.since <= at and (grant.until is None or at < grant.until)", "grant.since <= at"),
    ("consent/rules/grant.py", "grant.since <= at and (grant.until is None or at < grant.until)",
     "grant.since <= at and (grant.until is None or at <= grant.until)"),
    ("consent/rules/grant.py", "return given and grant.since <= at", "return given"),
    ("consent/rules/grant.py", "given = grant.state is GrantState.GIVEN and", "given ="),
    ("consent/rules/grant.py", "return (grant.separate or not self.separate)", "return True"),
    ("consent/rules/grant.py", "if not grant.scope.covers(facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan):", "if False:"),
    ("consent/rules/given_by.py", "return not carrying or any(grant.by.value in self.by for grant in carrying)",
     "return True"),
    ("consent/rules/consent_method.py", "any(grant.method.value not in self.barred for grant in carrying)", "True"),
    ("consent/rules/consent_method.py", "return not carrying or any(", "return any("),
    ("consent/rules/reconfirm.py", "any(grant.age not in self.below for grant in carrying)", "True"),
    ("consent/rules/reconfirm.py", "if facts.age.value in self.below:", "if False:"),
    ("consent/rules/guardian.py", "if facts.age.value not in self.below:", "if True:"),
    ("consent/rules/guardian.py", "not (guardian.verified and guardian.acts)", "not guardian.acts"),
    ("consent/rules/guardian.py", "if not in_force(guardian, facts.at):", "if False:"),
    ("consent/rules/guardian.py", "    14: (AgeBand.UNDER_8, AgeBand.FROM_8),", "    14: (AgeBand.FROM_8,),"),
    ("consent/rules/disclosure.py", "or facts.ask.disclosure in person.scopes", "or True"),
    ("consent/rules/disclosure.py", "person.acts and person.verified and child", "person.verified and child"),
    ("consent/rules/disclosure.py", "person.acts and person.verified and child", "person.acts and person.verified"),
    ("consent/rules/subject.py", "if facts.standing.value is not Standing.ACTIVE:", "if False:"),
    ("consent/rules/content.py", "content.approvals < needed", "content.approvals < 1"),
    ("consent/rules/content.py", "if not covers_purpose(content.purposes, facts.ask.purpose) or not (", "if False and not ("),
    ("consent/rules/frequency_cap.py", "[at for at in instants if at > start]",
     "[at for at in instants if at >= start + 1_000_000]"),
    ("consent/rules/frequency_cap.py", "if worst < self.maximum:", "if worst <= self.maximum:"),
    ("consent/rules/frequency_cap.py", "worst = max(len(inside) for inside in windows)", "worst = len(windows[-1])"),
    ("consent/rules/counting.py", '"both": "sra"', '"both": "s"'),
    ("consent/rules/counting.py", "return ANY in self.channels or touch.channel_kind.value in self.channels",
     'return touch.channel_kind.value == "email"'),
    ("consent/rules/quiet_hours.py", "if since < (self.closes - self.opens) % DAY_SECONDS:", "if self.opens <= since:"),
    ("consent/rules/quiet_hours.py", "if since < (self.closes - self.opens) % DAY_SECONDS:",
     "if since <= (self.closes - self.opens) % DAY_SECONDS:"),
    ("consent/rules/quiet_hours.py", "since = (local(zone, at) - self.opens)", "since = (at // SECOND - self.opens)"),
    ("consent/rules/minors.py", "if facts.age.value is not AgeBand.ADULT:", "if False:"),
    ("consent/verdict.py", "(Effect.REFUSE, Effect.DEFER, Effect.PERMIT)", "(Effect.DEFER, Effect.REFUSE, Effect.PERMIT)"),
    ("consent/pack.py", "if facts.role not in self.roles:", "if False:"),
    ("consent/pack.py", "return self.automated is None or self.automated is ask.automated", "return self.automated is None"),
    ("model/scope.py", "return purpose.value in names or purpose.family.value in names or ANY in names",
     "return purpose.value in names or ANY in names"),
    ("model/scope.py", "if channel.value not in self.channels and ANY not in self.channels:", "if False:"),
)  # fmt: skip
SAMPLE = 6000


def is_noticed(tmp_path, file, there, instead):
    """Whether the comparison fails on a copy of carelink with this one change."""
    copy = tmp_path / "carelink"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / file).read_text(encoding="utf-8")
    assert text.count(there) >= 1, f"{file} no longer holds: {there}"
    (copy / file).write_text(text.replace(there, instead), encoding="utf-8")
    command = [sys.executable, str(HERE / "compare.py"), "--sample", str(SAMPLE), "--seed", "7"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert "states:" in done.stdout or "Error" in done.stderr, done.stderr
    return done.returncode == 1 and "differences" in done.stdout


def test_there_are_enough_seeded_bugs():
    assert len(BUGS) >= 30
    assert len(set(BUGS)) == len(BUGS)
    for file, there, _ in BUGS:
        assert there in (SOURCE / file).read_text(encoding="utf-8"), f"{file} no longer holds: {there}"


@pytest.mark.parametrize("number", random.Random(3).sample(range(len(BUGS)), 2))
def test_a_seeded_bug_is_noticed(tmp_path, number):
    assert is_noticed(tmp_path, *BUGS[number])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BUGS)))
def test_every_seeded_bug_is_noticed(tmp_path, number):
    assert is_noticed(tmp_path, *BUGS[number])
