"""The servers themselves, over bare HTTP: each layout of each form is what it says it is."""

import json
from typing import Any

import aiohttp
import pytest

from . import wire
from .forms import CREDENTIALS, FORMS, LAYOUTS, REDEPLOYED, REDEPLOYMENTS, Form
from .marks import for_each
from .runs import started, still
from .servers import Server
from .wire import completed, outputs

# Environments are made inside of fixtures, which may take longer than a test may.
pytestmark = pytest.mark.timeout(60, func_only=True)

QWEN25 = ("model_chat", "query history system model")
ENDPOINTS = {
    "qwen25": QWEN25,
    "coder": ("model_chat", "query history system temperature top_p max_tokens"),
    "older": ("model_chat", "query history system"),
    "renamed": ("respond", "system model history query"),
    "several": ("chat", "query history system"),
    "boxes": ("chat", "query history system language max_tokens temperature search style"),
    "no_system": ("chat", "query history"),
    "plain_function": ("chat", "query history system"),
    "reasoning_tags": ("chat", "query history system"),
    "ambiguous_endpoints": ("chat_right", "query history side"),
    "ambiguous_inputs": ("ask", "first query history"),
    "chat_interface": ("chat", "query history system temperature max_tokens"),
    "chat_interface_plain": ("chat", "query history"),
    "chat_interface_multimodal": ("chat", "query history"),
    "busy": QWEN25,
    "validated": QWEN25,
    "hidden_errors": QWEN25,
}
"""Each layout's function that chats and the roles of its inputs, in their order."""
CHAT_INTERFACES = tuple(name for name in LAYOUTS if name.startswith("chat_interface"))
MESSAGES = tuple(form for form in FORMS if form.chatbot == "messages")
SINCE_5 = tuple(form for form in FORMS if form.version >= (5,))


def api_name(form: Form, layout: str) -> str:
    """The name of the layout's function that chats."""
    interface = layout in CHAT_INTERFACES and form.version >= (6,)
    return "respond" if interface else ENDPOINTS[layout][0]


def history_of(form: Form, query: str, answer: str) -> list[Any]:
    """One earlier turn as the form's chatbot takes it."""
    if form.chatbot != "messages":
        return [[query, answer]]
    texts = {"user": query, "assistant": answer}
    if form.version < (6,):
        return [{"role": role, "content": text} for role, text in texts.items()]
    return [
        {"role": role, "content": [{"type": "text", "text": text}]} for role, text in texts.items()
    ]


def data_for(space: wire.Space, form: Form, layout: str, query: str) -> dict[str, Any]:
    """What to send, by role: one earlier turn, and each component's own value for the rest."""
    roles = ENDPOINTS[layout][1].split()
    inputs = space.components(space.dependency(api_name(form, layout))["inputs"])
    data = {role: box["props"].get("value") for role, box in zip(roles, inputs, strict=True)}
    multimodal = layout == "chat_interface_multimodal"
    data["query"] = {"text": query, "files": []} if multimodal else query
    data["history"] = None if layout in CHAT_INTERFACES else history_of(form, "before", "after")
    return data


async def ask(space: wire.Space, form: Form, layout: str, query: str) -> list[dict[str, Any]]:
    """The events of one call with everything but the query at its default."""
    data = data_for(space, form, layout, query)
    return await space.call(api_name(form, layout), list(data.values()))


def answer_of(space: wire.Space, form: Form, layout: str, events: list[dict[str, Any]]) -> str:
    """The text of the last message of a call's answer."""
    ids = space.dependency(api_name(form, layout))["outputs"]
    kinds = [component["type"] for component in space.components(ids)]
    values = dict(zip(kinds, outputs(events), strict=True))
    if layout in CHAT_INTERFACES:
        return str(values["textbox" if form.version < (5,) else "json"])
    last = values["modelscopechatbot" if form.chatbot == "modelscope" else "chatbot"][-1]
    match form.chatbot:
        case "modelscope":
            return str(last[1]["text"])
        case "tuples":
            return str(last[1])
    return str(last["content"] if form.version < (6,) else last["content"][0]["text"])


@for_each(ENDPOINTS)
async def test_what_is_sent_reaches_the_app(space: wire.Space, form: Form, layout: str) -> None:
    sent = data_for(space, form, layout, "args:")

    events = await space.call(api_name(form, layout), list(sent.values()))

    earlier = [{"role": "user", "content": "before"}, {"role": "assistant", "content": "after"}]
    history = [] if layout in CHAT_INTERFACES else earlier
    received = json.loads(answer_of(space, form, layout, events))
    assert received == {**sent, "query": "args:", "history": history}


@for_each(ENDPOINTS)
async def test_an_answer_comes_in_pieces_from_a_generator_only(
    space: wire.Space, form: Form, layout: str
) -> None:
    events = await ask(space, form, layout, "echo:a few words, 你好")

    pieces = [event for event in events if event["msg"] == "process_generating"]
    assert answer_of(space, form, layout, events) == "a few words, 你好"
    assert (len(pieces) > 1) == (layout != "plain_function")


