"""`carelink audit report`: what it counts, that it is whole and reachable, and that a browser re-checks it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from carelink.audit.figures import figures
from carelink.cli.main import main
from carelink.model.moment import DAY, HOUR
from carelink.ports.channel import ChannelEvent
from carelink.stores.logfolder import LogFolder
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, Outcome

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A log with something of everything, exported; and the key to check it with."""
    folder = tmp_path_factory.mktemp("report")
    world = World(folder / "w")
    world.content()
    consents = (("care",), ("care", "marketing", "education"), ())
    people = [world.patient(consent=consents[n % 3]) for n in range(12)]
    world.link.died(people[0])
    world.email.script = iter([Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.REFUSED, Outcome.THROTTLED])
    world.link.send_many([world.ask(p) for p in people])
    world.link.send_many([world.ask(p, purpose="marketing.event") for p in people])
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal("+8613800000002"), text=Personal("退订"))
    world.link.inbound("sms", [event])
    world.link.withdraw(people[3], purposes=["care"])
    for _ in range(3):
        world.clock.advance(DAY)
        world.link.send_many([world.ask(p, purpose="care.medication", channel="sms") for p in people])
    world.clock.advance(12 * HOUR)
    world.link.send_many([world.ask(p) for p in people])
    export = folder / "export"
    world.link.export(export, actor="auditor")
    key = world.link.key.text
    world.link.close()
    return export, key, tmp_path_factory.mktemp("pages")


def report(exported, name="report.html"):
    export, key, pages = exported
    target = pages / name
    assert main(["audit", "report", str(export), "--key", key, "-o", str(target)]) == 0
    return target


def entries(export):
    return LogFolder(export).entries()


def test_figures_are_those_of_the_log(exported):
    found = figures(entries(exported[0]))
    decided = [json.loads(data) for _, data in entries(exported[0]) if b'"kind":"decision"' in data]
    effects = [entry["body"]["effect"] for entry in decided]
    assert found.effects == {effect: effects.count(effect) for effect in set(effects)}
    assert sum(found.volumes.values()) == sum(found.by_purpose.values()) == len(decided) == 72
    assert {"permit", "defer", "refuse"} == set(found.effects)
    reasons = [reason["rule"] for entry in decided for reason in entry["body"]["reasons"]]
    assert {row.rule: sum(n for _, n in row.reasons) for row in found.refusals} == {
        rule: reasons.count(rule) for rule in set(reasons)
    }
    law = next(row for row in found.refusals if row.rule == "CN.PIPL.29")
    assert law.sources
    assert law.certainty == "T"
    assert found.outcomes["unknown"] == len(found.unknown) == 1
    assert sum(found.hours.values()) == found.outcomes.total()
    assert set(found.hours) == {10}
    assert found.persons == 11
    assert found.coverage["care"] == (6, 1)
    assert [change.kind for change in found.changes][:2] == ["plugins", "policy"]
    daily = next(use for use in found.caps if use.rule == "HD.CAP.MEDICATION.1D")
    assert daily.maximum == 4
    assert max(daily.used) <= daily.maximum


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.ids, self.labels, self.inputs = [], set(), set(), set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids.add(found.get("id"))
        if tag == "label":
            self.labels.add(found.get("for"))
        if tag in ("input", "select"):
            self.inputs.add(found.get("id"))


def test_the_page_is_whole_and_reachable(exported):
    text = report(exported).read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    assert "default-src 'none'" in text
    for tag, found in outline.tags:
        assert "src" not in found
        assert tag not in ("link", "iframe", "img", "object")
        if "href" in found:
            assert found["href"].startswith("#")
        if tag == "svg":
            assert found["role"] == "img"
            assert found["aria-label"]
        if tag == "th":
            assert found["scope"] == "col"
        if tag == "section":
            assert found["aria-labelledby"] in outline.ids
    assert outline.inputs <= outline.labels
    english, chinese = text.count('lang="en"'), text.count('lang="zh-CN"')
    assert english == chinese + 1  # the document itself is the one more
    assert "cannot" not in text or "trusted" not in text
    assert not re.search(r">\s*trusted", text, re.IGNORECASE)


def test_it_is_not_made_of_a_log_that_does_not_verify(exported, tmp_path, capsys):
    forged = tmp_path / "forged"
    shutil.copytree(exported[0], forged)
    bundle = next(path for path in (forged / "tile" / "entries").rglob("*") if path.is_file())
    bundle.write_bytes(bundle.read_bytes().replace(b'"effect":"refuse"', b'"effect":"permit"', 1))
    target = tmp_path / "r.html"
    assert main(["audit", "report", str(forged), "--key", exported[1], "-o", str(target)]) == 3
    assert not target.exists()
    assert main(["audit", "report", str(exported[0]), "--key", exported[1], "-o", str(exported[0] / "r.html")]) == 2


# -- in a browser ------------------------------------------------------------------------------------------------------


def opened(page: Path, profile: Path) -> str:
    """The page after its scripts ran, opened from disk."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", "--disable-quic",
               f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]  # fmt: skip
    return subprocess.run(command, capture_output=True, check=True, timeout=100).stdout.decode()


def evidence(text):
    found = re.search(r'<script id="evidence" type="application/json">(.*?)</script>', text, re.DOTALL)
    return found.group(1), json.loads(found.group(1))


def spoiled(page: Path, change) -> Path:
    text = page.read_text(encoding="utf-8")
    raw, data = evidence(text)
    change(data)
    target = page.with_name("spoiled.html")
    target.write_text(text.replace(raw, json.dumps(data)), encoding="utf-8")
    return target


@pytest.mark.peer
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_a_browser_finds_the_true_page_consistent_and_fills_its_table(exported, tmp_path):
    page = report(exported, "true.html")
    shown = opened(page, tmp_path / "profile")
    assert 'data-checked="consistent"' in shown
    assert "consistent with key" in shown
    assert shown.count("<tr class=") == len(evidence(page.read_text(encoding="utf-8"))[1]["shown"])


def _entry(data):
    index, text = data["shown"][5]
    changed = base64.b64decode(text).replace(b'"effect":"refuse"', b'"effect":"permit"')
    changed = changed if changed != base64.b64decode(text) else changed.replace(b'"rules":', b'"rules" :')
    data["shown"][5] = [index, base64.b64encode(changed).decode()]


def _leaf(data):
    held = bytearray(base64.b64decode(data["blocks"][0]))
    held[7] ^= 1
    data["blocks"][0] = base64.b64encode(bytes(held)).decode()


def _left_out(data):
    data["blocks"] = data["blocks"][:-1]


def _root(data):
    lines = data["checkpoint"].split("\n")
    lines[2] = base64.b64encode(bytes(32)).decode()
    data["checkpoint"] = "\n".join(lines)


def _signature(data):
    head, _, line = data["checkpoint"].rstrip("\n").rpartition(" ")
    blob = bytearray(base64.b64decode(line))
    blob[40] ^= 1
    data["checkpoint"] = f"{head} {base64.b64encode(bytes(blob)).decode()}\n"


def _key(data):
    data["key"] = "log.example/clinic+2f54bb94+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"


@pytest.mark.peer
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("change", [_entry, _leaf, _left_out, _root, _signature, _key])
def test_a_browser_names_a_tampered_copy(exported, tmp_path, change):
    page = spoiled(report(exported, "base.html"), change)
    shown = opened(page, tmp_path / "profile")
    assert 'data-checked="consistent"' not in shown
    assert "TAMPERED" in shown
    assert "<tr class=" not in shown  # nothing unchecked is shown as checked
