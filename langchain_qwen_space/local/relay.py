"""`Relay`: answers by an OpenAI-compatible server, such as vLLM, Ollama or DashScope."""

import asyncio
import os
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openai
from gradio import Error

from langchain_qwen_space.media_types import type_of

from .answers import NOTHING_YET, Draft, messages


class Relay:
    """Another server that answers. Called, it is an `Answer`.

    Args:
        base_url: Where the server's API begins, such as "http://localhost:11434/v1".
        model: The name that the server has for the model.
        key_env: The environment variable that holds the server's API key. Where it is not set,
            none is sent that means anything: servers on the same machine ask for none.
        max_tokens: The most tokens of an answer; by default what the server thinks right.
        files: The kinds of files that the model reads, of `image`, `audio`, `video` and `pdf`.

    Attributes:
        file_types: Those kinds, as Gradio's components name them.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        key_env: str = "OPENAI_API_KEY",
        max_tokens: int | None = None,
        files: Sequence[str] = (),
    ) -> None:
        self.file_types = [".pdf" if kind == "pdf" else kind for kind in files]
        self._model = model
        self._settings = {} if max_tokens is None else {"max_tokens": max_tokens}
        key = os.environ.get(key_env) or "none"
        self._client = openai.AsyncOpenAI(base_url=base_url, api_key=key)
        # One loop for all answers: there, an answer that nobody reads any more can be cancelled
        # while the server is silent, which a thread that reads a socket cannot.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def __call__(
        self,
        system: str,
        history: list[tuple[str, str]],
        query: str,
        model: str,
        files: Sequence[Sequence[str]] = (),
    ) -> Iterator[str]:
        """Answer; when the generator is closed, so is the connection to the server.

        Raises:
            gradio.Error: The server cannot be reached, refuses, fails, or breaks off.
        """
        yield NOTHING_YET
        draft = Draft()
        writing = self._write(draft, messages(system, history, query, files, _part))
        work = asyncio.run_coroutine_threadsafe(writing, self._loop)
        try:
            yield from draft.readings(work)
        except openai.APIStatusError as error:
            raise Error(_refusal(error)) from None  # the log is to quote no key either
        except Error:
            raise
        except Exception as error:  # of the client that openai uses, which differs with its release
            raise Error("The server behind this Space failed or cannot be reached.") from error
        finally:
            work.cancel()

    async def _write(self, draft: Draft, conversation: list[dict[str, Any]]) -> None:
        stream: Any = await self._client.chat.completions.create(
            model=self._model,
            messages=conversation,
            stream=True,
            **self._settings,
        )
        thoughts = text = ""
        finished = False
        async with stream:
            async for chunk in stream:
                for choice in chunk.choices:  # of a chunk that tells the usage there is none
                    thoughts += _thought(choice.delta)
                    text += choice.delta.content or ""
                    finished = finished or bool(choice.finish_reason)  # some servers send ""
                draft.write(_shown(thoughts, text))
        if not finished:
            raise Error("The server behind this Space cut its answer off.")


def _part(path: str) -> dict[str, Any]:
    """A file as OpenAI's API takes it; a video as vLLM and DashScope do."""
    kind = type_of(path) or "application/octet-stream"
    data = b64encode(Path(path).read_bytes()).decode()
    url = f"data:{kind};base64,{data}"
    match kind.partition("/")[0]:
        case "image" | "video" as what:
            return {"type": f"{what}_url", f"{what}_url": {"url": url}}
        case "audio":
            sound = {"data": data, "format": Path(path).suffix[1:].lower()}
            return {"type": "input_audio", "input_audio": sound}
    return {"type": "file", "file": {"filename": Path(path).name, "file_data": url}}


def _thought(delta: object) -> str:
    """A piece of a model's reasoning, which servers send apart, by one name or another."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(piece := getattr(delta, name, None), str):
            return piece
    return ""


def _shown(thoughts: str, text: str) -> str:
    """Reasoning and answer as Qwen itself writes them."""
    if not thoughts:
        return text
    return f"<think>\n{thoughts}\n</think>\n\n{text}" if text else f"<think>\n{thoughts}"


def _refusal(error: openai.APIStatusError) -> str:
    status = error.status_code
    if status in (401, 403):  # without the server's words, which may quote the key
        return f"The server behind this Space does not accept its key (status code {status})."
    body = error.body if isinstance(error.body, dict) else {}
    words = body.get("message") or "it does not say why"
    return f"The server behind this Space answered with status code {status}: {words}"
