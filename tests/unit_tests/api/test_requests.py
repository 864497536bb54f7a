"""Every field of a request: honoured, ignored, named as not honoured, or refused."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, FunctionMessage, HumanMessage, SystemMessage

from langchain_qwen_space.api import requests
from langchain_qwen_space.api.problems import Problem
from langchain_qwen_space.api.requests import read_request

HONOURED = {
    "model": "72B",
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "stop": ["a", "b"],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
}
IGNORED = {
    "user": "ann",
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "auto",
    "safety_identifier": "x",
    "prompt_cache_key": "x",
    "prompt_cache_options": {},
    "prompt_cache_retention": "24h",
}
# field -> a value that cannot be honoured, and the values that change nothing
NOT_HONOURED = {
    "frequency_penalty": (0.5, [0, 0.0]),
    "presence_penalty": (0.5, [0, 0.0]),
    "logit_bias": ({"50256": -100}, [{}]),
    "logprobs": (True, [False]),
    "modalities": (["text", "audio"], [["text"]]),
    "prediction": ({"type": "content", "content": "x"}, []),
    "reasoning_effort": ("low", []),
    "seed": (0, []),
    "top_logprobs": (2, []),
    "verbosity": ("low", []),
    "web_search_options": ({}, []),
    "chat_template_kwargs": ({"enable_thinking": False}, []),
    "enable_thinking": (False, []),
    "min_p": (0.1, []),
    "reasoning": ({"effort": "low"}, []),
    "top_k": (20, []),
    "repetition_penalty": (1.1, [1, 1.0]),
}
REFUSED = {"audio", "functions", "function_call", "moderation", "nonsense", "max_token"}


def read(**fields):
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    return read_request(json.dumps(body).encode())


def refused(body, param=...):
    with pytest.raises(Problem) as caught:
        read_request(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 400
    assert caught.value.type == "invalid_request_error"
    if param is not ...:
        assert caught.value.param == param
    return caught.value.message


def test_all_fields_are_in_these_tables():
    assert HONOURED.keys() == requests._PASSED_ON.keys()
    assert IGNORED.keys() == requests._IGNORED
    assert NOT_HONOURED.keys() == requests._NOT_HONOURED.keys()


@pytest.mark.parametrize("name", HONOURED)
def test_an_honoured_field_is_passed_on(name):
    request = read(**{name: HONOURED[name]})
    assert request.keywords == {name: HONOURED[name]}
    assert request.not_honoured == ()


@pytest.mark.parametrize("name", IGNORED)
def test_an_ignored_field_has_no_effect(name):
    request = read(**{name: IGNORED[name]})
    assert (request.keywords, request.not_honoured) == ({}, ())


@pytest.mark.parametrize("name", NOT_HONOURED)
def test_a_field_that_cannot_be_honoured_is_named_unless_it_changes_nothing(name):
    value, neutral = NOT_HONOURED[name]
    assert read(**{name: value}).not_honoured == (name,)
    for nothing in [*neutral, None]:
        assert read(**{name: nothing}).not_honoured == ()
    assert read(**{name: value}).keywords == {}


@pytest.mark.parametrize("name", [*HONOURED, *IGNORED, *NOT_HONOURED, "n", "stream_options"])
def test_null_is_as_if_the_field_were_not_there(name):
    request = read(**{name: None})
    assert (request.keywords, request.not_honoured) == ({}, ())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_an_unknown_field_is_refused_by_name(name):
    body = {"messages": [{"role": "user", "content": "hi"}], name: "x"}
    assert name in refused(body, name)


@pytest.mark.parametrize("n", [2, 0, -1, "1", 1.5, True])
def test_more_answers_than_one_are_refused(n):
    refused({"messages": [{"role": "user", "content": "hi"}], "n": n}, "n")
    assert read(n=1)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream": True, "stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
        ),
        ({"model": 72}, "model"),
        ({"tools": {}}, "tools"),
        ({"tools": ["f"]}, "tools"),
        *(
            ({name: wrong}, name)
            for name in ("temperature", "top_p", "max_tokens", "max_completion_tokens")
            for wrong in ("1", True, [1], {})
        ),
        ({"max_tokens": 1.5}, "max_tokens"),
        *(({"stop": wrong}, "stop") for wrong in (5, [5], [None], {"a": 1}, True)),
        *(({"tool_choice": wrong}, "tool_choice") for wrong in (5, True, ["auto"])),
        *(({"parallel_tool_calls": wrong}, "parallel_tool_calls") for wrong in (1, "false")),
        *(
            ({"response_format": wrong}, "response_format")
            for wrong in ("json_object", [], {}, {"type": 5})
        ),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": []}]}]}, "messages[0].content"),
        ({"messages": [{"role": "critic", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "18"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "content": "18"}]}, "messages[0].name"),
        (
            {"messages": [{"role": "assistant", "tool_calls": {}}]},
            "messages[0].tool_calls",
        ),
        ({"messages": [{"role": "assistant", "audio": {"id": "1"}}]}, "messages[0].audio"),
        (
            {"messages": [{"role": "assistant", "function_call": {"name": "f"}}]},
            "messages[0].function_call.arguments",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            "messages[0].tool_calls[0]",
        ),
    ],
)
def test_a_wrong_type_is_refused_with_the_place(fields, param):
    refused({"messages": [{"role": "user", "content": "hi"}], **fields}, param)


@pytest.mark.parametrize(
    ("name", "item", "most"),
    [
        ("messages", {"role": "user", "content": "hi"}, 2048),
        ("tools", HONOURED["tools"][0], 128),
        ("stop", "a", 4),
    ],
)
def test_a_list_may_be_as_long_as_openais(name, item, most):
    read(**{name: [item] * most})
    body = {"messages": [{"role": "user", "content": "hi"}], name: [item] * (most + 1)}
    assert f"{most + 1} items" in refused(body, name)


@pytest.mark.parametrize("stop", ["a" * 1025, ["a", "a" * 1025]])
def test_a_stop_string_is_no_longer_than_it_can_be_looked_for_at_once(stop):
    assert "1024" in refused(
        {"messages": [{"role": "user", "content": "hi"}], "stop": stop}, "stop"
    )
    read(stop=["a" * 1024])


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "text", "text": "x"}] * 5000},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ]
            * 5000,
        },
    ],
)
def test_messages_have_no_more_parts_than_can_be_read_at_once(message):
    assert "10000 content parts" in refused({"messages": [message, message]}, "messages")
    read(messages=[message])


def test_a_body_of_so_many_values_that_reading_it_takes_seconds_is_refused_unread(monkeypatch):
    monkeypatch.setattr(requests.orjson, "loads", lambda _: pytest.fail("it was read"))
    for body in (b'{"a":[' + b"[]," * 300_000 + b"1]}", b'{"a":[' + b"1," * 600_000 + b"1]}"):
        assert "commas and brackets" in refused(body, None)


def test_of_many_unknown_fields_a_few_are_listed():
    fields = {f"x{number}": 1 for number in range(1000)}
    with pytest.raises(Problem) as caught:
        read(**fields)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"hi"', b"\xff", b"[" * 100_000, b'{"a":NaN}'])
def test_a_body_that_is_not_a_json_object_is_refused(body):
    refused(body, None)


def test_every_role_becomes_langchains_message():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    broken = {"id": "2", "type": "function", "function": {"name": "f", "arguments": "{no"}}
    parts = [{"type": "text", "text": "hi"}]
    request = read(
        messages=[
            {"role": "system", "content": "s"},
            {"role": "developer", "content": "d"},
            {"role": "user", "content": parts, "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [call, broken]},
            {"role": "tool", "tool_call_id": "1", "content": "18"},
            {"role": "function", "name": "f", "content": "19"},
            {"role": "assistant", "content": "done", "refusal": None, "reasoning_content": "Hm."},
        ]
    )
    system, developer, user, asking, tool, function, done = request.messages
    assert (system, developer) == (SystemMessage("s"), SystemMessage("d"))
    assert user == HumanMessage(parts)
    assert asking.tool_calls[0]["args"] == {"a": 1}
    assert asking.invalid_tool_calls[0]["args"] == "{no"
    assert (tool.content, tool.tool_call_id) == ("18", "1")
    assert function == FunctionMessage(content="19", name="f")
    assert done == AIMessage("done", additional_kwargs={"reasoning_content": "Hm."})


def test_an_older_call_and_a_refusal_are_kept():
    called, refused = read(
        messages=[
            {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": 1}'}},
            {"role": "assistant", "content": None, "refusal": "I will not."},
        ]
    ).messages
    assert (called.tool_calls[0]["name"], called.tool_calls[0]["args"]) == ("f", {"a": 1})
    assert refused == AIMessage("I will not.")


def test_a_whole_number_may_be_written_with_a_point():
    assert read(max_tokens=5.0).keywords == {"max_tokens": 5}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "tool_calls", "id", "function", "name"]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"])},
    optional={
        "content": _JSON,
        "name": _JSON,
        "tool_call_id": _JSON,
        "tool_calls": _JSON | st.lists(st.fixed_dictionaries({"id": _JSON, "function": _JSON})),
    },
)


@settings(deadline=None, max_examples=300)
@given(
    st.fixed_dictionaries(
        {"messages": st.lists(_MESSAGE, max_size=3) | _JSON},
        optional=dict.fromkeys(
            ["stream", "stream_options", "n", "tools", "model", "logprobs"], _JSON
        ),
    )
)
def test_whatever_json_comes_is_read_or_refused(body):
    with suppress(Problem):
        assert read_request(json.dumps(body).encode()).messages
