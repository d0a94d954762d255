"""`carelink replies`: what a person must read, and what comes of it."""

from __future__ import annotations

import json

import carelink


def _written(desk, text):
    with carelink.open(desk.home) as link:
        link.register(identifier="MRN-9", name="Somebody", phone="+8613900000042")
    event = {"event": "replied", "address": "+8613900000042", "text": text}
    (desk.folder / "in.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
    return desk.run("inbound", str(desk.folder / "in.jsonl"), "--channel", "sms")


def _waiting(desk):
    with carelink.open(desk.home) as link:
        return [reply.id for reply in link.replies()]


def test_a_refusal_in_other_words_waits_and_is_decided(desk):
    assert "paused" in _written(desk, "短信太多了，烦死了").out
    (waiting,) = _waiting(desk)
    listed = desk.run("replies", "list").out
    assert waiting in listed
    assert "烦" not in listed, "the words are not kept"
    done = desk.run("replies", "decide", waiting, "--stop", "--actor", "Dr Chen")
    assert (done.code, done.out) == (0, "stopped: 2 suppressions\n"), "nothing was answered: the patient and the number"
    assert _waiting(desk) == []


def test_one_that_is_no_stop_goes_on_and_is_decided_once(desk):
    _written(desk, "短信太多了，烦死了")
    (waiting,) = _waiting(desk)
    assert desk.run("replies", "decide", waiting, "--no-stop", "--actor", "Dr Chen").code == 0
    again = desk.run("replies", "decide", waiting, "--no-stop", "--actor", "Dr Chen")
    assert again.code != 0
    assert "no reply of this id waits" in again.err


def test_who_decides_must_say_what_it_meant(desk):
    assert desk.run("replies", "decide", "0" * 32, "--actor", "Dr Chen").code != 0
    assert desk.run("replies", "decide", "0" * 32, "--stop", "--no-stop", "--actor", "Dr Chen").code != 0
