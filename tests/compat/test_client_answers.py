"""What the Space answers arrives exactly, whichever layout and release it has."""

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_qwen_space.errors import GenerationError

from .conftest import Chat
from .forms import FORMS, LAYOUTS, Form
from .marks import for_each

pytestmark = pytest.mark.timeout(60, func_only=True)

CHATS = tuple(name for name in LAYOUTS if name != "not_a_chat")
MESSAGES = tuple(form for form in FORMS if form.chatbot == "messages")
CHAT_INTERFACES = tuple(name for name in LAYOUTS if name.startswith("chat_interface"))

TEXT = 'First: 你好 🎉 "quoted" <b>&amp;</b>\n\n- an item\n- another\u2028one\n\n```py\nx = {}\n```'
INDENTED = "1. **First**:\n   - one\n2. **Second**:\n   - two\tand\n\n    code\n3. end"
"""While this grows, a chatbot takes indentation away and gives it back."""


def added(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    """What LangChain makes of the chunks."""
    whole, *others = chunks
    for chunk in others:
        whole += chunk
    return whole


def solid(text: str) -> str:
    """The text without its blank space."""
    return "".join(text.split())


@for_each(CHATS)
async def test_a_stream_adds_up_to_the_text(chat: Chat, form: Form, layout: str) -> None:
    model = chat(join_fragments=False)

    chunks = [chunk async for chunk in model.astream(f"echo:{TEXT}")]

    assert added(chunks).content == TEXT
    assert chunks[-1].chunk_position == "last"
    assert (len(chunks) > 10) == (layout != "plain_function")


@for_each(["qwen25", "plain_function", "chat_interface"])
def test_a_synchronous_stream_adds_up_to_it_too(chat: Chat, form: Form, layout: str) -> None:
    assert added(list(chat().stream(f"echo:{TEXT}"))).content == TEXT


@for_each(CHATS)
async def test_invoke_gives_the_text(chat: Chat, form: Form, layout: str) -> None:
    answer = await chat().ainvoke(f"echo:{TEXT}")

    assert answer.content == TEXT
    assert answer.response_metadata["finish_reason"] == "stop"
    assert "revised" not in answer.response_metadata


@for_each(["qwen25", "chat_interface"])
def test_a_synchronous_invoke_gives_it_too(chat: Chat, form: Form, layout: str) -> None:
    assert chat().invoke(f"echo:{TEXT}").content == TEXT


@for_each(["qwen25", "older", *CHAT_INTERFACES])
async def test_indentation_that_comes_late_costs_nothing_but_blanks(
    chat: Chat, form: Form, layout: str
) -> None:
    model = chat(join_fragments=False)

    exact = (await model.ainvoke(f"echo:{INDENTED}")).content
    streamed = added([chunk async for chunk in model.astream(f"echo:{INDENTED}")])

    # Chat interfaces are not cleaned, nor are pairs since 5.3; else only tabs are spaces.
    cleaned = layout not in CHAT_INTERFACES and form.name != "5.50.0-tuples"
    assert exact == (INDENTED.expandtabs() if cleaned else INDENTED)
    assert solid(streamed.text) == solid(INDENTED)
    assert streamed.response_metadata.get("final_text", streamed.text) == exact
    assert streamed.response_metadata.get("revised", False) == cleaned


@for_each(["qwen25", *CHAT_INTERFACES])
async def test_a_text_that_is_replaced_is_not_part_of_the_answer(
    chat: Chat, form: Form, layout: str
) -> None:
    query = "revise:Searching …|Four is the answer."

    answer = await chat().ainvoke(query)
    streamed = added([chunk async for chunk in chat().astream(query)])

    assert answer.content == "Four is the answer."
    assert streamed.response_metadata.get("final_text", streamed.content) == "Four is the answer."


@for_each(["qwen25", *CHAT_INTERFACES])
async def test_an_answer_may_be_empty(chat: Chat, form: Form, layout: str) -> None:
    assert (await chat().ainvoke("blank:")).content == ""


@for_each(["qwen25", *CHAT_INTERFACES])
async def test_an_answer_that_did_not_come_is_an_error(chat: Chat, form: Form, layout: str) -> None:
    # Gradio's chat interface expects a first word before 6.0, and fails by itself.
    fails_itself = layout in CHAT_INTERFACES and form.version < (6,)
    why = "StopAsyncIteration" if fails_itself else "contains no answer"
    with pytest.raises(GenerationError, match=why):
        await chat().ainvoke("nothing:")


@for_each(["qwen25", "chat_interface"])
async def test_a_long_answer_is_whole(chat: Chat, form: Form, layout: str) -> None:
    numbers = " ".join(f"{number:05}" for number in range(150))

    assert added([chunk async for chunk in chat().astream("long:150")]).content == numbers


@for_each(["qwen25"])
async def test_messages_of_an_answer_are_a_blank_line_apart(
    chat: Chat, form: Form, layout: str
) -> None:
    query = "parts:First.|Second.|Third."

    assert (await chat().ainvoke(query)).content == "First.\n\nSecond.\n\nThird."
    chunks = [chunk async for chunk in chat().astream(query)]
    assert added(chunks).content == "First.\n\nSecond.\n\nThird."


@for_each(["qwen25"])
async def test_files_are_no_text(chat: Chat, form: Form, layout: str) -> None:
    assert (await chat().ainvoke("file:Look at")).content == "Look at"


@for_each(["qwen25", "chat_interface"])
async def test_words_that_name_files_stay(chat: Chat, form: Form, layout: str) -> None:
    answer = (await chat().ainvoke("mention:Look at")).text

    said, _, path = answer.partition(" /")
    assert said == "Look at"
    assert path.endswith("/answer.csv")
    assert not any(blank in path for blank in " \n")


@for_each(["qwen25"], MESSAGES)
async def test_thoughts_are_left_out_or_given_apart(chat: Chat, form: Form, layout: str) -> None:
    await check_thoughts(chat)


@for_each(["chat_interface"], [form for form in MESSAGES if form.version >= (5,)])
async def test_those_of_a_chat_interface_too(chat: Chat, form: Form, layout: str) -> None:
    await check_thoughts(chat)


async def check_thoughts(chat: Chat) -> None:
    query = "think:Two and two make four.|Four."

    answer = await chat().ainvoke(query)
    chunks = [chunk async for chunk in chat(reasoning=True).astream(query)]

    assert answer.content == "Four."
    assert "reasoning_content" not in answer.additional_kwargs
    assert added(chunks).content == "Four."
    assert added(chunks).additional_kwargs["reasoning_content"] == "Two and two make four."
    assert len(chunks) > 3


@for_each(["reasoning_tags"])
async def test_a_chatbot_that_takes_thoughts_out_of_the_text_shows_them_apart(
    chat: Chat, form: Form, layout: str
) -> None:
    query = "echo:<think>\nTwo and two.\n</think>\n\nFour."

    plain = await chat().ainvoke(query)
    thoughtful = await chat(reasoning=True).ainvoke(query)
    streamed = added([chunk async for chunk in chat(reasoning=True).astream(query)])

    assert plain.content == thoughtful.content == "Four."
    assert thoughtful.additional_kwargs["reasoning_content"] == "Two and two."
    assert streamed.response_metadata.get("final_text", streamed.content) == "Four."


@for_each(["qwen25"])
async def test_thoughts_in_tags_are_distinguished_where_that_is_wanted(
    chat: Chat, form: Form, layout: str
) -> None:
    query = "echo:<think>Two and two.</think>Four."

    left, apart = await chat().ainvoke(query), await chat(reasoning=True).ainvoke(query)

    assert left.content == "<think>Two and two.</think>Four."
    assert apart.content == "Four."
    assert apart.additional_kwargs["reasoning_content"] == "Two and two."


@for_each(["qwen25"])
async def test_stop_strings_end_the_answer_and_the_run(chat: Chat, form: Form, layout: str) -> None:
    answer = await chat(timeout=10).ainvoke("hold:stopped", stop=["k tick tick"])

    assert answer.content == "tic"
