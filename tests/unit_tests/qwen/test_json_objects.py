import json

import pytest

from langchain_qwen_space.qwen.json_objects import BrokenJSONError, find, mistakes, so_far


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": [1, 2]}}',
        '  {"a": {"b": [1, 2]}}\n',
        '```json\n{"a": {"b": [1, 2]}}\n```',
        '```\n{"a": {"b": [1, 2]}}\n```',
        'Here it is: {"a": {"b": [1, 2]}}. Anything else?',
        'The placeholder {name} and the set {1, 2} become {"a": {"b": [1, 2]}}',
        "In Python: {'a': {'b': [1, 2]}}",
    ],
)
def test_an_object_is_found_bare_fenced_and_in_prose(text):
    assert list(find(text)) == [{"a": {"b": [1, 2]}}]


def test_several_objects_are_found_in_their_order():
    assert list(find('{"a": 1} or {} or rather {"b": {"c": 2}}')) == [
        {"a": 1},
        {},
        {"b": {"c": 2}},
    ]


def test_no_object_is_found_where_there_is_none():
    assert list(find("no braces, [1, 2], {set}, { and }")) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "root", "children": [{"name": "leaf", "children": []}, {"na',
        '{"name": "root" "children": [{"name": "leaf", "children": []}]}',
    ],
)
def test_a_part_of_a_broken_object_does_not_pass_for_the_whole(text):
    with pytest.raises(BrokenJSONError, match="cannot be read"):
        list(find(text))


def test_an_object_that_is_nested_too_deep_is_broken_and_breaks_nothing_else():
    with pytest.raises(BrokenJSONError):
        list(find('{"a": ' + "[" * 200_000))


def test_line_breaks_in_strings_are_read():
    assert list(find('{"a": "one\ntwo"}')) == [{"a": "one\ntwo"}]


def test_braces_in_strings_do_not_end_an_object():
    assert list(find('{"a": "} {\\"b\\": 1}"}')) == [{"a": '} {"b": 1}'}]


def test_a_growing_object_is_shown_as_far_as_it_has_come():
    text = 'Sure: {"a": "xy", "b": [1, {"c": null}]} That is all.'
    shown = [so_far(text[:end]) for end in range(len(text) + 1)]
    assert shown[:9] == [None] * 9
    assert {"a": "x"} in shown
    assert {"a": "xy", "b": [1]} in shown
    assert shown[-1] == {"a": "xy", "b": [1, {"c": None}]}


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "weight": {"type": "number"},
        "colour": {"enum": ["red", "green"]},
        "kind": {"const": "cat"},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/Friend"}},
        "id": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "both": {"allOf": [{"type": "string"}, {"enum": ["x"]}]},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {
        "Friend": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "of": {"$ref": "#/$defs/Friend"}},
            "required": ["name"],
        }
    },
}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "Tom", "age": 3},
        {"name": "Tom", "age": 3.0, "weight": 4},
        {"name": "Tom", "age": None, "weight": None},
        {"name": "Tom", "age": 3, "friends": [{"name": "Jerry", "of": {"name": "Spike"}}]},
        {"name": "Tom", "age": 3, "id": 7, "colour": "red", "kind": "cat", "both": "x"},
    ],
)
def test_a_value_that_fits_a_schema_has_no_mistakes(value):
    assert list(mistakes(value, SCHEMA)) == []


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"name": None}, "it.name must be of type string."),
        ({"age": "3"}, "it.age must be of type integer or null."),
        ({"age": True}, "it.age must be of type integer or null."),
        ({"age": 3.5}, "it.age must be of type integer or null."),
        ({"colour": "blue"}, 'it.colour must be one of ["red", "green"].'),
        ({"kind": "dog"}, 'it.kind must be one of ["cat"].'),
        ({"friends": {}}, "it.friends must be of type array."),
        ({"friends": [{"name": "Jerry"}, {}]}, "it.friends[1].name is missing."),
        (
            {"friends": [{"name": "Jerry", "of": {"name": 1}}]},
            "it.friends[0].of.name must be of type string.",
        ),
        ({"id": []}, "it.id fits none of the forms that it may have."),
        ({"both": "y"}, 'it.both must be one of ["x"].'),
        ({"more": 1}, "it.more must not be there."),
    ],
)
def test_a_mistake_is_named_with_its_place(changes, mistake):
    assert list(mistakes({"name": "Tom", "age": 3} | changes, SCHEMA)) == [mistake]


def test_a_missing_property_is_named():
    assert list(mistakes({}, SCHEMA)) == ["it.name is missing.", "it.age is missing."]


def test_properties_are_free_where_a_schema_does_not_forbid_them():
    assert list(mistakes({"a": json.loads("[1]")}, {"type": "object"})) == []
