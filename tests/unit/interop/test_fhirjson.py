"""Strict JSON: what `json` lets pass and FHIR does not."""

from __future__ import annotations

import json

import pytest

from carelink.interop.fhirjson import BadError, Node, parse
from carelink.interop.records import Fault


def _fault(line: bytes) -> Fault:
    with pytest.raises(BadError) as caught:
        parse(line, "Patient")
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    return caught.value.code


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"", Fault.NOT_JSON),
        (b"{", Fault.NOT_JSON),
        (b"null", Fault.NOT_JSON),
        (b"[]", Fault.NOT_JSON),
        (b'"Patient"', Fault.NOT_JSON),
        (b'{"resourceType":"Patient"} {"resourceType":"Patient"}', Fault.NOT_JSON),
        (b'{"resourceType":"Patient",}', Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":NaN}', Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":-Infinity}', Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":' + b"9" * 19 + b"}", Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":' + b"9" * 100_000 + b"}", Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", Fault.NOT_JSON),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":"\x00"}', Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":"\t"}', Fault.NOT_JSON),
        (b"\x00" * 100, Fault.NOT_JSON),
        (b'{"resourceType":"Patient","a":"\xff"}', Fault.NOT_UTF8),
        (b'{"resourceType":"Patient","a":"\xed\xa0\x80"}', Fault.NOT_UTF8),
        ('{"resourceType":"Patient"}'.encode("utf-16"), Fault.NOT_UTF8),
        (b'{"resourceType":"Patient","a":1,"a":1}', Fault.DUPLICATE_KEY),
        (b'{"resourceType":"Patient","a":{"b":1,"b":2}}', Fault.DUPLICATE_KEY),
        (b"{}", Fault.WRONG_RESOURCE_TYPE),
        (b'{"resourceType":"Consent"}', Fault.WRONG_RESOURCE_TYPE),
        (b'{"resourceType":["Patient"]}', Fault.WRONG_RESOURCE_TYPE),
    ],
)
def test_what_is_no_resource(line: bytes, fault: Fault) -> None:
    assert _fault(line) is fault


def test_numbers_a_resource_may_hold() -> None:
    node = parse(b'{"resourceType":"Patient","rank":999999999999999999,"x":0.1e5}', "Patient")
    assert node.number("rank") == 999_999_999_999_999_999


_NODE = Node(
    json.loads(
        '{"text": " a ", "list": ["a", null, "b"], "flag": true, "number": 3, "nothing": null, "object": {"text": 1},'
        '"objects": [{"text": "x"}, {"text": 2}], "half": "\\ud800", "nul": "a\\u0000b", "lines": "a\\nb"}'
    ),
    "Patient",
)


def test_values_of_the_right_type() -> None:
    assert _NODE.text("text") == "a"
    assert _NODE.texts("list") == ["a", "b"]
    assert _NODE.flag("flag") is True
    assert _NODE.number("number") == 3
    assert _NODE.text("lines") == "a\nb"
    assert _NODE.nodes("objects")[0].text("text") == "x"


@pytest.mark.parametrize("key", ["nothing", "absent"])
def test_null_and_absent_read_as_empty(key: str) -> None:
    assert (_NODE.text(key), _NODE.texts(key), _NODE.flag(key), _NODE.number(key)) == ("", [], None, None)
    assert (_NODE.node(key), _NODE.nodes(key), _NODE.codes(key), _NODE.has(key)) == (None, [], [], False)


@pytest.mark.parametrize(
    ("read", "path", "fault"),
    [
        (lambda: _NODE.text("number"), "Patient.number", Fault.WRONG_TYPE),
        (lambda: _NODE.text("list"), "Patient.list", Fault.WRONG_TYPE),
        (lambda: _NODE.flag("number"), "Patient.number", Fault.WRONG_TYPE),
        (lambda: _NODE.flag("text"), "Patient.text", Fault.WRONG_TYPE),
        (lambda: _NODE.number("flag"), "Patient.flag", Fault.WRONG_TYPE),
        (lambda: _NODE.number("text"), "Patient.text", Fault.WRONG_TYPE),
        (lambda: _NODE.node("list"), "Patient.list", Fault.WRONG_TYPE),
        (lambda: _NODE.nodes("object"), "Patient.object", Fault.WRONG_TYPE),
        (lambda: _NODE.nodes("list"), "Patient.list[0]", Fault.WRONG_TYPE),
        (lambda: _NODE.texts("objects"), "Patient.objects[0]", Fault.WRONG_TYPE),
        (lambda: _NODE.nodes("objects")[1].text("text"), "Patient.objects[1].text", Fault.WRONG_TYPE),
        (lambda: _NODE.text("half"), "Patient.half", Fault.CONTROL_CHARACTER),
        (lambda: _NODE.text("nul"), "Patient.nul", Fault.CONTROL_CHARACTER),
    ],
)
def test_a_value_of_the_wrong_type_names_its_path(read, path: str, fault: Fault) -> None:
    with pytest.raises(BadError) as caught:
        read()
    assert (caught.value.field, caught.value.code) == (path, fault)
