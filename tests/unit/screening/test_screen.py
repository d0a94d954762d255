"""Screening a message: places, actions, disguises, links, marks, and what a variable brings in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.content.screening.codes import Action, Category, View
from carelink.content.screening.compiled import WordLists
from carelink.content.screening.findings import Finding, Screening
from carelink.content.screening.screen import screen_rendered
from carelink.content.template import render
from carelink.packs.screening_lists import default_lists
from carelink.vocabulary import ChannelKind, Purpose

SMS, CHAT, EMAIL = ChannelKind.SMS, ChannelKind.CHAT, ChannelKind.EMAIL
ADVERT, CARE, ARTICLE = Purpose.MARKETING_SERVICE, Purpose.CARE_TREATMENT, Purpose.EDUCATION_HEALTH
LISTS = default_lists()
MARKED = "明湖医院 （浙）医广〔2025〕第01-01-001号 拒收请回复R"


def screen(text: str, purpose: Purpose = ADVERT, kind: ChannelKind = CHAT, **more) -> Screening:
    return screen_rendered({"body": text}, purpose=purpose, channel_kind=kind, lists=LISTS, **more)


def of(screening: Screening, category: Category) -> list[Finding]:
    return [finding for finding in screening.findings if finding.category is category]


NOISE = st.text(st.sampled_from("您好请于明天来院。 ,·\u200b\u0336★\n&x-"), max_size=12)
GLUE = st.sampled_from(["", " ", "·", "*", "\u200b", "\u00ad", "\u0336", "★", "\ufe0f"])


@given(NOISE, NOISE, st.sampled_from(["根治", "无效退款", "國家級", "治癒率", "永不复发"]), GLUE, st.integers(0, 3))
def test_a_place_in_the_original_reads_as_the_word(before: str, after: str, word: str, glue: str, entity: int) -> None:
    marks = [f"&#{ord(mark)};" if place < entity else mark for place, mark in enumerate(word)]
    text = before + glue.join(marks) + after
    wanted = LISTS.folded(word)
    found = [one for one in screen(text).findings if one.start < one.end]
    slices = [LISTS.folded(text[one.start : one.end]) for one in found if one.entry.startswith("ZH.")]
    assert any(wanted in slice_ for slice_ in slices)


@given(st.text(max_size=60))
def test_any_text_is_screened_and_places_lie_in_it(text: str) -> None:
    for finding in screen(text).findings:
        assert 0 <= finding.start <= finding.end <= len(text)
        assert finding.start < finding.end or finding.category is Category.STRUCTURE


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("一月根治鼻炎", View.PLAIN),
        ("一月Ｎｏ．1的门诊", View.PLAIN),
        ("一月根·治鼻炎", View.JOINED),
        ("蕞佳的门诊", View.HOMOPHONE),
        ("根志鼻炎", View.HOMOPHONE),
        ("全市第1", View.NUMERAL),
        ("一月genzhi鼻炎", View.PINYIN),
        ("一月根zhi鼻炎", View.PINYIN),
        ("一月木艮治鼻炎", View.SPLIT),
    ],
)
def test_the_shallowest_view_is_named(text: str, view: View) -> None:
    words = [one for one in screen(text).findings if one.category in {Category.EFFICACY, Category.ABSOLUTE}]
    assert [one.view for one in words] == [view]


def test_a_variable_cannot_smuggle_a_claim() -> None:
    body = "尊敬的{patient_name}，{ward}提醒您复诊。{hint}"
    calm = render("复诊", body, {"patient_name": "王某", "ward": "三病区", "hint": "请带病历"})
    smuggled = render("复诊", body, {"patient_name": "王某", "ward": "三病区", "hint": "无效退款"})
    split = render("复诊", "本院{a}{b}多年鼻炎", {"a": "一次根", "b": "治"})

    def found(one) -> set[Category]:
        parts = {"subject": one.subject, "body": one.body}
        return {f.category for f in screen_rendered(parts, purpose=CARE, channel_kind=CHAT, lists=LISTS).findings}

    assert found(calm) == set()
    assert found(smuggled) == {Category.GUARANTEE}
    assert found(split) == {Category.EFFICACY}


@pytest.mark.parametrize("part", ["subject", "sender", "signature", "link", "link_2", "body"])
def test_every_part_is_screened_and_named(part: str) -> None:
    parts = {"body": "您的复查已安排"} | {part: "抑郁门诊"}
    screening = screen_rendered(parts, purpose=CARE, channel_kind=SMS, lists=LISTS)
    assert [(one.category, one.part, one.action) for one in screening.findings] == [
        (Category.SENSITIVE, part, Action.REFUSE)
    ]


def test_words_run_together_in_a_link_only() -> None:
    def categories(part: str) -> set[Category]:
        parts = {part: "https://hivclinic.example.org/a"}
        return {c for c, _ in screen_rendered(parts, purpose=CARE, channel_kind=SMS, lists=LISTS).categories}

    assert Category.SENSITIVE in categories("link")
    assert Category.SENSITIVE not in categories("body")


def test_sensitive_words_by_channel_consent_and_class() -> None:
    text = "抑郁症复诊提醒"

    def action(purpose: Purpose, kind: ChannelKind, **more) -> Action | None:
        found = of(screen(text, purpose, kind, **more), Category.SENSITIVE)
        return found[0].action if found else None

    assert action(CARE, SMS) is Action.REFUSE
    assert action(CARE, EMAIL) is Action.REFUSE
    assert action(CARE, SMS, detailed=True) is Action.ANNOTATE
    assert action(CARE, CHAT) is None
    assert action(ARTICLE, SMS) is Action.HOLD
    assert action(ARTICLE, SMS, detailed=True) is Action.HOLD
    assert action(ADVERT, CHAT, detailed=True) is Action.REFUSE
    assert action(Purpose.CARE_RECALL_SAFETY, SMS) is Action.ANNOTATE


def test_actions_by_class_of_purpose() -> None:
    for text, category, actions in (
        ("最佳团队", Category.ABSOLUTE, ("refuse", "hold", "annotate")),
        ("根治鼻炎", Category.EFFICACY, ("refuse", "refuse", "hold")),
        ("治愈率", Category.RATE, ("refuse", "hold", "hold")),
        ("据统计", Category.CITATION, ("refuse", "hold", "annotate")),
        ("点击购买", Category.LINK, ("hold", "refuse", "annotate")),
        ("限时", Category.PRESSURE, ("refuse", "refuse", "hold")),
        ("您患有", Category.CLINICAL_ADVICE, ("refuse", "hold", "hold")),
    ):
        found = [of(screen(text, purpose), category)[0].action.value for purpose in (ADVERT, ARTICLE, CARE)]
        assert tuple(found) == actions, text


def test_evidence_and_a_clinician_soften_their_own_category_only() -> None:
    assert of(screen("最佳团队", evidence=True), Category.ABSOLUTE)[0].action is Action.HOLD
    assert of(screen("根治鼻炎", evidence=True), Category.EFFICACY)[0].action is Action.REFUSE
    assert of(screen("您患有干眼", CARE, clinician=True), Category.CLINICAL_ADVICE)[0].action is Action.ANNOTATE
    assert of(screen("您患有干眼", ADVERT, clinician=True), Category.CLINICAL_ADVICE)[0].action is Action.REFUSE


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\u2028", "\x85"])
@pytest.mark.parametrize("purpose", [CARE, ARTICLE, ADVERT, Purpose.CARE_RECALL_SAFETY])
def test_controls_and_turning_marks_are_refused_outright(mark: str, purpose: Purpose) -> None:
    screening = screen(f"请来{mark}复查", purpose)
    assert screening.action is Action.REFUSE
    (control,) = (one for one in screening.findings if one.entry == "CONTROL")
    assert (control.start, control.end, control.reason) == (2, 3, "CONTENT_OBFUSCATED")


@pytest.mark.parametrize(
    "text",
    [
        "请\u200b来复查",
        "Yоur visit",
        "请\u0336来",
        "Visit 𝐧𝐨𝐰",
        "&#35831;来复查",
        "请\ue000来",
        "Т0Р visit",
        "请\ufe0f来",
    ],
)
def test_a_disguise_is_a_finding_by_itself(text: str) -> None:
    screening = screen(text, CARE)
    assert screening.categories == ((Category.OBFUSCATION, Action.HOLD),)


@pytest.mark.parametrize(
    "text",
    [
        "β-hCG 12 mIU/mL",
        "5 μmol/L",
        "请带❤️来",
        "👨‍👩‍👧 家属",
        "1️⃣ 空腹",
        "Ваш визит",
        "Café at the gate",
        "第①步",
        "a & b",
        "１２：３０",
        "naïve\u0301",
    ],
)
def test_ordinary_signs_are_no_disguise(text: str) -> None:
    assert of(screen(text, CARE), Category.OBFUSCATION) == []


def test_links() -> None:
    def found(text: str, purpose: Purpose) -> list[tuple[str, Action, str]]:
        return [(f.entry, f.action, text[f.start : f.end]) for f in of(screen(text, purpose), Category.LINK)]

    text = "全文见 https://hospital.example.cn/a1 。"
    assert found(text, ARTICLE) == [("URL", Action.ANNOTATE, "https://hospital.example.cn/a1")]
    assert found(text, ADVERT) == [("URL", Action.HOLD, "https://hospital.example.cn/a1")]
    assert found("见 Ｔ.cn/x1", ARTICLE) == [("ZH.LINK.SHORT", Action.REFUSE, "Ｔ.cn/x1")]
    assert found("见 not.t.cnn 和 1.5", ARTICLE) == []


def test_marks_of_a_commercial_message() -> None:
    def missing(text: str, **more) -> list[str]:
        return [one.entry for one in of(screen(text, **more), Category.STRUCTURE)]

    assert missing(MARKED) == []
    assert missing(MARKED, institution="明湖医院") == []
    assert missing(MARKED, institution="东湖医院") == ["INSTITUTION"]
    assert missing("明湖医院 拒收请回复R") == ["APPROVAL_NUMBER"]
    assert missing("明湖医院 （浙）医广〔2025〕第01-01-001号") == ["OPT_OUT"]
    assert of(screen("明湖医院", CARE), Category.STRUCTURE) == []


def test_a_gap_does_not_cross_a_sentence() -> None:
    assert of(screen("九成~提升".replace("~", "患者视力"), CARE), Category.RATE)
    assert of(screen("他吃了九成。视力提升", CARE), Category.RATE) == []


def test_latin_words_are_whole_words() -> None:
    assert of(screen("Keep it secured", CARE), Category.EFFICACY) == []
    assert of(screen("It cures", CARE), Category.EFFICACY)
    assert of(screen("Dr. Weiyi Hao", ADVERT), Category.ABSOLUTE) != []  # a name spelled like 唯一: kept, and told


def test_a_screening_sums_up() -> None:
    screening = screen("根治鼻炎，据统计最佳", CARE)
    assert screening.action is Action.HOLD
    assert screening.categories == (
        (Category.ABSOLUTE, Action.ANNOTATE),
        (Category.EFFICACY, Action.HOLD),
        (Category.CITATION, Action.ANNOTATE),
    )
    assert [one.id for one in screening.lists] == ["en", "zh"]
    assert all(len(one.digest) == 64 for one in screening.lists)
    with pytest.raises(TypeError):
        bool(screening)
    assert screen("请来复查", CARE).action is None
    assert "根治" not in repr(screening)


def test_a_long_run_of_syllables_takes_no_time_to_speak_of() -> None:
    """Cutting letters into syllables has no second thoughts: `xian` is one syllable and two."""
    assert screen("xian" * 2000 + "q", CARE).action is None
    assert screen("zuijia " * 500, CARE).findings
    assert WordLists([]).versions == ()


def test_pinyin_needs_letters_and_whole_syllables() -> None:
    assert of(screen("zui佳团队"), Category.ABSOLUTE)
    assert of(screen("zui教学"), Category.ABSOLUTE) == []  # jia is only a part of jiao
    assert (
        of(screen("最价团队，zhiyu近视"), Category.ABSOLUTE) == []
    )  # no letters there: another word that sounds alike
    assert of(screen("最价团队，zhiyu近视"), Category.EFFICACY)


def test_the_place_of_a_split_character_covers_both_parts() -> None:
    for text, written in (("一月木艮治鼻炎", "木艮治"), ("这里有国家纟及专家", "国家纟及")):
        (found,) = (one for one in screen(text).findings if one.view is View.SPLIT)
        assert text[found.start : found.end] == written


def test_short_words_with_a_character_replaced_are_other_words() -> None:
    assert of(screen("疼痛最加重时"), Category.ABSOLUTE) == []


def test_evidence_changes_nothing_outside_adverts() -> None:
    assert of(screen("最佳团队", CARE, evidence=True), Category.ABSOLUTE)[0].action is Action.ANNOTATE


def test_a_host_is_listed_as_a_whole_or_with_its_own_subdomains() -> None:
    def entries(text: str) -> list[str]:
        return [one.entry for one in of(screen(text, ARTICLE), Category.LINK)]

    assert entries("见 dot.cn/x") == ["URL"]
    assert entries("见 a.t.cn/x") == ["ZH.LINK.SHORT"]


def test_of_two_findings_in_a_category_the_stricter_counts() -> None:
    one, two = "https://hospital.example.cn/a", "https://t.cn/b"
    for text in (f"{one} {two}", f"{two} {one}"):
        assert screen(text, ARTICLE).categories == ((Category.LINK, Action.REFUSE),)


def test_a_recall_goes_out_with_notes() -> None:
    screening = screen("请\u200b停用，无效退款", Purpose.CARE_RECALL_SAFETY, SMS)
    assert {action for _, action in screening.categories} == {Action.ANNOTATE}
    assert len(screening.categories) >= 3


def test_purposes_that_differ_from_their_class() -> None:
    text = "免费体检"
    assert of(screen(text, Purpose.PUBLIC_HEALTH_NOTICE), Category.INDUCEMENT)[0].action is Action.ANNOTATE
    assert of(screen(text, CARE), Category.INDUCEMENT)[0].action is Action.HOLD
    assert of(screen("好评返现", Purpose.EXPERIENCE_SURVEY), Category.INCENTIVE)[0].action is Action.REFUSE
    assert of(screen("好评返现", CARE), Category.INCENTIVE)[0].action is Action.HOLD


@pytest.mark.parametrize("text", ["α受体阻滞剂", "5α还原酶", "κ链", "ρ值"])
def test_greek_letters_of_medicine_are_no_disguise(text: str) -> None:
    assert of(screen(text, CARE), Category.OBFUSCATION) == []
