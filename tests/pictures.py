"""Pictures for messages, and what the apps of `tests/compat/pictures.py` say of what reached them."""

import base64
import hashlib
import json
import zlib
from struct import pack

from langchain_core.messages import AIMessage, HumanMessage


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


TWO_TURNS = [
    HumanMessage([{"type": "text", "text": "What is it?"}, image()]),
    AIMessage("Red."),
    HumanMessage([image(BLUE), {"type": "text", "text": "And this?"}]),
]


def seen(data):
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


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
