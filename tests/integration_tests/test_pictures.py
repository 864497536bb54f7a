"""Files that go with messages, on real Gradio servers: the bytes that arrive are those that were sent."""

import base64
import hashlib
import json
import sys
import zlib
from struct import pack

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_space import ChatQwenSpace
from tests.compat.forms import FORMS
from tests.compat.servers import running

pytestmark = pytest.mark.timeout(90, func_only=True)


def png(color=(200, 30, 30), side=8):
    """A picture of one colour."""

    def chunk(kind, data):
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(color) * side) * side
    head = pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


RED, BLUE = png(), png((10, 20, 250))


def image(data=RED, mime_type="image/png", **more):
    return {
        "type": "image",
        "base64": base64.b64encode(data).decode(),
        "mime_type": mime_type,
        **more,
    }


def seen(data):
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    form = next(form for form in FORMS if form.name == "6.31.0-messages")
    directory = tmp_path_factory.mktemp("pictures")
    with running(form, directory, python=sys.executable, only="pictures") as server:
        yield server


@pytest.fixture
def model(server):
    def make(layout, **settings):
        return ChatQwenSpace(space=server.base_url(f"pictures-{layout}"), max_retries=0, **settings)

    return make


async def reached(model, *messages):
    """The messages that the model behind the app was shown, those of one speaker as one."""
    answer = json.loads((await model.ainvoke(list(messages))).text)
    merged = []
    for message in answer["messages"]:
        for file in message["files"]:
            del file["name"]
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1]["text"] += message["text"]
            merged[-1]["files"] += message["files"]
        else:
            merged.append(message)
    return [(message["role"], message["text"], message["files"]) for message in merged]


BOXES = ["box", "two_steps", "interface"]


@pytest.mark.parametrize("layout", [*BOXES, "beside"])
async def test_a_picture_reaches_the_app_byte_by_byte(model, layout):
    message = HumanMessage([{"type": "text", "text": "What is it?"}, image()])
    assert await reached(model(layout), message) == [("user", "What is it?", [seen(RED)])]


@pytest.mark.parametrize("layout", BOXES)
async def test_pictures_of_two_turns_arrive_each_in_its_own(model, layout):
    messages = [
        HumanMessage([{"type": "text", "text": "What is it?"}, image()]),
        AIMessage("Red."),
        HumanMessage([image(BLUE), {"type": "text", "text": "And this?"}]),
    ]
    assert await reached(model(layout), *messages) == [
        ("user", "What is it?", [seen(RED)]),
        ("assistant", "Red.", []),
        ("user", "And this?", [seen(BLUE)]),
    ]
