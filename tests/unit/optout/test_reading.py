"""What replies mean: words, sentences, and the message that they answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.consent.optout.announced import asked_by
from carelink.consent.optout.grammar import ReplyScope
from carelink.consent.optout.reading import NOTHING_ASKED, UNKNOWN, Asked, Reply, read_reply
from carelink.packs.optout_words import bundled_grammar

CARRIERS = (
    "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT-OUT", "REMOVE", "ARRET", "TD",
    "退订", "拒收", "取消订阅", "停止",
)  # fmt: skip
YES_OR_NO = Asked(known=True, answers=frozenset("yn"))


def reply_of(text, asked=UNKNOWN):
    return read_reply(text, bundled_grammar(), asked).reply


@pytest.mark.parametrize("word", CARRIERS)
@pytest.mark.parametrize("around", ["{}", " {}. ", "{}!!!", "Hi, {} thanks", "{}\n> Your visit is due.", "“{}”"])
def test_words_of_carriers_stop(word, around):
    """CTIA; the lists of AWS and of Chinese providers (channels.md 8, compliance.md 5.4)."""
    assert reply_of(around.format(word)) in (Reply.STOP, Reply.STOP_ALL)


@pytest.mark.parametrize("word", ["T", "R", "N", "TT", "0000", "t ", "Ｔ", "T。谢谢"])
def test_a_letter_stops_where_nothing_was_asked_or_it_was_announced(word):
    assert reply_of(word, NOTHING_ASKED) is Reply.STOP
    assert reply_of(word, YES_OR_NO) in (Reply.REVIEW, Reply.OTHER)
    assert reply_of(word) is Reply.REVIEW, "who was sent nothing cannot be answering"


def test_an_answer_is_no_stop():
    assert reply_of("N", YES_OR_NO) is Reply.OTHER
    assert reply_of("N", Asked(known=True, announced=frozenset("n"))) is Reply.STOP
    assert reply_of("cancel", YES_OR_NO) is Reply.REVIEW
    assert reply_of("取消", YES_OR_NO) is Reply.REVIEW
    assert reply_of("STOP", YES_OR_NO) is Reply.STOP
    assert reply_of("退订", YES_OR_NO) is Reply.STOP
    assert reply_of("stop", Asked(known=True, answers=frozenset({"stop", "go"}))) is Reply.REVIEW
    assert reply_of("please stop texting me", YES_OR_NO) is Reply.STOP, "a sentence about messages is no answer"


@pytest.mark.parametrize("word", ["QX", "stop4", "NOMORE", "0451"])
def test_whatever_was_announced_stops(word):
    asked = Asked(known=True, announced=frozenset({word.casefold()}))
    assert reply_of(f"回复 {word}，谢谢", asked) is Reply.STOP
    assert reply_of(f"{word} what does that mean", asked) is not Reply.STOP
    assert reply_of(f"{word}?", asked) is not Reply.STOP


@pytest.mark.parametrize(
    ("text", "scope", "purposes", "channels"),
    [
        ("stop texting me", ReplyScope.PLAIN, (), ()),
        ("不要再给我发广告短信了", ReplyScope.PURPOSE, ("marketing",), ()),
        ("no more marketing texts", ReplyScope.PURPOSE, ("marketing",), ()),
        ("please stop the surveys", ReplyScope.PURPOSE, ("experience",), ()),
        ("退订随访计划", ReplyScope.PLAN, ("care",), ()),
        ("don't text me, email instead", ReplyScope.CHANNEL, (), ()),
        ("stop calling me", ReplyScope.CHANNEL, (), ("task",)),
        ("不要在微信上发了", ReplyScope.CHANNEL, (), ("chat",)),
        ("stop all marketing texts", ReplyScope.PURPOSE, ("marketing",), ()),
        ("不要再给我发任何广告", ReplyScope.PURPOSE, ("marketing",), ()),
        ("停止所有营销短信", ReplyScope.PURPOSE, ("marketing",), ()),
        ("unsubscribe from all marketing", ReplyScope.PURPOSE, ("marketing",), ()),
        ("please do not send any more messages", ReplyScope.PLAIN, (), ()),
        ("stop all messages", ReplyScope.ALL, (), ()),
        ("所有短信都不要发了", ReplyScope.ALL, (), ()),
    ],
)
def test_a_stop_names_what_it_speaks_of(text, scope, purposes, channels):
    reading = read_reply(text, bundled_grammar())
    assert reading.reply in (Reply.STOP, Reply.STOP_ALL)
    assert (reading.scope, reading.purposes, reading.channels) == (scope, purposes, channels)


@pytest.mark.parametrize(
    "text",
    [
        "should I stop taking aspirin?", "the bleeding has not stopped", "please cancel my appointment on Friday",
        "take me off the waiting list", "quit smoking 3 weeks ago", "which bus stop is it", "stop the drip, it hurts",
        "I want to stop treatment", "停药后还疼怎么办", "取消预约", "我要退号", "停诊了吗", "不要打疫苗", "别忘了给我发报告",
        "已停经两个月", "don't stop sending these", "please do not unsubscribe me", "我没有退订", "不要取消我的提醒", "你们怎么不发短信了",
        "I stopped getting your texts", "I never told you to stop texting me",
    ],
)  # fmt: skip
def test_these_stop_nothing(text):
    assert reply_of(text) not in (Reply.STOP, Reply.STOP_ALL, Reply.WRONG_PERSON)


@pytest.mark.parametrize(
    "text",
    ["短信太多了，烦死了", "too many texts", "stop texting me at night", "Reply STOP to unsubscribe", "how do I unsubscribe",
     "stop?", "不用发了，我已经到医院了", "退订怎么操作"],
)  # fmt: skip
def test_these_are_for_a_person_to_read(text):
    assert reply_of(text) is Reply.REVIEW


@pytest.mark.parametrize(
    ("text", "reply"),
    [("wrong number", Reply.WRONG_PERSON), ("你们发错人了", Reply.WRONG_PERSON), ("我不是张三", Reply.WRONG_PERSON),
     ("START", Reply.START), ("恢复订阅", Reply.START), ("HELP", Reply.HELP), ("帮助", Reply.HELP), ("ok thanks", Reply.OTHER),
     ("", Reply.OTHER), ("👍", Reply.OTHER)],
)  # fmt: skip
def test_other_replies(text, reply):
    assert reply_of(text) is reply


def test_a_long_letter_is_a_stop_if_a_sentence_of_it_is_one():
    letter = "I came to the clinic on Monday and waited for two hours. " * 12
    assert reply_of(letter + "Please stop texting me. " + letter) is Reply.STOP
    assert reply_of(letter + "\nSTOP\n" + letter) is Reply.STOP
    assert reply_of(letter + "The pain does not stop. " + letter) is Reply.OTHER
    assert reply_of(letter + "I never said stop texting me. " + letter) is not Reply.STOP
    assert reply_of("This is harassment " + letter) is Reply.REVIEW
    assert reply_of(letter * 2 + "please unsubscribe") is Reply.OTHER, "beyond the first thousand characters"


def test_words_said_over_and_over_are_read_once_or_twice():
    assert reply_of("please " * 140 + "stop") is Reply.STOP
    assert reply_of("请" * 240 + "停止发送") is Reply.STOP


@given(st.text(max_size=200), st.sampled_from([UNKNOWN, NOTHING_ASKED, YES_OR_NO]))
def test_any_text_is_read(text, asked):
    assert read_reply(text, bundled_grammar(), asked).reply in Reply


@given(
    st.lists(
        st.sampled_from(
            ["stop", "退", "订", "n", "不", "要", "please", ",", ".", "?", "\n", "texts", "me", "all", "off"]
        ),
        max_size=40,
    )
)
def test_any_words_are_read(words):
    assert read_reply(" ".join(words), bundled_grammar()).reply in Reply


@pytest.mark.parametrize(
    ("text", "answers", "announced"),
    [
        ("Reply Y to confirm, N to cancel. Text STOP to opt out.", "y n", "stop"),
        ("回复1确认，2改期。拒收请回复R", "1 2", "r"),
        ("【明湖医院】您的复诊在{date}，请回复Y确认或N取消，退订回T", "y n", "t"),
        ("退订回复TD", "", "td"),
        ("回T退订", "", "t"),
        ("请回复“是”或“否”", "是 否", ""),
        ("Please reply YES or NO.", "yes no", ""),
        ("Reply 1 for morning, 2 for afternoon or R to unsubscribe", "1 2", "r"),
        ("Reply HELP for help, STOP to cancel.", "help", "stop"),
        ("Your appointment is on {date} at {time}.", "", ""),
        ("", "", ""),
    ],
)
def test_what_a_message_asks_and_announces(text, answers, announced):
    asked = asked_by(text)
    assert (asked.known, asked.answers, asked.announced) == (True, set(answers.split()), set(announced.split()))
