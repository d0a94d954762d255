"""The form of the opt-out corpora: what the measured figures rest on. No grammar is run here."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "corpora" / "optout"
CONTEXT = re.compile(r"none|announced:(?:[A-Z0-9]{1,8}|退订)|question:YN")


def _load() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    module = import_module("optout_corpus")
    sys.path.remove(str(FOLDER))
    return module


corpus = _load()
LANGUAGES = ("zh", "en")
ALL_FILES = corpus.FILES + corpus.FILES_2 + corpus.FILES_3
ROUNDS = ("", "_2", "_3")


def _both(language: str, suffix: str = "") -> tuple:
    return corpus.replies(f"{language}_stop{suffix}") + corpus.replies(f"{language}_other{suffix}")


def _whole(language: str) -> list:
    return [reply for suffix in ROUNDS for reply in _both(language, suffix)]


def _texts(language: str, suffix: str) -> set[str]:
    return {_folded(text) for reply in _both(language, suffix) for text in (reply.base_text, reply.text)}


def _folded(text: str) -> str:
    """Letters and digits after NFKC and case folding; the text itself if it has none."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in plain if unicodedata.category(char)[0] in "LN") or plain.strip()


@pytest.mark.parametrize("name", ALL_FILES)
def test_every_line_has_the_columns_and_closed_values(name: str) -> None:
    raw = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8").split("\n")
    assert raw.pop() == ""
    assert tuple(raw[0].split("\t")) == corpus.COLUMNS
    assert {line.count("\t") for line in raw} == {len(corpus.COLUMNS) - 1}
    assert len(corpus.replies(name)) == len(raw) - 1
    for reply in corpus.replies(name):
        assert CONTEXT.fullmatch(reply.context), reply
        assert reply.text, reply
        if "_stop" in name:
            assert reply.label == "stop", reply
            assert reply.scope in corpus.SCOPES, reply
        else:
            assert reply.label in corpus.LABELS - {"stop"}, reply
            assert reply.scope == "-", reply


@pytest.mark.parametrize("name", ALL_FILES)
def test_characters_that_cannot_be_seen_are_escaped(name: str) -> None:
    raw = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8")
    hidden = {
        char
        for char in raw
        if char not in " \t\n" and unicodedata.category(char) in {"Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp"}
    }
    assert not hidden
    assert not re.search(r"[ ](?:\t|\n)|\t ", raw)
    assert not re.search(r"\\(?!u[0-9a-f]{4}|[tn\\])", raw)


def test_escapes_are_resolved() -> None:
    assert corpus.resolved(r"a\tb\nc\\n\u200bd") == "a\tb\nc\\n\u200bd"


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_enough_different_replies(language: str) -> None:
    """Near-duplicates counted once."""
    stop, other = corpus.replies(f"{language}_stop"), corpus.replies(f"{language}_other")
    assert len({reply.key for reply in stop}) >= 1000
    assert len({reply.key for reply in other}) >= 3000
    assert len({reply.base_text for reply in stop}) >= 250
    assert len({reply.base_text for reply in other}) >= 1000
    assert {reply.label for reply in other} == corpus.LABELS - {"stop"}
    assert {reply.scope for reply in stop} == corpus.SCOPES


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_reply_stands_twice_or_with_two_labels(language: str) -> None:
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for reply in _whole(language):
        labels[reply.context, reply.text].append(reply.label)
    assert not {where: found for where, found in labels.items() if len(found) > 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_a_question_mark_parts_a_stop_from_a_near_duplicate_that_is_none(language: str) -> None:
    stops = {reply.key for reply in _whole(language) if reply.label == "stop"}
    for reply in _whole(language):
        if reply.label != "stop" and reply.key in stops:
            assert "?" in unicodedata.normalize("NFKC", reply.text), reply


@pytest.mark.parametrize("language", LANGUAGES)
def test_base_numbers_and_texts_belong_together(language: str) -> None:
    pairs = {(reply.base, reply.base_text) for reply in _whole(language)}
    assert len({number for number, _ in pairs}) == len(pairs)
    assert len({text for _, text in pairs}) == len(pairs)


@pytest.mark.parametrize("name", ALL_FILES)
def test_every_base_stands_as_it_was_written(name: str) -> None:
    bases = {reply.base_text for reply in corpus.replies(name)}
    assert bases <= {reply.text for reply in corpus.replies(name)}


@pytest.mark.parametrize("name", corpus.FILES)
def test_both_halves_are_large(name: str) -> None:
    lines = corpus.replies(name)
    unseen = sum(reply.unseen for reply in lines)
    assert 0.4 * len(lines) < unseen < 0.6 * len(lines)
    assert not {r.base_text for r in lines if r.unseen} & {r.base_text for r in lines if not r.unseen}


@pytest.mark.parametrize("name", ALL_FILES)
def test_nothing_in_it_could_name_or_reach_a_person(name: str) -> None:
    for reply in corpus.replies(name):
        plain = unicodedata.normalize("NFKC", reply.text)
        assert not re.search(r"\d{7}|\d{3}[ -]\d{3,4}[ -]\d{4}|@|https?:|www\.", plain), reply


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_second_round_is_large_and_holds_every_label_and_scope(language: str) -> None:
    stop, other = corpus.replies(f"{language}_stop_2"), corpus.replies(f"{language}_other_2")
    assert len({reply.base_text for reply in stop}) >= 250
    assert len({reply.base_text for reply in other}) >= 900
    assert len({reply.key for reply in stop}) >= 500
    assert len({reply.key for reply in other}) >= 1600
    assert {reply.label for reply in other} == corpus.LABELS - {"stop"}
    assert {reply.scope for reply in stop} == corpus.SCOPES


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_third_round_is_large_and_holds_every_label_and_scope(language: str) -> None:
    stop, other = corpus.replies(f"{language}_stop_3"), corpus.replies(f"{language}_other_3")
    assert len(stop) >= 400
    assert len(other) >= 1200
    assert len({reply.base_text for reply in stop}) >= 220
    assert len({reply.base_text for reply in other}) >= 700
    assert {reply.label for reply in other} == corpus.LABELS - {"stop"}
    assert {reply.scope for reply in stop} == corpus.SCOPES


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("later", "earlier"), [("_2", ""), ("_3", ""), ("_3", "_2")])
def test_nothing_of_a_later_round_stands_in_an_earlier_one(language: str, later: str, earlier: str) -> None:
    """Whatever the context: compared by letters and digits alone."""
    assert not _texts(language, later) & _texts(language, earlier)


@pytest.mark.parametrize("name", ALL_FILES)
def test_the_third_round_alone_is_held_out(name: str) -> None:
    lines = corpus.replies(name)
    assert {reply.held_out for reply in lines} == {name in corpus.FILES_3}
    assert all(reply.unseen for reply in lines if reply.round > 1)


def test_the_page_states_the_counts() -> None:
    """README.md holds one table row a file: lines, bases, distinct keys, lines of the unseen half."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in ALL_FILES:
        lines = corpus.replies(name)
        row = [
            f"`{name}.tsv`",
            f"{len(lines):,}",
            f"{len({reply.base_text for reply in lines}):,}",
            f"{len({reply.key for reply in lines}):,}",
            f"{sum(reply.unseen for reply in lines):,}",
        ]
        assert f"| {' | '.join(row)} |" in page
