"""Each step of the normaliser is needed: without it, a reply that is a stop is not seen as one."""

from __future__ import annotations

import pytest

from carelink.consent.optout.normal import ALL_STEPS, LONGEST, Step, tokens
from carelink.consent.optout.reading import Reply, read_reply
from carelink.packs.optout_words import bundled_grammar

NEEDS = {
    Step.QUOTED: "取消\n> 您的复诊时间已到，如需改期请回电\n> 明湖医院",
    Step.SIGN_OFF: "cancel\nSent from my phone",
    Step.COMPATIBILITY: "ＳＴＯＰ",
    Step.CASE: "Unsubscribe",
    Step.INVISIBLE: "st\u200bop",
    Step.ACCENTS: "stóp texting me",
    Step.CONFUSABLES: "ѕtор",
    Step.TRADITIONAL: "請勿再傳送簡訊給我",
    Step.SIGNED: "【明湖医院】 取消",
    Step.APOSTROPHES: "don't text me",
    Step.DOTTED: "退.订",
    Step.MARKS: "STOP! The food was cold",
    Step.STRETCHED: "stoooop",
    Step.REPEATED: "STOPSTOPSTOP",
    Step.SPELLED: "S T O P",
}


def test_every_step_has_a_reply_that_needs_it():
    assert set(NEEDS) == set(Step) == set(ALL_STEPS)


@pytest.mark.parametrize("step", Step)
def test_without_the_step_the_stop_is_missed(step):
    grammar = bundled_grammar()
    assert read_reply(NEEDS[step], grammar).reply is Reply.STOP
    assert read_reply(NEEDS[step], grammar, steps=ALL_STEPS - {step}).reply is not Reply.STOP


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Stop, 退订!", ("stop", ",", "退", "订", ".")),
        ("can't", ("cant",)),
        ("STOP4", ("stop", "4")),
        ("t d", ("td",)),
        ("a b", ("a", "b")),
        ("取消\r\n谢谢", ("取", "消", "\n", "谢", "谢")),
        ("👍", ()),
        ("", ()),
    ],
)
def test_words_and_marks(text, words):
    assert tokens(text) == words


def test_only_the_beginning_is_read():
    words = tokens("ab cd " * LONGEST + "stop")
    assert len(words) == -(-LONGEST // 3)
    assert "stop" not in words


def test_a_word_said_over_and_over_counts_four_times():
    assert tokens("no " * 50) == ("no",) * 4
    assert tokens("no yes " * 3) == ("no", "yes") * 3
