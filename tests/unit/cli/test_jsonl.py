"""`send --jsonl`: a request a line in, a result a line out, whatever the lines are like."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carelink
from carelink.audit.decided import DecisionBody
from carelink.audit.entry import parse_entry
from carelink.cli.jsonl import _LONGEST, read_lines
from carelink.cli.main import main
from carelink.errors import StoreError


def _send(desk, *lines: str | bytes):
    data = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines) + b"\n"
    return desk.run("send", "--jsonl", "-", stdin=data)


def test_a_request_says_which_plan_wants_it_when_and_why_this_patient(desk) -> None:
    desk.people(1)
    more = {"plan": "recheck-year", "topic": "day-one", "due_from": "2020-01-01T00:00:00Z", "data": ["appointment"]}
    assert _send(desk, desk.request("a", 1, **more)).lines()[0]["effect"] == "permit"
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        entries = [parse_entry(data) for data in reader.entries(0, reader.head().size)]
    (ask,) = [entry.body.facts.ask for entry in entries if isinstance(entry.body, DecisionBody)]
    assert (ask.plan, ask.topic, ask.due_from, ask.data) == (
        "recheck-year",
        "day-one",
        1_577_836_800_000_000,
        ("appointment",),
    )


def test_each_request_has_its_result_in_order(desk) -> None:
    desk.people(2)
    desk.people(1, consent=False, first=3)
    answer = _send(desk, desk.request("a", 1), desk.request("b", 3), desk.request("c", 2))
    assert answer.code == 0
    one, two, three = answer.lines()
    assert (one["line"], one["effect"], one["outcome"]) == (1, "permit", "accepted")
    assert (two["line"], two["effect"], two["reasons"]) == (2, "refuse", ["NO_CONSENT"])
    assert (three["line"], three["effect"]) == (3, "permit")
    assert len(desk.letters()) == 2
    assert desk.run("why", str(two["request"])).code == 0
    assert desk.run("why", "b").code == 0


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("not json", "input.invalid", "not a JSON object"),
        ("[1, 2]", "input.invalid", "not a JSON object"),
        ("{" * 100_000, "input.invalid", "not a JSON object"),
        ("[" * 100_000, "input.invalid", "not a JSON object"),
        (b"\xd5\xc5\xc8\xfd", "input.invalid", "not UTF-8"),
        ("{}", "input.invalid", "`key` is missing"),
        ('{"key": 3}', "input.invalid", "`key` is missing"),
        ('{"key": "x", "Purpose": "care"}', "input.invalid", "not known"),
        (("k", 1, {"purpose": "care.everything"}), "input.invalid", "not a known Purpose"),
        (("k", 1, {"purpose": ""}), "input.invalid", "not a known Purpose"),
        (("k", 1, {"template": "../x"}), "input.invalid", "a template is named"),
        (("k", 1, {"version": True}), "input.invalid", "`version`"),
        (("k", 1, {"version": -1}), "input.invalid", "a template is named"),
        (("k", 1, {"variables": {"day": 3}}), "input.invalid", "`variables`"),
        (("k", 1, {"variables": {}}), "input.invalid", "variable `day`"),
        (("k", 1, {"variables": {"day": "\ud800"}}), "input.invalid", "are text"),
        (("k\ud800", 1, {}), "input.invalid", "are text"),
        (("", 1, {}), "input.invalid", "1 to 200 characters"),
        (("k" * 201, 1, {}), "input.invalid", "1 to 200 characters"),
        (("k", 1, {"wait": "yes"}), "input.invalid", "`wait`"),
        (("k", 1, {"plan": 3}), "input.invalid", "`plan`"),
        (("k", 1, {"topic": "Day One"}), "input.invalid", "a plan or topic is named"),
        (("k", 1, {"data": "diagnosis"}), "input.invalid", "`data`"),
        (("k", 1, {"data": ["horoscope"]}), "input.invalid", "not a known DataClass"),
        (("k", 1, {"due_from": "noon"}), "input.invalid", "RFC 3339"),
        (("k", 1, {"not_before": "tomorrow"}), "input.invalid", "RFC 3339"),
        (("k", 1, {"not_before": 3}), "input.invalid", "`not_before`"),
        (("k", 1, {"recipient": "mother"}), "input.invalid", "`recipient`"),
        (("k", 1, {"disclosure": 3}), "input.invalid", "`disclosure`"),
        (("k", 1, {"disclosure": "all"}), "input.invalid", "not a known"),
        (("k", 1, {"channel": "fax"}), "input.not_found", "no channel"),
        (("k", 1, {"channel": "FAX!"}), "input.invalid", "a channel name"),
        (("k", 1, {"patient": "0" * 32}), "input.invalid", "one of them"),
        (("k", 1, {"identifier": None}), "input.invalid", "one of them"),
        (("k", 1, {"identifier": None, "patient": "7"}), "input.invalid", "32 hex"),
        (("k", 1, {"identifier": None, "patient": "0" * 32}), "input.not_found", "no patient"),
        (("k", 999, {}), "input.not_found", "no patient"),
    ],
)  # fmt: skip
def test_a_bad_line_is_answered_by_its_number_and_the_rest_goes_on(desk, line, error: str, says: str) -> None:
    desk.people(2)
    bad = desk.request(line[0], line[1], **line[2]) if isinstance(line, tuple) else line
    answer = _send(desk, desk.request("first", 1), bad, "", desk.request("last", 2))
    assert answer.code == 0
    first, wrong, last = answer.lines()
    assert (first["effect"], last["effect"], last["line"]) == ("permit", "permit", 4)
    assert (wrong["line"], wrong["error"]) == (2, error)
    assert says in wrong["message"]
    assert "effect" not in wrong
    assert answer.err == "1 of 3 lines were not decided: see `error` in their results\n"


def test_no_result_quotes_what_was_sent(desk) -> None:
    answer = _send(desk, '{"key": "林小满 13800138000", "name": "林小满"}', desk.request("林小满", 13800138000))
    assert "林" not in answer.out + answer.err
    assert "138" not in answer.out + answer.err


def test_the_one_request_answers_with_its_own_code(desk) -> None:
    desk.people(1)
    desk.people(1, consent=False, first=2)
    assert _send(desk, desk.request("a", 1)).code == 0
    assert _send(desk, desk.request("b", 2)).code == 6
    assert _send(desk, desk.request("c", 3)).code == 1
    assert _send(desk, "nothing").code == 2
    assert _send(desk, desk.request("b", 2), desk.request("d", 2)).code == 0, "many with mixed effects are well"
    assert _send(desk, "nothing", "nothing").code == 1
    assert _send(desk).code == 0


def test_a_key_that_stands_twice_is_sent_once(desk) -> None:
    desk.people(2)
    answer = _send(desk, desk.request("a", 1), desk.request("b", 2), desk.request("a", 1), desk.request("a", 2))
    first, _, again, other = answer.lines()
    assert first["effect"] == "permit"
    assert again["repeated"] is True
    assert other["error"] == "input.conflict"
    assert len(desk.letters()) == 2


def test_a_second_run_repeats_what_came_of_the_first(desk) -> None:
    desk.people(2)
    lines = desk.request("a", 1), desk.request("b", 2)
    _send(desk, *lines)
    assert [(line["effect"], line["repeated"], line["outcome"]) for line in _send(desk, *lines).lines()] == [
        ("permit", True, "accepted")
    ] * 2
    assert len(desk.letters()) == 2


def test_a_file_with_a_byte_order_mark_carriage_returns_and_no_last_line_break(desk) -> None:
    desk.people(2)
    text = f"\ufeff{desk.request('a', 1)}\r\n\r\n{desk.request('b', 2)}"
    (desk.folder / "from excel.jsonl").write_bytes(text.encode())
    answer = desk.run("send", "--jsonl", "from excel.jsonl")
    assert [(line["line"], line["effect"]) for line in answer.lines()] == [(1, "permit"), (3, "permit")]


def test_a_deferral_says_from_when(desk) -> None:
    desk.people(1)
    desk.clock.advance(13 * 3600 * 1_000_000)
    (line,) = _send(desk, desk.request("a", 1)).lines()
    assert (line["effect"], line["earliest"]) == ("defer", "2026-01-16T00:00:00Z")


def test_trouble_with_the_store_is_answered_line_by_line(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.people(2)
    whole, count = carelink.CareLink.send_many, 0

    def send(self, requests, **more):
        nonlocal count
        count += 1
        if count == 1:
            raise StoreError("the database refused", hint="SQLITE_BUSY")
        return whole(self, requests, **more)

    monkeypatch.setattr(carelink.CareLink, "send_many", send)
    monkeypatch.setattr("carelink.cli.jsonl._BATCH", 1)
    first, second = _send(desk, desk.request("a", 1), desk.request("b", 2)).lines()
    assert (first["error"], second["effect"]) == ("store.failed", "permit")


class _Arriving(io.RawIOBase):
    """A pipe into which somebody writes; `during` runs when it is found empty."""

    def __init__(self, blocks: list[bytes], seen) -> None:
        self._blocks, self._seen = blocks, seen

    def read1(self, _: int) -> bytes:
        self._seen()
        return self._blocks.pop(0) if self._blocks else b""


def test_an_answer_comes_before_the_next_request_is_waited_for(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.people(2)
    out = io.StringIO()
    answered: list[int] = []
    blocks = [desk.request("a", 1).encode()[:40], desk.request("a", 1).encode()[40:] + b"\n",
              desk.request("b", 2).encode() + b"\n"]  # fmt: skip
    stream = _Arriving(blocks, lambda: answered.append(out.getvalue().count("\n")))
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stream})())
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["send", "--jsonl", "-"]) == 0
    assert answered == [0, 0, 1, 2]


def test_what_arrives_together_is_decided_together(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.people(5)
    sizes: list[int] = []
    whole = carelink.CareLink.send_many

    def send(self, requests, **more):
        sizes.append(len(requests))
        return whole(self, requests, **more)

    monkeypatch.setattr(carelink.CareLink, "send_many", send)
    assert _send(desk, *(desk.request(f"k{n}", n) for n in range(1, 6))).code == 0
    assert sizes == [5]


def test_when_the_reader_of_results_is_gone_nothing_more_is_sent(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.people(4)
    monkeypatch.setattr("carelink.cli.jsonl._BATCH", 1)
    (desk.folder / "four.jsonl").write_text("\n".join(desk.request(f"k{n}", n) for n in range(1, 5)), encoding="utf-8")

    class Gone(io.StringIO):
        def flush(self) -> None:
            if self.getvalue().count("\n") == 2:
                raise BrokenPipeError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Gone())
        assert main(["send", "--jsonl", "four.jsonl"]) == 1
    assert len(desk.letters()) == 2
    answer = desk.run("send", "--jsonl", "four.jsonl")
    assert [line.get("repeated", False) for line in answer.lines()] == [True, True, False, False]
    assert len(desk.letters()) == 4


# -- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_without_end_takes_no_more_than_its_share_of_memory() -> None:
    blocks = [b"x" * 300_000] * 20 + [b"y\nshort\n"]

    class Endless(io.RawIOBase):
        def read1(self, _: int) -> bytes:
            return blocks.pop(0) if blocks else b""

    assert [line for lines in read_lines(Endless()) for line in lines] == [(1, None), (2, b"short")]


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b""))),
    st.booleans(),
    st.lists(st.integers(1, 9)),
)
def test_lines_come_out_as_they_went_in_wherever_the_blocks_are_cut(lines, ended: bool, cuts: list[int]) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")

    class Cut(io.RawIOBase):
        rest = data

        def read1(self, _: int) -> bytes:
            size = cuts.pop() if cuts else 7
            block, self.rest = self.rest[:size], self.rest[size:]
            return block

    found = [line for part in read_lines(Cut()) for line in part]
    assert found == [(n, line) for n, line in enumerate(data.split(b"\n"), 1) if line.strip()]


def test_the_longest_line_is_long_enough() -> None:
    request = {"key": "键" * 200, "variables": {f"v{n}": "值" * 200 for n in range(100)}}
    assert len(json.dumps(request)) < _LONGEST
