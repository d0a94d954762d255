"""Types of variables: what a value may be, and that an error never repeats it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.content.template import ChannelText, Template, read_details, render
from carelink.content.variables import Characters, ValueKind, VariableType
from carelink.errors import InvalidInputError
from carelink.model.scope import Scope
from carelink.vocabulary import ChannelKind, DataClass


def typed(**declared):
    return VariableType.of("place", declared)


GOOD = [
    ({}, "北京 Ward 3, Dr. Chen"), ({"type": "text", "max": 3}, "abc"),
    ({"type": "text", "characters": ["han", "digit"]}, "三楼302"), ({"type": "text", "characters": ["latin", "space"]}, "a B"),
    ({"type": "integer"}, "-12"), ({"type": "integer", "min": -3, "max": 7}, "-3"), ({"type": "integer", "max": 7}, "7"),
    ({"type": "date"}, "2028-02-29"), ({"type": "date", "min": "2026-01-01", "max": "2026-12-31"}, "2026-12-31"),
    ({"type": "time", "min": "08:00", "max": "17:30"}, "08:00"), ({"type": "datetime"}, "2026-11-25 08:30"),
    ({"type": "choice", "of": ["left", "右眼"]}, "右眼"), ({}, "x" * 200), ({}, "Zoë, 王医生"), ({"type": "text", "max": 1}, "a"),
    ({"type": "text", "characters": ["letter"]}, "Zoë王"), ({"type": "text", "characters": ["letter", "digit"]}, "Zoë3"),
    ({"type": "choice", "of": [f"ward {number}" for number in range(100)]}, "ward 99"),
]  # fmt: skip
BAD = [
    ({}, "x" * 201), ({}, " "), ({}, "a\u200bb"), ({"type": "text", "max": 3}, "abcd"),
    ({"type": "text", "characters": ["han", "digit"]}, "三楼 A"), ({"type": "text", "characters": ["latin"]}, "é"),
    ({"type": "text", "characters": ["digit"]}, "\u0663"), ({"type": "text", "characters": ["letter"]}, "Zoe 3"),
    ({"type": "integer"}, "012"), ({"type": "integer"}, "1.0"), ({"type": "integer"}, "\u0661"), ({"type": "integer"}, "-0"),
    ({"type": "integer", "min": -3, "max": 7}, "8"), ({"type": "integer", "min": -3}, "-4"),
    ({"type": "date"}, "2026-02-29"), ({"type": "date"}, "2026-2-3"), ({"type": "date"}, "根治白内障"), ({"type": "date"}, "99%"),
    ({"type": "date", "min": "2026-01-01", "max": "2026-12-31"}, "2027-01-01"), ({"type": "time"}, "24:00"),
    ({"type": "datetime"}, "2026-11-25T08:30"), ({"type": "choice", "of": ["left"]}, "right"),
]  # fmt: skip
MALFORMED = [
    {"type": "regex"}, {"type": "text", "max": 0}, {"type": "text", "max": 201}, {"type": "text", "max": "many"},
    {"type": "text", "characters": ["any"]}, {"type": "text", "min": 1}, {"type": "choice"}, {"type": "choice", "of": [""]},
    {"type": "integer", "min": 9, "max": 1}, {"type": "integer", "min": "x"}, {"type": "date", "min": "soon"},
    {"type": "date", "of": ["2026-01-01"]}, {"type": "choice", "of": [1]}, {"type": "choice", "of": ["a"] * 101},
]  # fmt: skip


@pytest.mark.parametrize(("declared", "value"), GOOD)
def test_a_value_of_its_type_is_taken_as_it_is(declared, value):
    assert typed(**declared).check(value) == value


@pytest.mark.parametrize(("declared", "value"), BAD)
def test_a_value_of_another_type_is_refused_and_not_repeated(declared, value):
    with pytest.raises(InvalidInputError) as caught:
        typed(**declared).check(value)
    assert "`place`" in str(caught.value)
    assert value.strip() == "" or value not in str(caught.value).replace("`place`", "")


@pytest.mark.parametrize("declared", MALFORMED)
def test_a_malformed_type_is_refused(declared):
    with pytest.raises(InvalidInputError):
        typed(**declared)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": ValueKind.TEXT, "longest": 5, "low": "1"}, {"kind": ValueKind.TEXT, "longest": 5, "high": "a"},
        {"kind": ValueKind.CHOICE, "choices": ("a", "b"), "low": "a"}, {"kind": ValueKind.TEXT},
        {"kind": ValueKind.INTEGER, "longest": 5}, {"kind": ValueKind.DATE, "characters": (Characters.DIGIT,)},
    ],
)  # fmt: skip
def test_a_type_holds_nothing_of_another_kind(wrong):
    with pytest.raises(InvalidInputError, match="`place`"):
        VariableType(name="place", **wrong)


@pytest.mark.parametrize("name", ["Zhang San 13800000000", "", "Place", "1st", "a" * 33, "a b"])
def test_what_is_no_name_of_a_variable_is_not_repeated(name):
    for make in (
        lambda: VariableType(name=name, kind=ValueKind.INTEGER),
        lambda: VariableType.of(name, {"type": "integer"}),
        lambda: VariableType.of(name, {"type": "integer", "surplus": 1}),
        lambda: VariableType.of(name, {"type": "text", "max": "many"}),
    ):
        with pytest.raises(InvalidInputError, match="is named") as caught:
            make()
        assert "138" not in str(caught.value)


@given(st.text(max_size=30), st.sampled_from([declared for declared, _ in GOOD]))
def test_a_check_ends_in_the_value_or_a_typed_error(value, declared):
    try:
        assert typed(**declared).check(value) == value
    except InvalidInputError:
        return


def form(**more):
    given_ = {"name": "t", "version": 1, "scope": Scope(("care",), ("email", "sms")), "body": "On {day}. {byline}",
              "byline": "A, B", **more}  # fmt: skip
    return Template(**given_)


DETAILED = {
    "types": (VariableType.of("day", {"type": "date", "min": "2026-01-01"}),),
    "texts": (ChannelText(kind=ChannelKind.SMS, body="{day}"),),
    "citations": ("WHO 2025",),
    "byline": "C",
    "data": (DataClass.DIAGNOSIS,),
}


def test_every_detail_is_in_the_digest_and_comes_back():
    whole = form(**DETAILED)
    plain = form()
    assert whole.digest != plain.digest
    for name in DETAILED:
        assert form(**{**DETAILED, name: getattr(plain, name)}).digest != whole.digest, name
    bare = Template(name="t", version=1, scope=whole.scope, body="On {day}. X")
    assert bare.details == ""
    assert read_details("") == {}
    assert form(**read_details(whole.details)) == whole


@pytest.mark.parametrize(
    "details",
    [
        "{",
        "[]",
        '{"types":[]}',
        '{"texts":{"sms":["a"]}}',
        '{"data":["secret"]}',
        '{"citations":3}',
        '{"citations":["a",3]}',
        '{"byline":3}',
    ],
)
def test_malformed_details_are_no_details(details):
    with pytest.raises(InvalidInputError):
        read_details(details)


@pytest.mark.parametrize(
    "more",
    [
        {"types": (VariableType.of("other", {}),)},
        {"types": (VariableType.of("day", {}), VariableType.of("day", {}))},
        {"body": "{patient_name} {byline}", "types": (VariableType.of("patient_name", {}),)},
        {"texts": (ChannelText(kind=ChannelKind.CHAT, body="x"),)},
        {"citations": ("a\nb",)}, {"citations": ("",)}, {"byline": ""}, {"byline": "{day}"},
        {"citations": ("a" * 501,)}, {"citations": ("a",) * 51}, {"byline": "a" * 501}, {"byline": "a\nb"}, {"byline": " "},
        {"data": (DataClass.NOTE, DataClass.NOTE)},
    ],
)  # fmt: skip
def test_details_fit_the_template(more):
    with pytest.raises(InvalidInputError):
        form(**more)


@pytest.mark.parametrize(
    "more",
    [
        {"citations": ("a" * 500,)}, {"citations": ("a",) * 50}, {"byline": "a" * 500},
        {"texts": (ChannelText(kind=ChannelKind.EMAIL, body="x"), ChannelText(kind=ChannelKind.SMS, body="y"))},
        {"scope": Scope(("care",), ("*",)), "texts": (ChannelText(kind=ChannelKind.CHAT, body="x"),)},
    ],
)  # fmt: skip
def test_details_up_to_their_limits(more):
    assert form(**read_details(form(**more).details) | {"scope": form(**more).scope}) == form(**more)


def test_a_channel_says_its_own_text():
    detailed = form(**DETAILED)
    assert detailed.fill(ChannelKind.SMS, {"day": "2026-05-01"}).body == "2026-05-01"
    assert detailed.fill(ChannelKind.EMAIL, {"day": "2026-05-01"}).body == "On 2026-05-01. C"
    # What a channel's text has no place for need not be there.
    short = form(**{**DETAILED, "texts": (ChannelText(kind=ChannelKind.SMS, subject="S", body="Come."),)})
    filled = short.fill(ChannelKind.SMS, {})
    assert (filled.subject, filled.body) == ("S", "Come.")


def test_a_value_is_checked_again_when_the_text_is_filled():
    with pytest.raises(InvalidInputError, match="`day`"):
        form(**DETAILED).fill(ChannelKind.SMS, {"day": "根治白内障"})


def test_a_long_byline_is_no_value():
    assert form(byline="a" * 500).fill(ChannelKind.SMS, {"day": "Monday"}).body == f"On Monday. {'a' * 500}"


def test_the_digest_of_details_is_frozen():
    # Approvals of released versions stand on it.
    text = (
        '{"body":"On {day}. {byline}","byline":"陈医生","channels":["email","sms"],"citations":["WHO 2025"],'
        '"data":["diagnosis"],"language":"und","name":"t","purposes":["care"],"subject":"",'
        '"texts":{"sms":["","{day}"]},"types":{"day":{"min":"2026-01-01","type":"date"}},"version":1}'
    )
    template = form(**{**DETAILED, "byline": "陈医生"})
    assert template.digest == hashlib.sha256(b"carelink/template/v1\n" + text.encode()).hexdigest()


def test_a_text_of_a_channel_has_the_same_rules_as_any():
    for wrong in ({"body": ""}, {"body": "{"}, {"body": "x", "subject": "a\nb"}):
        with pytest.raises(InvalidInputError):
            ChannelText(kind=ChannelKind.SMS, **wrong)


def test_a_template_checks_each_value_against_its_type():
    detailed = form(**DETAILED)
    detailed.check({"day": "2026-05-01"})
    for given_ in ({}, {"day": "2026-05-01", "more": "x"}):
        with pytest.raises(InvalidInputError):
            detailed.check(given_)
    with pytest.raises(InvalidInputError, match="`day`"):
        form().check({"day": "a\u200bb"})
    with pytest.raises(InvalidInputError, match="`day`"):
        detailed.check({"day": "根治白内障"})


def test_a_byline_fills_its_own_place_and_no_other():
    assert render("", "{byline}, {day}", {"day": "Monday"}, byline="Dr Chen").body == "Dr Chen, Monday"
    with pytest.raises(InvalidInputError, match="`day`"):
        render("", "{byline}, {day}", {}, byline="Dr Chen")
    with pytest.raises(InvalidInputError, match="`day`"):
        render("", "{byline}, {day}", {"day": "a\u200bb"}, byline="Dr Chen")


@pytest.mark.parametrize(("declared", "value"), GOOD)
def test_a_type_reads_back_from_its_declaration(declared, value):
    made = typed(**declared)
    assert VariableType.of("place", made.declared()) == made
    assert VariableType.of("place", made.declared()).check(value) == value


@pytest.mark.parametrize("bounds", [{"min": "1"}, {"max": "9"}, {"min": "1", "max": "9"}, {}])
def test_a_range_is_declared_as_it_was_given(bounds):
    declared = {"type": "integer", **bounds}
    assert VariableType.of("count", declared).declared() == declared


@pytest.mark.parametrize("most", [1, 3, 200])
def test_the_length_of_a_text_is_declared(most):
    assert typed(max=most).declared() == {"type": "text", "max": most}
