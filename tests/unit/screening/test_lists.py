"""The bundled lists: each entry finds its samples; the form is strict."""

from __future__ import annotations

import pytest

from carelink.consent.reasons import ReasonCode
from carelink.content.screening.codes import REASONS, Action, Category, PurposeClass, action_of, class_of
from carelink.content.screening.compiled import WordLists
from carelink.content.screening.lists import Entry, parse_list
from carelink.content.screening.screen import screen_rendered
from carelink.errors import PolicyError
from carelink.packs.screening_lists import bundled_lists, list_bytes, load_list
from carelink.vocabulary import Certainty, ChannelKind, Purpose

ENTRIES = [entry for name in bundled_lists() for entry in load_list(name).entries]
ADVERT = Purpose.MARKETING_SERVICE
# Benign phrases are per purpose: an advert is not where one says "治愈出院" or "保证睡眠".
CALM = dict.fromkeys(Category, Purpose.EDUCATION_HEALTH)
CALM |= {
    Category.MEDICAL_NAME: ADVERT,
    Category.INCENTIVE: ADVERT,
    Category.PRESSURE: ADVERT,
    Category.OTHERS_EVENTS: ADVERT,
}


def _found(lists: WordLists, entry: Entry, text: str, purpose: Purpose) -> bool:
    screening = screen_rendered({"body": text}, purpose=purpose, channel_kind=ChannelKind.SMS, lists=lists)
    return any(finding.entry == entry.id for finding in screening.findings)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_samples_of_an_entry(lists: WordLists, entry: Entry) -> None:
    assert _found(lists, entry, entry.positive, ADVERT)
    assert _found(lists, entry, entry.evasion, ADVERT)
    assert entry.evasion != entry.positive
    assert not _found(lists, entry, entry.benign, CALM[entry.category])


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_every_word_of_an_entry_is_found(lists: WordLists, entry: Entry) -> None:
    filled = [word.replace("#", "3").replace("~", "") for word in entry.words]
    texts = [*filled, *entry.variants, *(f"http://{domain}/x" for domain in entry.domains)]
    assert [text for text in texts if not _found(lists, entry, f"您好，{text}，谢谢", ADVERT)] == []


def test_every_benign_phrase_is_used(lists: WordLists) -> None:
    """A phrase that holds no listed word consumes nothing: it would stand there for show."""
    plain = WordLists([load_list(name) for name in bundled_lists()])
    idle = []
    for name in bundled_lists():
        for phrase in load_list(name).benign:
            for word in phrase.words:
                form = plain.folded(word)
                inner = [plain.words[number] for _, _, number in plain.automaton.find(form)]
                if not any(found.entries for found in inner):
                    idle.append(word)
    assert idle == []


def test_a_benign_phrase_takes_its_span_and_no_more(lists: WordLists) -> None:
    def entries(text: str, purpose: Purpose = ADVERT) -> list[tuple[str, int]]:
        screening = screen_rendered({"b": text}, purpose=purpose, channel_kind=ChannelKind.SMS, lists=lists)
        return [(one.entry, one.start) for one in screening.findings if one.category is Category.ABSOLUTE]

    assert entries("请到第一人民医院") == []
    assert entries("全市第一，第一人民医院") == [("ZH.ABS.FIRST", 0)]
    # A banned word that begins before the benign phrase is not eaten by it.
    assert entries("全国第一次用") == [("ZH.ABS.FIRST", 0)]
    assert entries("最好空腹", Purpose.EDUCATION_HEALTH) == []
    assert entries("最好空腹") == [("ZH.ABS.BEST", 0)]


def test_a_word_that_only_overlaps_a_benign_phrase_stands(lists: WordLists) -> None:
    screening = screen_rendered(
        {"b": "第一人民医院院士坐诊"}, purpose=ADVERT, channel_kind=ChannelKind.CHAT, lists=lists
    )
    assert "ZH.END.EXPERT" in {one.entry for one in screening.findings}


def test_sources_name_instrument_version_article_and_certainty() -> None:
    for entry in ENTRIES:
        assert entry.sources
        for source in entry.sources:
            assert source.instrument and source.version and source.article
            assert source.certainty is not Certainty.TEXT, "nobody read the text of the rule itself"


def test_every_word_category_has_entries_in_both_languages() -> None:
    words = set(Category) - {Category.STRUCTURE, Category.OBFUSCATION}
    for name in bundled_lists():
        assert {entry.category for entry in load_list(name).entries} == words


def test_a_category_has_a_reason_and_an_action_for_adverts() -> None:
    assert set(REASONS) == set(Category)
    for category in Category:
        assert action_of(category, ADVERT, ChannelKind.SMS) in {Action.REFUSE, Action.HOLD}


def test_the_reasons_are_reason_codes_of_decisions() -> None:
    assert set(REASONS.values()) <= {code.value for code in ReasonCode}


def test_care_is_held_or_annotated_never_refused_but_for_sensitive_words_on_open_channels() -> None:
    for purpose in Purpose:
        if class_of(purpose) is PurposeClass.SERVICE and purpose.value.startswith("care."):
            for category in Category:
                for kind in ChannelKind:
                    refused = action_of(category, purpose, kind) is Action.REFUSE
                    open_kind = kind in {ChannelKind.SMS, ChannelKind.EMAIL}
                    recall = purpose is Purpose.CARE_RECALL_SAFETY
                    assert refused == (category is Category.SENSITIVE and open_kind and not recall)