@for_each(["qwen25", *CHAT_INTERFACES])
async def test_the_config_says_which_release_it_is(
    space: wire.Space, form: Form, layout: str
) -> None:
    assert space.config["version"] == form.release
    assert space.config["protocol"] == "sse_v3"
    assert space.config["root"] == space.url
    assert space.config.get("api_prefix") == (None if form.version < (5,) else "/gradio_api")
    assert space.dependency(api_name(form, layout))["types"]["generator"]


@for_each(["not_a_chat"])
async def test_an_app_without_a_chat_has_no_chatbot(space: wire.Space) -> None:
    assert not [box for box in space.config["components"] if "chatbot" in box["type"]]


@for_each(["qwen25"])
async def test_notices_and_progress_come_between(
    space: wire.Space, form: Form, layout: str
) -> None:
    noticed = await ask(space, form, layout, "info:a word")
    progressed = await ask(space, form, layout, "progress:2")

    logs = [(event["level"], event["log"]) for event in noticed if event["msg"] == "log"]
    assert logs == [("info", "a word"), ("warning", "a word")]
    assert answer_of(space, form, layout, noticed) == "done"
    assert any(event["msg"] == "progress" for event in progressed)


@for_each(["qwen25", "hidden_errors"])
@pytest.mark.parametrize("command", ["raise", "late-raise", "crash"])
async def test_an_error_tells_what_the_app_wants_told(
    space: wire.Space, form: Form, layout: str, command: str
) -> None:
    end = completed(await ask(space, form, layout, f"{command}:it broke"))

    told = "'it broke'" if form.version < (5, 2) and command != "crash" else "it broke"
    assert not end["success"]
    hidden = layout == "hidden_errors" and command == "crash"
    assert end["output"]["error"] == (None if hidden else told)


@for_each(["qwen25"], MESSAGES)
async def test_a_thought_is_a_message_with_a_title(
    space: wire.Space, form: Form, layout: str
) -> None:
    values = outputs(await ask(space, form, layout, "think:let me see|four"))[1]

    thought, answer = values[-2:]
    assert thought["metadata"]["title"] == "Thinking"
    assert "let me see" in json.dumps(thought["content"])
    assert not (answer["metadata"] or {}).get("title")


@for_each(["reasoning_tags"])
async def test_tags_are_taken_apart(space: wire.Space, form: Form, layout: str) -> None:
    query = "echo:Well. <think> let me see </think>\n\n four "
    values = outputs(await ask(space, form, layout, query))[1]

    last = max(index for index, message in enumerate(values) if message["role"] == "user")
    answer = [
        (message["content"][0]["text"], message["metadata"]) for message in values[last + 1 :]
    ]
    title = {"title": "Reasoning", "status": "done"}
    assert answer == [("Well.", None), ("let me see", title), ("four", None)]


@for_each(["qwen25"])
async def test_an_answer_may_end_with_a_file(space: wire.Space, form: Form, layout: str) -> None:
    shown = outputs(await ask(space, form, layout, "file:here it is"))[1]

    assert "here it is" in json.dumps(shown[-2:])
    assert ".csv" in json.dumps(shown[-1:])


@for_each(["qwen25"])
async def test_a_word_that_names_a_file_adds_one_on_4_messages(
    space: wire.Space, form: Form, layout: str
) -> None:
    shown = outputs(await ask(space, form, layout, "mention:look at"))[1]

    adds = form.chatbot == "messages" and form.version < (5,)
    assert ('"file":' in json.dumps(shown[-1])) == adds


@for_each(["chat_interface"], SINCE_5)
@pytest.mark.parametrize("queued", [True, False])
async def test_the_history_of_a_chat_interface_can_be_set_since_5(
    space: wire.Space, form: Form, layout: str, queued: bool
) -> None:
    name = api_name(form, layout)
    state = space.dependency(name)["inputs"][1]
    setter = next(
        each["api_name"]
        for each in space.config["dependencies"]
        if [box["type"] for box in space.components(each["inputs"])] == ["chatbot"]
        and state in each["outputs"]
    )
    history = history_of(form, " a\tb\n  c ", "d\n")
    data = list(data_for(space, form, layout, "args:").values())

    # It must be done before the chat joins: they are two groups of the queue and may overtake.
    if queued:
        await space.call(setter, [history], f"set-{queued}")
    else:
        await space.call_unqueued(setter, [history], f"set-{queued}")
    events = await space.call(name, data, f"set-{queued}")

    received = json.loads(answer_of(space, form, layout, events))
    assert [turn["content"] for turn in received["history"]] == [" a\tb\n  c ", "d\n"]


