"""Lists of messages that other chat models take, each with what reaches the Space."""

import json

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError

ASKED = HumanMessage("Who wrote Emma?")
TELL = HumanMessage("tell")


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url)


def sent(model, *messages):
    """The system prompt and the turns before the question `tell`."""
    system, history, _, _ = json.loads(model.invoke([*messages, TELL]).content)
    return system, history


@pytest.mark.parametrize(
    "messages",
    [
        [ASKED, AIMessage("Jane Austen.")],
        [ASKED, AIMessage("Jane Austen."), SystemMessage("Be brief.")],
        [SystemMessage("Say hello.")],
        [AIMessage("How can I help?")],
        [ASKED, ChatMessage("Jane Austen.", role="assistant")],
    ],
    ids=["AI last", "system after AI", "system only", "AI only", "assistant role"],
)
async def test_a_list_without_a_question_at_its_end_gets_an_empty_one(model, messages):
    assert model.invoke(messages).content == "You said: "
    assert (await model.ainvoke(messages)).content == "You said: "
    assert model.get_num_tokens_from_messages(messages) > 0


def test_an_empty_list_is_refused(model):
    with pytest.raises(InvalidInputError, match="no messages"):
        model.invoke([])


def test_a_system_message_at_the_end_is_part_of_the_system_prompt(model):
    assert model.invoke([HumanMessage("echo: hi"), SystemMessage("Be brief.")]).content == "hi"
    system, _ = sent(model, SystemMessage("Be brief."))
    assert system == "Be brief."


@pytest.mark.parametrize("role", ["developer", "system"])
def test_a_developer_message_is_a_system_message(model, role):
    assert sent(model, ChatMessage("Be brief.", role=role))[0] == "Be brief."
    assert sent(model, (role, "Be brief."))[0] == "Be brief."


def test_names_and_ids_of_messages_are_not_sent(model):
    named = [HumanMessage("Hi", name="Ada", id="1"), AIMessage("Hello.", name="Bob", id="2")]
    assert sent(model, *named) == sent(model, HumanMessage("Hi"), AIMessage("Hello."))


def test_neighbours_of_one_role_are_one_turn(model):
    _, history = sent(
        model, ASKED, HumanMessage("And when?"), AIMessage("Austen."), AIMessage("1815.")
    )
    assert history == [["Who wrote Emma?\n\nAnd when?", "Austen.\n\n1815."]]


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "text", "text": "Jane Austen.", "annotations": []}],
        [{"type": "output_text", "text": "Jane Austen."}],
        [{"type": "refusal", "refusal": "Jane Austen."}],
        [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, "Jane Austen."],
        [{"type": "reasoning", "summary": []}, {"type": "text", "text": "Jane Austen."}],
        [{"type": "web_search_call", "id": "ws_1"}, {"type": "text", "text": "Jane Austen."}],
        [{"type": "code_interpreter_call", "code": "1"}, {"type": "text", "text": "Jane Austen."}],
        [{"type": "server_tool_use", "name": "x"}, {"type": "text", "text": "Jane Austen."}],
        [{"type": "compaction", "content": "x"}, {"type": "text", "text": "Jane Austen."}],
    ],
    ids=lambda blocks: blocks[0]["type"],
)
def test_answers_of_other_models_keep_their_words(model, blocks):
    assert sent(model, ASKED, AIMessage(blocks))[1] == [["Who wrote Emma?", "Jane Austen."]]


def test_calls_in_another_models_blocks_are_sent_once(model):
    call = {"name": "find", "args": {"q": "Emma"}, "id": "1", "type": "tool_call"}
    answer = AIMessage(
        [{"type": "tool_use", "id": "1", "name": "find", "input": {"q": "Emma"}}], tool_calls=[call]
    )
    _, history = sent(
        model, ASKED, answer, ToolMessage("Jane Austen", tool_call_id="1"), AIMessage("She.")
    )
    assert history[0][1].count('"name": "find"') == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Jane", "Jane"),
        (["Jane"], "Jane"),
        ([{"type": "text", "text": "Jane", "id": "lc_1"}], "Jane"),
        ([{"type": "json", "json": {"name": "Jane"}}], '{"name": "Jane"}'),
        (
            [{"type": "search_result", "source": "x", "title": "Jane"}],
            '{"type": "search_result", "source": "x", "title": "Jane"}',
        ),
    ],
    ids=["text", "list", "block", "json", "search_result"],
)
def test_a_tools_result_is_text_or_json(model, content, text):
    result = ToolMessage(content, tool_call_id="1")
    _, history = sent(model, ASKED, AIMessage("Hm."), result, AIMessage("She."))
    assert f"<tool_response>\n{text}\n</tool_response>" in history[1][0]


def test_a_function_message_is_a_tools_result(model):
    _, history = sent(model, ASKED, AIMessage(""), FunctionMessage("Jane", name="f"), AIMessage(""))
    assert "<tool_response>\nJane\n</tool_response>" in history[1][0]


@pytest.mark.parametrize(
    "make", [HumanMessage, AIMessage, lambda c: ToolMessage(c, tool_call_id="1")]
)
@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file", "image"])
def test_media_are_refused_by_place_and_type(model, make, kind):
    with pytest.raises(InvalidInputError, match=rf"messages\[1\].*{kind}"):
        model.invoke([ASKED, make([{"type": kind, kind: {"url": "https://x"}}]), TELL])


def test_trimming_counts_what_a_message_adds_and_keeps_the_last_turns(model):
    history = [SystemMessage("Be brief."), ASKED, AIMessage("Jane Austen."), HumanMessage("When?")]
    kept = trim_messages(history, max_tokens=60, token_counter=model, include_system=True)
    assert kept == history
    kept = trim_messages(
        history, max_tokens=35, token_counter=model, include_system=True, start_on="human"
    )
    assert kept == [history[0], history[-1]]
