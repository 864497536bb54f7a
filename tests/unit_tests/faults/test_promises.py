"""JSON that is not what was promised: in the Space's description, in the answer to the join."""

import copy
import json
import logging

import pytest

from langchain_qwen_space.errors import (
    InvalidInputError,
    ProtocolError,
    UnsupportedSpaceError,
)
from tests.unit_tests.faults.calls import ask, failure, model_for
from tests.unit_tests.faults.server import (
    ANSWER,
    CLOSE,
    CONFIG,
    UNKNOWN,
    answer_events,
    completed,
    event,
    generating,
    reply,
    stream,
    value,
)

JUNK = [
    None,
    True,
    0,
    -1,
    2**64 - 1,
    1.5,
    "",
    "junk",
    [],
    [[]],
    {},
    {"a": 1},
    [None, 7],
    "a\ud800b",
]
JUNK_IDS = [json.dumps(junk) for junk in JUNK]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def places(node, path=()):
    """Every place in a JSON document."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in children if isinstance(node, dict | list) else ():
        yield from places(child, (*path, key)) if isinstance(child, dict | list) else [(*path, key)]


def replaced(document, path, junk):
    if not path:
        return junk
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = junk
    return document


def removed(document, path):
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return document


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "7",
        '"config"',
        "{",
        "<html><title>Hub</title></html>",
        '{"detail": 1}',
        nested(10000),
        "\x00",
        "{}" * 50,
        '{"dependencies": {}}',
        "\ufeff{}",
    ],
    ids=repr,
)
async def test_a_description_that_is_none_is_no_gradio_space(space, body):
    space.on("config", reply(body))
    error = await failure(model_for(space), UnsupportedSpaceError, "is not a Gradio app")
    assert not error.is_retryable


@pytest.mark.parametrize("junk", JUNK, ids=JUNK_IDS)
async def test_junk_anywhere_in_the_description_is_harmless_or_a_qwen_space_error(space, junk):
    for path in places(CONFIG):
        space.on("config", reply(json.dumps(replaced(CONFIG, path, junk))))
        outcome = await _ask_anew(space)
        assert outcome.error is not None or outcome.text == ANSWER, path


async def test_anything_missing_in_the_description_is_harmless_or_a_qwen_space_error(space):
    for path in list(places(CONFIG))[1:]:
        space.on("config", reply(json.dumps(removed(CONFIG, path))))
        outcome = await _ask_anew(space)
        assert outcome.error is not None or outcome.text == ANSWER, path


async def _ask_anew(space):
    from langchain_qwen_space.space.routing import target

    target._pages.clear()
    return await ask(model_for(space, timeout=1))


@pytest.mark.parametrize("depth", [100, 250, 500, 1000, 1020])
async def test_a_description_nested_deeply_is_harmless_or_a_qwen_space_error(space, depth):
    document = json.dumps(CONFIG).replace('"Input"', f'"Input", "value": {nested(depth)}')
    document = document.replace('"tuples"', f'"tuples", "other": {nested(depth)}')
    space.on("config", reply(document))
    space.on("data", UNKNOWN)
    space.on("join", reply("", 500))  # makes the description be read again, and compared
    assert (await ask(model_for(space))).error is not None


@pytest.mark.parametrize("depth", [250, 500, 1000])
async def test_a_default_nested_too_deeply_to_be_sent_back_is_a_qwen_space_error(space, depth):
    config = copy.deepcopy(CONFIG)
    config["components"].append({"id": 3, "type": "json", "props": {"label": "x", "value": "DEEP"}})
    config["dependencies"][0]["inputs"].append(3)
    space.on("config", reply(json.dumps(config).replace('"DEEP"', nested(depth))))
    outcome = await ask(model_for(space))
    assert outcome.text == ANSWER or type(outcome.error) is InvalidInputError
    await space.quiet(cancels=0)


async def test_a_value_that_is_not_json_is_refused_before_the_queue_is_joined(space):
    config = copy.deepcopy(CONFIG)
    config["components"].append({"id": 3, "type": "json", "props": {"label": "Extra"}})
    config["dependencies"][0]["inputs"].append(3)
    space.on("config", reply(json.dumps(config)))
    error = (await ask(model_for(space, model_kwargs={"Extra": object()}))).error
    assert type(error) is InvalidInputError
    assert space.asked("join") == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "7",
        '"e1"',
        '{"event_id": null}',
        '{"event_id": 7}',
        "{",
        "<html>",
        '{"event_id": ["e1"]}',
        nested(10000),
    ],
    ids=repr,
)
async def test_an_answer_to_the_join_without_an_id_is_a_protocol_error(space, body):
    space.on("join", reply(body))
    await failure(model_for(space), ProtocolError, "took the call, but .* holds no event_id")
    await space.quiet(cancels=1)


async def test_a_call_under_another_id_than_promised_is_not_taken_for_ours(space):
    space.on("join", reply('{"event_id": "other"}'))
    error = (await ask(model_for(space))).error
    assert error is not None
    assert error.partial == ""


@pytest.mark.parametrize("junk", JUNK, ids=JUNK_IDS)
async def test_junk_anywhere_in_an_event_is_harmless_or_a_qwen_space_error(space, junk, caplog):
    caplog.set_level(logging.CRITICAL)
    whole = answer_events("abc")
    for number, piece in enumerate(whole):
        document = json.loads(piece.removeprefix(b"data: "))
        for path in places(document):
            changed = f"data: {json.dumps(replaced(document, path, junk))}\n\n".encode()
            space.on("data", stream([*whole[:number], changed, *whole[number + 1 :]]))
            outcome = await ask(model_for(space, timeout=1))
            if outcome.error is None:
                at_the_end = number == 4 or outcome.revised is not None
                assert outcome.text == "abc" or at_the_end, (number, path)


@pytest.mark.parametrize("depth", [900, 1000, 1020, 10_000])
@pytest.mark.parametrize("place", ["generating", "edit", "completed", "error", "log", "id", "msg"])
async def test_an_event_nested_deeply_is_harmless_or_a_qwen_space_error(space, place, depth):
    deep = {
        "generating": generating("DEEP"),
        "edit": generating([["replace", [0, 1], "DEEP"]]),
        "completed": completed("DEEP"),
        "error": event("process_completed", success=False, output={"error": "DEEP"}),
        "log": event("log", log="DEEP", level="DEEP"),
        "id": event("log", "DEEP"),
        "msg": event("DEEP"),
    }[place]
    deep = deep.replace(b'"DEEP"', nested(depth).encode())
    events = answer_events()
    space.on("data", stream([*events[:3], deep, *events[3:]]))
    outcome = await ask(model_for(space))
    if outcome.error is None:
        assert ANSWER in (outcome.text, outcome.revised)


@pytest.mark.parametrize(
    "line",
    [
        b"data: {",
        b"data: nonsense",
        b"data",
        b"data:",
        b"data: \xff\xfe",
        b"data: \x00",
        b"{}",
        b"event: x",
        b"id: 7",
        b"retry: 0",
        b":",
        b": comment",
        b'data: {"msg": 7}',
        b"data: []",
    ],
)
async def test_an_event_that_cannot_be_decoded_is_left_out(space, line):
    events = answer_events()
    space.on("data", stream([*events[:3], line + b"\n\n", *events[3:]]))
    outcome = await ask(model_for(space))
    assert (outcome.text, outcome.error) == (ANSWER, None)


@pytest.mark.parametrize("output", [7, "x", {}, [7], {"__type__": "update", "value": 3}])
async def test_a_final_value_of_another_form_is_a_protocol_error_with_the_text_so_far(
    space, output
):
    space.on("data", stream([*answer_events()[:4], completed(output), CLOSE]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is ProtocolError
    assert not outcome.error.is_retryable
    assert outcome.error.partial == outcome.text == ANSWER[:3]


async def test_an_answer_of_nothing_is_empty(space):
    space.on("data", stream([completed(value("")), CLOSE]))
    outcome = await ask(model_for(space))
    assert (outcome.text, outcome.error) == ("", None)


async def test_a_login_that_answers_with_nonsense_is_none_of_our_business(space):
    space.on("login", reply("<html>welcome</html>"))
    outcome = await ask(model_for(space, auth=("ann", "secret")))
    assert (outcome.text, outcome.error) == (ANSWER, None)
