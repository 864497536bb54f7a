"""Answers of a `ChatQwenSpace` in the form of OpenAI's chat completions, whole and as SSE frames.

The forms: https://platform.openai.com/docs/api-reference/chat/object and …/chat/streaming.
Thoughts are `reasoning_content` beside `content`, as DeepSeek's API and vLLM give them; `files`,
which is not of OpenAI's API, lists the files of an answer.
"""

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk

DONE = b"data: [DONE]\n\n"


def as_json(value: Any) -> bytes:
    """Returns the value as JSON. What is half a character, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def completion(message: AIMessage, model: str) -> bytes:
    """Returns a whole answer as a `chat.completion`.

    Args:
        message: The answer.
        model: The model that was asked for, where the answer does not name the one that ran.
    """
    metadata = message.response_metadata
    answer: dict[str, Any] = {"role": "assistant", "content": message.text, "refusal": None}
    if thoughts := message.additional_kwargs.get("reasoning_content"):
        answer["reasoning_content"] = thoughts
    if files := message.additional_kwargs.get("files"):
        answer["files"] = files
    calls = [
        _call(call["id"], call["name"], _arguments(call["args"])) for call in message.tool_calls
    ] + [_call(call["id"], call["name"], call["args"]) for call in message.invalid_tool_calls]
    if calls:
        answer["tool_calls"] = calls
        answer["content"] = message.text or None
    return as_json(
        {
            "id": _id(),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": metadata.get("model_name") or model,
            "choices": [
                {
                    "index": 0,
                    "message": answer,
                    "logprobs": None,
                    "finish_reason": metadata.get("finish_reason", "stop"),
                }
            ],
            "usage": _usage(message),
        }
    )


class Frames:
    """One streamed answer as SSE frames, each a `chat.completion.chunk`.

    What is the same in all frames is serialised once.

    Args:
        model: The model that was asked for.
        include_usage: Whether the token counts come in a frame of their own at the end.
    """

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        same = {
            "id": _id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._head = b"data: " + as_json(same)[:-1]
        self._delta = self._head + b',"choices":[{"index":0,"delta":'
        self._text = self._delta + b'{"content":'
        usage = b',"usage":null' if include_usage else b""
        self._end = b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._text_end = b"}" + self._end
        self._calls: dict[Any, int] = {}  # LangChain's index of a call -> OpenAI's

    def first(self) -> bytes:
        """The frame that begins the answer."""
        return self._frame({"role": "assistant", "content": "", "refusal": None})

    def of(self, chunk: AIMessageChunk) -> bytes:
        """The frames for a chunk; empty where it holds nothing for the client."""
        content = chunk.content
        if content and not chunk.tool_call_chunks and isinstance(content, str):
            frames = self._text + as_json(content) + self._text_end
        else:
            frames = self._other(chunk)
        if chunk.additional_kwargs and (
            thoughts := chunk.additional_kwargs.get("reasoning_content")
        ):
            frames = self._frame({"reasoning_content": thoughts}) + frames
        if files := chunk.additional_kwargs.get("files"):
            frames += self._frame({"files": files})
        if chunk.usage_metadata is not None:
            frames += self._last(chunk)
        return frames

    def _other(self, chunk: AIMessageChunk) -> bytes:
        frames = b""
        if text := chunk.text:
            frames = self._text + as_json(text) + self._text_end
        for piece in chunk.tool_call_chunks:
            number = self._calls.get(piece["index"])
            function = {"arguments": piece["args"] or ""}
            call: dict[str, Any] = {"index": number, "function": function}
            if number is None:
                number = self._calls[piece["index"]] = len(self._calls)
                call = {"index": number, **_call(piece["id"], piece["name"], piece["args"])}
            frames += self._frame({"tool_calls": [call]})
        return frames

    def _last(self, chunk: AIMessageChunk) -> bytes:
        """The frame with `finish_reason`, and the one with the token counts."""
        metadata = chunk.response_metadata
        choice = {
            "index": 0,
            "delta": {},
            "logprobs": None,
            "finish_reason": metadata.get("finish_reason", "stop"),
        }
        ending: dict[str, Any] = {"choices": [choice]}
        if self._include_usage:
            ending["usage"] = None
        if metadata.get("revised"):  # the frames' sum is not the Space's final text
            ending["qwen_space"] = {"revised": True, "final_text": metadata["final_text"]}
        frames = self._tail(ending)
        if self._include_usage:
            frames += self._tail({"choices": [], "usage": _usage(chunk)})
        return frames

    def _frame(self, delta: Mapping[str, Any]) -> bytes:
        return self._delta + as_json(delta) + self._end

    def _tail(self, fields: Mapping[str, Any]) -> bytes:
        return self._head + b"," + as_json(fields)[1:] + b"\n\n"


def _call(id_: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    return {
        "id": id_ or f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": name or "", "arguments": arguments or ""},
    }


def _arguments(arguments: Mapping[str, Any]) -> str:
    """A call's arguments as JSON; what orjson cannot write (half a character, 2**64) is escaped."""
    try:
        return orjson.dumps(arguments).decode()
    except TypeError:
        return json.dumps(arguments)


def _usage(message: AIMessage) -> dict[str, Any] | None:
    usage = message.usage_metadata
    if usage is None:
        return None
    counts: dict[str, Any] = {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
    thoughts = usage.get("output_token_details", {}).get("reasoning")
    if thoughts is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": thoughts}
    return counts


def _id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"
