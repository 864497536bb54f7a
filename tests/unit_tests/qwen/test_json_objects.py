import time

import pytest

from langchain_qwen_space.qwen.json_objects import BrokenJSONError, find, so_far, whole


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


@pytest.mark.parametrize(
    "text", ['{"a": 1, "b": 2, "a": 3}', '{"c": {"a": 1, "a": 1}}', "{'a': 1, 'a': True}"]
)
def test_a_key_that_is_given_twice_is_a_mistake(text):
    with pytest.raises(BrokenJSONError, match=r'^"a" is given twice in one object\.$'):
        list(find(f"Here: {text}"))
    assert whole(text) is None


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_is_a_mistake(number):
    with pytest.raises(BrokenJSONError, match=f"^{number} is not a number that JSON can hold"):
        list(find(f'Here: {{"a": [{number}]}}'))
    assert whole(f"{{'a': {number}}}") is None


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' {"a": 1}\n',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}```\n',
        "````json5\n{'a': 1,}\n````",
    ],
)
def test_a_text_is_one_object(text):
    assert whole(text) == {"a": 1}


def test_a_url_in_an_object_is_no_comment():
    assert whole('{"url": "https://example.com"}') == {"url": "https://example.com"}


@pytest.mark.parametrize(
    "text",
    [
        'Never {"a": 1}',
        '{"a": 1} is wrong',
        '[{"a": 1}]',
        '{"a": 1}{"a": 2}',
        '```json\n{"a": 1}\n``` or not',
        'Not:\n```json\n{"a": 1}\n```',
        '```json\n{"a": 1}\n{"a": 2}\n```',
        "{'a': 1} // I must not send this",
        "{'a': 1 // or rather 2\n}",
        '```json\n{"a": True} // nor this\n```',
        '"{\\"a\\": 1}"',
        '{"a": 1',
        "{a}",
        "",
    ],
)
def test_a_text_is_more_or_less_than_one_object(text):
    assert whole(text) is None


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


@pytest.mark.parametrize(
    "text",
    ['{"a": "' + '\\"b ' * 300_000, "{'a': '" + "\\'b " * 300_000, '{"a": 1, ' * 300_000],
    ids=["string", "quoted", "objects"],
)
def test_what_never_ends_is_broken_and_known_in_linear_time(text):
    began = time.process_time()
    with pytest.raises(BrokenJSONError):
        list(find(text))
    assert time.process_time() - began < 10  # 0.1 s, where each quote was tried it took minutes


def test_a_string_without_an_end_stays_as_it_is():
    assert list(find("""{'a': True} It's {"b": True} "so""")) == [{"a": True}, {"b": True}]