@for_each(["chat_interface"], [form for form in FORMS if form not in SINCE_5])
async def test_the_history_of_a_chat_interface_of_4_goes_in_as_its_page_does_it(
    space: wire.Space, form: Form, layout: str
) -> None:
    kind = "messages" if form.chatbot == "messages" else "tuples"
    plain = Form(form.release, kind)
    extras = list(data_for(space, form, layout, "").values())[2:]
    query = [{"role": "user", "content": "args:"}] if kind == "messages" else [["args:", None]]

    await space.call_unqueued("_clear_and_save_textbox", ["args:"], "page")
    history = [*history_of(plain, "before", "after"), *query]
    events = await space.call("_stream_fn", [None, history, *extras], "page")

    last = outputs(events)[0][-1]
    received = json.loads(last["content"] if kind == "messages" else last[1])
    assert received["query"] == "args:"
    assert [turn["content"] for turn in received["history"]] == ["before", "after"]


@for_each(["chat_interface"], [form for form in MESSAGES if form in SINCE_5])
async def test_a_chat_interface_may_answer_with_messages(
    space: wire.Space, form: Form, layout: str
) -> None:
    answer = outputs(await ask(space, form, layout, "think:let me see|four"))[0]

    metadata = {"title": "Thinking", "status": "done"}
    thought = {"role": "assistant", "content": "let me see", "metadata": metadata}
    assert answer == [thought, {"role": "assistant", "content": "four"}]


@for_each(["validated"])
async def test_a_query_that_the_app_refuses_is_not_queued(
    space: wire.Space, form: Form, layout: str
) -> None:
    data = data_for(space, form, layout, "invalid")

    status, answer = await space.join("model_chat", list(data.values()), "refused")

    assert status == 422
    assert answer["detail"][0]["message"] == "This query is not allowed."


@for_each(["qwen25"])
async def test_closing_the_stream_ends_a_run(
    http: aiohttp.ClientSession, server: Server, space: wire.Space, form: Form, layout: str
) -> None:
    data = data_for(space, form, layout, "hold:closed")
    await space.join("model_chat", list(data.values()), "closed")
    query = {"session_hash": "closed"}
    async with http.get(f"{space.api}/queue/data", params=query) as stream:
        while b"process_generating" not in await stream.content.readline():
            pass
        stream.close()

    ended = await still(http, server, "closed")
    assert (ended["started"], ended["ended"]) == (1, 1)


@for_each(["busy"])
async def test_a_full_queue_turns_calls_away_and_cancel_frees_it(
    http: aiohttp.ClientSession, server: Server, space: wire.Space, form: Form, layout: str
) -> None:
    held = list(data_for(space, form, layout, "hold:busy").values())
    other = list(data_for(space, form, layout, "echo:my turn").values())
    _, running = await space.join("model_chat", held, "first")
    await started(http, server, "busy")
    assert (await space.join("model_chat", other, "second"))[0] == 200
    status, refusal = await space.join("model_chat", other, "third")
    assert status == 503
    assert "Queue is full" in refusal["detail"]

    call = {"session_hash": "first", "fn_index": 3, "event_id": running["event_id"]}
    async with http.post(f"{space.api}/cancel", json=call) as cancelled:
        assert cancelled.status == 200

    assert answer_of(space, form, layout, await space.events("second")) == "my turn"
    # On 4.44.1 a generator that was cancelled stays suspended, so its end is not counted.
    assert (await still(http, server, "busy"))["ended"] == (0 if form.version < (5,) else 1)


@for_each(["login"])
async def test_a_login_opens_a_space_that_has_one(
    http: aiohttp.ClientSession, server: Server, form: Form, layout: str
) -> None:
    url = server.base_url(layout)
    async with http.get(f"{url}/config") as refused:
        assert refused.status == 401
    async with http.post(f"{url}/login", data={"username": "user", "password": "wrong"}) as wrong:
        assert wrong.status == 400

    username, password = CREDENTIALS
    form_fields = {"username": username, "password": password}
    async with http.post(f"{url}/login", data=form_fields) as right:
        assert right.status == 200

    opened = await wire.space(http, url)
    events = await ask(opened, form, "qwen25", "echo:welcome")
    assert answer_of(opened, form, "qwen25", events) == "welcome"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
async def test_one_layout_takes_anothers_place(
    http: aiohttp.ClientSession, server: Server, form: Form
) -> None:
    before, after = REDEPLOYMENTS

    async def redeploy(layout: str) -> wire.Space:
        async with http.post(f"{server.url}/redeploy", params={"layout": layout}) as done:
            assert done.status == 200
        return await wire.space(http, server.base_url(REDEPLOYED))

    old = await redeploy(before)
    new = await redeploy(after)

    assert old.config["app_id"] != new.config["app_id"]
    assert old.config["root"] == new.config["root"] == server.base_url(REDEPLOYED)
    assert (await old.join("model_chat", ["echo:hi", None, "", "72B"], "gone"))[0] == 500
    events = await ask(new, form, after, "echo:hi")
    assert answer_of(new, form, after, events) == "hi"
    await redeploy(before)