GOOD = """
[list]
id = "x"
version = "1"
title = { en = "x", zh = "x" }
[source.s]
instrument = "i"
version = "v"
article = "a"
certainty = "S"
[[entry]]
id = "X.ONE"
category = "FEAR"
words = ["foo"]
sources = ["s"]
added = "2026-11-25"
positive = "foo"
evasion = "f.o.o"
benign = "bar"
"""


def test_a_list_is_read_with_its_digest() -> None:
    import hashlib

    made = parse_list(GOOD.encode())
    assert made.digest == hashlib.sha256(GOOD.encode()).hexdigest()
    assert [entry.words for entry in made.entries] == [("foo",)]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('words = ["foo"]', "words = []", "neither words nor domains"),
        ('words = ["foo"]', 'words = ["foo", "foo"]', "`words`"),
        ('words = ["foo"]', 'words = "foo"', "`words`"),
        ('category = "FEAR"', 'category = "FEARS"', "not a category"),
        ('sources = ["s"]', 'sources = ["t"]', "no source is called `t`"),
        ('sources = ["s"]', "sources = []", "`sources`"),
        ('added = "2026-11-25"', 'added = "today"', "`added`"),
        ('benign = "bar"\n', "", "`benign`"),
        ('benign = "bar"\n', 'benign = "bar"\nweight = 3\n', "`weight` is not a key"),
        ('certainty = "S"', 'certainty = "X"', "`certainty`"),
        ('words = ["foo"]', 'words = ["foo"]\npinyin = ["foo"]', "pinyin"),
        ('id = "X.ONE"', 'id = "x one"', "`id`"),
        ("[list]", "[lists]", "`list`"),
        ("[list]", "[list", "not TOML"),
        ('words = ["foo"]', 'words = ["foo"]\nalike = 1', "`alike`"),
    ],
)
def test_what_is_not_understood_is_an_error(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(PolicyError, match=says):
        parse_list(GOOD.replace(old, new, 1).encode())


def test_two_entries_of_one_id_are_an_error() -> None:
    entry = GOOD[GOOD.index("[[entry]]") :]
    with pytest.raises(PolicyError, match="twice"):
        parse_list((GOOD + entry).encode())
    with pytest.raises(PolicyError, match="one id"):
        WordLists([parse_list(GOOD.encode()), parse_list(GOOD.encode())])


def test_a_word_of_nothing_is_an_error() -> None:
    with pytest.raises(PolicyError, match="neither letters nor numbers"):
        WordLists([parse_list(GOOD.replace('words = ["foo"]', 'words = ["--"]').encode())])
    with pytest.raises(PolicyError, match="nothing but numbers"):
        WordLists([parse_list(GOOD.replace('words = ["foo"]', 'words = ["#~"]').encode())])


def test_there_is_no_other_bundled_list() -> None:
    assert bundled_lists() == ("en", "zh")
    with pytest.raises(PolicyError):
        list_bytes("fr")


FOREIGN = """
[list]
id = "foreign"
version = "1"
title = { en = "x", zh = "x" }
[[benign]]
id = "F.BENIGN"
words = ["无效退款", "一月根治鼻炎"]
classes = ["commercial", "education", "service"]
why = "would open the gate"
"""


def test_a_benign_phrase_speaks_for_its_own_list_only(lists: WordLists) -> None:
    """Adding a list can only narrow (P10)."""
    more = WordLists([*(load_list(name) for name in bundled_lists()), parse_list(FOREIGN.encode())])
    text = {"b": "一月根治鼻炎，无效退款"}
    found = [
        [
            (one.entry, one.start)
            for one in screen_rendered(text, purpose=ADVERT, channel_kind=ChannelKind.SMS, lists=each).findings
        ]
        for each in (lists, more)
    ]
    assert found[0] == found[1]
    assert ("ZH.EFF.CURE", 2) in found[0]


def test_licensed_names_are_harmless_everywhere_and_only_as_a_whole() -> None:
    named = WordLists([load_list(name) for name in bundled_lists()], names=["国家级眼科医院", "特效救心丸"])

    def entries(text: str) -> list[str]:
        screening = screen_rendered({"b": text}, purpose=ADVERT, channel_kind=ChannelKind.CHAT, lists=named)
        return [one.entry for one in screening.findings if one.category is not Category.STRUCTURE]

    assert entries("国家级眼科医院，特效救心丸") == []
    assert entries("国家级专家，特效药丸") == ["ZH.ABS.LEVEL", "ZH.EFF.MAGIC"]


def _entries(text: str, form: str) -> list[str]:
    lists = WordLists([parse_list(form.encode())])
    found = screen_rendered({"b": text}, purpose=ADVERT, channel_kind=ChannelKind.CHAT, lists=lists)
    return [one.entry for one in found.findings]


def test_a_misspelling_that_is_itself_listed_belongs_to_its_own_entry() -> None:
    second = GOOD[GOOD.index("[[entry]]") :].replace("X.ONE", "X.TWO").replace('["foo"]', '["bar"]')
    form = GOOD.replace('words = ["foo"]', 'words = ["foo"]\nvariants = ["bar", "baz"]') + second
    assert _entries("bar", form) == ["X.TWO"]
    assert _entries("baz", form) == ["X.ONE"]


def test_an_entry_can_do_without_look_alikes() -> None:
    form = GOOD.replace('["foo"]', '["糖尿病"]')
    assert _entries("糖料病", form) == ["X.ONE"]
    assert _entries("糖料病", form.replace('sources = ["s"]', 'sources = ["s"]\nalike = false')) == []
