"""The worked scenarios: each passes as it stands, and each fails when a rule that it is about is taken out of its packs."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import resources

import attrs
import pytest

jsonschema = pytest.importorskip("jsonschema")

from carelink.audit.decided import DecidedBody  # noqa: E402
from carelink.audit.entry import parse_entry  # noqa: E402
from carelink.cli.main import main  # noqa: E402
from carelink.consent.reasons import ReasonCode  # noqa: E402
from carelink.errors import PolicyError  # noqa: E402
from carelink.scenario.bundled import bundled_scenarios  # noqa: E402
from carelink.scenario.runner import play  # noqa: E402
from carelink.scenario.vocabulary import schema  # noqa: E402

pytestmark = pytest.mark.integration

STORIES = {story.id: story for story in bundled_scenarios()}
WANTED = ["SCN-01", "SCN-02", "SCN-03", "SCN-05", "SCN-06", "SCN-07", "SCN-09", "SCN-11", "SCN-12", "SCN-15"]


@cache
def _played(name):
    return play(STORIES[name])


def test_all_ten_are_there():
    assert sorted(STORIES) == WANTED


@pytest.mark.parametrize("name", WANTED)
def test_it_passes(name):
    report = _played(name)
    assert [(s.number, s.problem, s.differences) for s in report.steps if s.problem or s.differences] == []
    assert report.totals == ()
    assert report.proof == ()
    assert report.passed


@pytest.mark.parametrize("name", WANTED)
def test_a_refusal_names_every_rule_that_failed(name):
    """Each rule of the policy is asked alone, without `decide`, on the recorded facts: the entry names exactly those that
    did not permit, and what the caller was told is the same.
    """
    seen = 0
    for step in _played(name).steps:
        told = [o.reasons for _, o in step.result.asked if o.decision is not None]
        bodies = [
            body for body in (parse_entry(data).body for data in step.result.entries) if isinstance(body, DecidedBody)
        ]
        for place, body in enumerate(bodies):
            speaking = [each for each in step.policy.rules if each.rule.when.applies(body.facts)]
            alone = [verdict for verdict in (each.judge.judge(body.facts) for each in speaking) if verdict.reason]
            failed = sorted((verdict.rule, verdict.reason.value) for verdict in alone)
            assert sorted((each.rule, each.reason.value) for each in body.reasons) == failed
            assert sorted((each.rule, each.reason.value) for each in told[place]) == failed
            seen += bool(failed)
    assert seen


def _expected_codes(story):
    return {code for step in story.steps for code in step.get("expect", {}).get("reasons", ())}


def _without(story, code):
    """The story under packs without the rules that gave this reason in it."""
    found = [o for s in _played(story.id).steps for _, o in s.result.asked if o.decision is not None]
    guilty = {v.rule for o in found for v in o.reasons if v.reason is ReasonCode(code)}
    packs = {name: _cut(data, guilty) for name, data in story.packs.items()}
    return attrs.evolve(story, packs=packs), guilty


def _cut(pack, guilty):
    head, *rules = pack.decode().split("[[rule]]")
    return "[[rule]]".join([head, *(rule for rule in rules if tomllib.loads(rule)["id"] not in guilty)]).encode()


def _pairs():
    """One reason of each story; the others with the slow tests."""
    for story in STORIES.values():
        for place, code in enumerate(sorted(_expected_codes(story))):
            yield pytest.param(story.id, code, marks=[pytest.mark.slow] if place else [], id=f"{story.id}-{code}")


@pytest.mark.parametrize(("name", "code"), list(_pairs()))
def test_without_its_rule_the_story_fails(name, code):
    changed, guilty = _without(STORIES[name], code)
    assert guilty
    if any(rule.startswith("BASE.") for rule in guilty):
        # The floor of every deployment: a baseline without one of its rules cannot even be adopted (ADR 0021).
        with pytest.raises(PolicyError, match="baseline"):
            play(changed)
    else:
        assert not play(changed).passed


@pytest.mark.parametrize("name", WANTED)
def test_an_editor_accepts_it(name):
    files = resources.files("carelink.scenario") / "files"
    (file,) = (f for f in files.iterdir() if f.name.startswith(name.lower()))
    jsonschema.Draft202012Validator(schema()).validate(tomllib.loads(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body["scenario"].pop("packs"),
        lambda body: body["step"][1].update(colour="red"),
        lambda body: body["step"][1].update(died="mother"),
        lambda body: body["step"][1]["expect"].update(effect="maybe"),
        lambda body: body["step"][1]["send"].update(purpose="care.everything"),
        lambda body: body["step"][1]["send"].pop("to"),
        lambda body: body["patient"][0].update(age=-1),
        lambda body: body.pop("step"),
    ],
)
def test_an_editor_underlines_a_mistake(spoil):
    files = resources.files("carelink.scenario") / "files"
    body = tomllib.loads((files / "scn-01-family-contact.toml").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema())
    assert validator.is_valid(body)
    spoil(body)
    assert not validator.is_valid(body)


# -- the command line --------------------------------------------------------------------------------------------------


def test_the_command_tells_a_difference(tmp_path, capsys):
    files = resources.files("carelink.scenario") / "files"
    text = (files / "scn-06-cold-wave.toml").read_text(encoding="utf-8")
    file = tmp_path / "story.toml"
    file.write_text(text, encoding="utf-8")
    assert main(["scenario", "run", str(file)]) == 0
    out = capsys.readouterr().out
    assert "PASSED  SCN-06" in out
    assert "the log verifies, replays, adds up and names nobody" in out
    file.write_text(text.replace('reasons = ["DUPLICATE"]', 'reasons = ["NOT_DUE"]'), encoding="utf-8")
    assert main(["scenario", "run", str(file)]) == 6
    out = capsys.readouterr().out
    assert "FAILED  SCN-06" in out
    assert "- expected NOT_DUE" in out
    assert "+ got      DUPLICATE" in out


def test_it_explains_with_sources(tmp_path, capsys):
    files = resources.files("carelink.scenario") / "files"
    file = tmp_path / "story.toml"
    file.write_bytes((files / "scn-06-cold-wave.toml").read_bytes())
    assert main(["--lang", "zh", "scenario", "run", str(file), "--explain"]) == 0
    out = capsys.readouterr().out
    assert "HS.P2.DUPLICATE" in out
    assert "carelink domain catalogue" in out
    assert "同一事项每日只联系一次" in out


def test_json_and_schema_and_bad_files(tmp_path, capsys):
    file = tmp_path / "story.toml"
    files = resources.files("carelink.scenario") / "files"
    file.write_bytes((files / "scn-06-cold-wave.toml").read_bytes())
    assert main(["scenario", "run", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    assert told["entries"]["decision"] == 5
    assert main(["scenario", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    file.write_text("[scenario]\nid = 1\n", encoding="utf-8")
    assert main(["scenario", "run", str(file)]) == 2
    assert "story: `step` is missing" in capsys.readouterr().err
    assert main(["scenario", "run"]) == 2
