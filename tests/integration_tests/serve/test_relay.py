"""A Space behind which an OpenAI-compatible server answers."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    ContextTooLongError,
    GenerationError,
    InvalidInputError,
    QwenSpaceError,
    SpaceRateLimitError,
)
from tests.pictures import BLUE, RED, image

from .openai_server import OpenAIServer, openai_server
from .running import Served, serving

pytest.importorskip("openai")

KEY = "sk-never-to-be-seen"
FILES = ("--files", "image,audio,video,pdf")
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0"
MP4 = b"\0\0\0\x20ftypisom\0\0"
PDF = b"%PDF-1.7\n%%EOF\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIServer]:
    with openai_server() as server:
        yield server


@pytest.fixture(scope="module")
def served(upstream, tmp_path_factory) -> Iterator[Served]:
    options = ("--backend", "openai", "--base-url", upstream.url, "--model", "tiny", *FILES)
    variables = {"TINY_KEY": KEY}
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, *options, "--key-env", "TINY_KEY", **variables) as served:
        yield served


@pytest.fixture
def chat(served) -> ChatQwenSpace:
    return ChatQwenSpace(space=served.url)


def test_a_conversation_is_passed_on_and_its_answer_streams_exactly(chat, upstream):
    text = "  1. **a**\n\tb\n     🙂\n"
    conversation = [
        SystemMessage("Be brief."),
        HumanMessage("Hello!"),
        AIMessage("Hi."),
        HumanMessage(f"say {text}"),
    ]
    chunks = [chunk.content for chunk in chat.stream(conversation) if chunk.content]
    assert "".join(chunks) == text
    assert len(chunks) > 3, "it did not stream"
    assert upstream.bodies[-1] == {
        "model": "tiny",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello!"},
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": f"say {text}"},
        ],
    }
    assert upstream.keys[-1] == f"Bearer {KEY}"


def b64(data):
    return b64encode(data).decode()


def picture(data):
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(data)}"}}


def test_files_are_passed_on_as_blocks_each_with_its_turn(chat, upstream):
    blocks = [
        image(BLUE),
        image(WAV, "audio/wav", type="audio"),
        image(MP4, "video/mp4", type="video"),
        image(PDF, "application/pdf", type="file", extras={"filename": "a.pdf"}),
    ]
    conversation = [
        HumanMessage([{"type": "text", "text": "What is it?"}, image()]),
        AIMessage("Red."),
        HumanMessage("Sure?"),
        AIMessage("Yes."),
        HumanMessage([*blocks, {"type": "text", "text": "say And this?"}]),
    ]
    assert chat.invoke(conversation).text == "And this?"
    first, _, second, _, last = upstream.bodies[-1]["messages"]
    assert first["content"] == [picture(RED), {"type": "text", "text": "What is it?"}]
    assert second["content"] == "Sure?"
    assert last["content"] == [
        picture(BLUE),
        {"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}},
        {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{b64(MP4)}"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{b64(PDF)}"},
        },
        {"type": "text", "text": "say And this?"},
    ]


def test_a_picture_without_words_is_passed_on_alone(chat, upstream):
    assert chat.invoke([HumanMessage([image()])]).text == "I see."
    assert upstream.bodies[-1]["messages"] == [{"role": "user", "content": [picture(RED)]}]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_file_of_the_servers_machine_that_nobody_uploaded_is_not_passed_on(
    served, chat, upstream, tmp_path, earlier
):
    secret = tmp_path / "secret.png"
    secret.write_bytes(BLUE)
    chat.describe()
    asked = len(upstream.bodies)
    # A file that the Space is to have already is named by its path there.
    message = HumanMessage([{"type": "image", "url": f"{served.url}/gradio_api/file={secret}"}])
    messages = [message, AIMessage("Blue."), HumanMessage("say a")] if earlier else [message]
    with pytest.raises(QwenSpaceError):
        chat.model_copy(update={"max_retries": 0}).invoke(messages)
    assert len(upstream.bodies) == asked


def test_the_page_takes_the_kinds_of_files_that_were_named(chat):
    assert chat.describe().files == ("'Question' takes image, audio, video, .pdf",)
    block = image(b"PK\3\4", "application/zip", type="file")
    with pytest.raises(InvalidInputError, match=r"takes image, audio, video, \.pdf"):
        chat.invoke([HumanMessage([block])])


def test_the_page_offers_the_one_model_and_names_it(chat):
    assert chat.list_models() == ["tiny"]
    assert chat.invoke("say a", model="tiny").response_metadata["model_name"] == "tiny"


def test_reasoning_that_arrives_separately_is_written_as_qwen_does(chat):
    answer = chat.invoke("think hard", reasoning=True)
    assert answer.additional_kwargs["reasoning_content"].split() == ["hard", "hard"]
    assert answer.content.strip() == "hard"


@pytest.mark.parametrize("order", ["silence", "say " + "on and on " * 1000])
async def test_when_the_caller_leaves_the_server_behind_is_left_too(chat, upstream, order):
    upstream.began.clear()
    upstream.left.clear()
    calling = asyncio.create_task(chat.ainvoke(order))
    assert await asyncio.to_thread(upstream.began.wait, 60)
    calling.cancel()
    assert await asyncio.to_thread(upstream.left.wait, 60)


def test_a_silent_server_is_no_silence_of_the_space(served, upstream):
    began = time.monotonic()
    with pytest.raises(QwenSpaceError):
        ChatQwenSpace(space=served.url, timeout=2.5, total_timeout=5).invoke("silence")
    assert time.monotonic() - began > 4, "the Space was taken to be silent"


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        ("refuse 400 maximum context length exceeded", ContextTooLongError, "context length"),
        ("refuse 429 too much", SpaceRateLimitError, "429: too much"),
        ("refuse 404 no such model", GenerationError, "404: no such model"),
        (f"refuse 401 wrong key {KEY}", GenerationError, "does not accept its key"),
        ("fail while it writes", GenerationError, "failed or cannot be reached"),
        ("cut while it writes", GenerationError, "failed or cannot be reached"),
        ("break off", GenerationError, "cut its answer off"),
        ("break off with an empty reason", GenerationError, "cut its answer off"),
    ],
)
def test_what_goes_wrong_behind_the_space_is_reported(served, order, error, words):
    with pytest.raises(error, match=words) as caught:
        ChatQwenSpace(space=served.url, max_retries=0).invoke(order)
    assert KEY not in str(caught.value)


def test_a_server_that_sends_an_empty_reason_until_the_end_is_heard_out(chat):
    assert chat.invoke("say an empty reason").content == "an empty reason"


def test_the_text_until_an_answer_broke_off_is_not_lost(served):
    with pytest.raises(GenerationError) as caught:
        ChatQwenSpace(space=served.url, max_retries=0).invoke("break off here")
    assert caught.value.partial == "off here"


def test_the_key_is_printed_nowhere(served):
    assert KEY not in served.errors.read_text()


def test_a_server_that_cannot_be_reached_fails_the_call_and_not_the_space(tmp_path):
    # Its model is not known to read anything but text.
    options = ("--backend", "openai", "--base-url", "http://127.0.0.1:9/v1", "--model", "tiny")
    with serving(tmp_path, *options) as served:
        chat = ChatQwenSpace(space=served.url, max_retries=0)
        for _ in range(2):
            with pytest.raises(GenerationError, match="cannot be reached"):
                chat.invoke("Hello!")
        with pytest.raises(InvalidInputError, match=r"'image' .*this Space accepts text only"):
            chat.invoke([HumanMessage([image()])])
