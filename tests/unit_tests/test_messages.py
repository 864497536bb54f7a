"""Messages whose parts are of other types than they are said to be: each is named, none is guessed at."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_qwen_space import ChatQwenSpace, content_blocks
from langchain_qwen_space.content_blocks import KINDS
from langchain_qwen_space.errors import InvalidInputError

CYCLE = {"type": "image"}
CYCLE["source"] = CYCLE
NOTES = {"type": "notes"}
NOTES["more"] = [NOTES]
ODD = [
    None,
    5,
    1.5,
    True,
    [],
    ["x"],
    {},
    {"a": 1},
    (),
    b"x",
    object(),
    float("nan"),
    "\ud800",
    CYCLE,
]
NAMES = (
    *("type", "text", "url", "base64", "data", "file_data", "mime_type", "filename", "source"),
    *("file", "image_url", "input_audio", "format", "extras", "file_id", "json", "refusal"),
)


def count(*messages):
    return ChatQwenSpace().get_num_tokens_from_messages(list(messages))


def of(cls, content):
    made = cls("x", tool_call_id="1") if cls is ToolMessage else cls("x")
    return made.model_copy(update={"content": content})


@pytest.mark.parametrize("cls", [HumanMessage, AIMessage, SystemMessage, ToolMessage])
@pytest.mark.parametrize(
    "content",
    [None, 5, {}, [None], [5], [["x"]], [{"type": ["text"]}], [{"type": 5}], [{"type": {}}]],
    ids=repr,
)
def test_a_content_that_is_none_is_named(cls, content):
    with pytest.raises(InvalidInputError, match=rf"messages\[1\] \({cls.__name__}\)"):
        count(HumanMessage("a"), of(cls, content), HumanMessage("b"))


@pytest.mark.parametrize("block", [CYCLE, NOTES], ids=["image", "notes"])
@pytest.mark.parametrize("cls", [HumanMessage, ToolMessage])
def test_a_block_that_holds_itself_is_named(cls, block):
    with pytest.raises(InvalidInputError, match=r"messages\[0\].*type '(image|notes)'"):
        count(of(cls, ["a", block]), HumanMessage("b"))


def test_blocks_with_parts_of_any_type_are_read_or_refused():
    refused = 0
    for cls in (HumanMessage, AIMessage, SystemMessage, ToolMessage):
        for kind in (*sorted(KINDS), "text", "json", "refusal", "unheard_of"):
            for name in NAMES:
                for value in ODD:
                    block = {"type": kind, "text": "a", name: value}
                    try:
                        assert count(of(cls, [block]), HumanMessage("b")) > 0
                    except InvalidInputError as error:
                        assert "messages[0]" in str(error)  # noqa: PT017
                        refused += 1
    assert refused > 100


class Deaf(ChatQwenSpace):
    """Answers whatever reaches the part of the model that asks a Space."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Yes"))])


DEAF = Deaf()
VALUES = st.sampled_from(["", "aGk=", {"data": "x"}, {"url": "x"}, {"file_data": "x"}, *ODD[:-1]])
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["image", "image", "audio", "file", "text", ["image"], {}])},
    optional={
        "source_type": st.sampled_from(["url", "base64", "id", "text", "x", None, [], 5]),
        "id": st.sampled_from(["1", None]),
        **dict.fromkeys(NAMES[1:], VALUES),
    },
)


@settings(max_examples=200, deadline=None)
@given(BLOCKS)
@example({"type": "image", "text": "a"})
@example({"type": "audio", "source_type": "text", "text": "a"})
def test_no_block_is_an_error_of_langchains_own(block):
    try:
        DEAF.invoke([HumanMessage("a"), of(HumanMessage, ["b", block])])
    except InvalidInputError as error:
        assert "messages[1]" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("block", "advice"),
    [
        ({"type": "image", "base64": "aGk="}, r"without its \"mime_type\": add it.* file_block"),
        ({"type": "image", "text": "a", "base64": "aGk="}, 'without its "mime_type"'),
        ({"type": "image", "source_type": "text", "text": "a"}, 'holds a text: .*"type": "text"'),
        ({"type": ["image"], "base64": "aGk="}, "a type is a text"),
    ],
)
async def test_a_block_that_langchain_fails_at_is_refused_with_what_to_do(block, advice):
    messages = [HumanMessage("a"), HumanMessage([block])]
    refused = rf"^messages\[1\] .* \(number 0\).*{advice}"
    with pytest.raises(InvalidInputError, match=refused):
        next(DEAF.stream(messages))
    with pytest.raises(InvalidInputError, match=refused):
        DEAF.generate([messages])
    with pytest.raises(InvalidInputError, match=refused):
        await DEAF.agenerate([messages])


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source_type": "base64", "data": "R0lGODlh", "id": "1"},
        {"type": "file", "source_type": "base64", "data": "R0lGODlh", "metadata": {}, "id": "1"},
        {"type": "file", "source_type": "text", "text": "GIF89a", "mime_type": "image/gif"},
    ],
)
def test_a_block_of_langchains_older_form_is_read_where_langchain_fails_at_it(block):
    message = HumanMessage([{**block}])
    assert DEAF.invoke([message]).content == "Yes"
    assert DEAF.generate([[message]]).generations[0][0].text == "Yes"
    assert message.content == [block]
    file = content_blocks.read(content_blocks.for_langchain(block, "It"), "It")
    assert (file.data, file.mime_type) == (b"GIF89a", "image/gif")


@pytest.mark.parametrize("noted", [*ODD, {"1": {"written": 5}}, {"1": {"error": "x"}}, {"1": "x"}])
def test_notes_of_broken_calls_that_are_none_do_not_count(noted):
    call = {"name": "f", "args": "{", "id": "1", "error": None, "type": "invalid_tool_call"}
    plain = AIMessage("x", invalid_tool_calls=[call])
    kwargs = {"broken_tool_calls": noted}
    noting = AIMessage("x", invalid_tool_calls=[call], additional_kwargs=kwargs)
    for cls in (AIMessage, HumanMessage):
        other = cls("x", additional_kwargs=kwargs)
        assert count(HumanMessage("a"), other, HumanMessage("b")) == count(
            HumanMessage("a"), cls("x"), HumanMessage("b")
        )
    assert count(HumanMessage("a"), noting, HumanMessage("b")) == count(
        HumanMessage("a"), plain, HumanMessage("b")
    )
