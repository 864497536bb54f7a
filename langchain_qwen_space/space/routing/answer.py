"""The events of a question's functions -> pieces of the answer."""

import logging
import reprlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from langchain_qwen_space.errors import GenerationError, ProtocolError, StreamInterruptedError
from langchain_qwen_space.events import NoticeEvent, SpaceEvent
from langchain_qwen_space.space.chat.appends import Appends
from langchain_qwen_space.space.chat.chatbot import files_in
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.reply import Fragment, Reply
from langchain_qwen_space.space.page.config import Dependency
from langchain_qwen_space.space.page.values import new_values
from langchain_qwen_space.space.routing.filled_page import FilledPage
from langchain_qwen_space.space.routing.target import SpaceTarget
from langchain_qwen_space.space.wire.faults import from_output
from langchain_qwen_space.space.wire.function_run import FunctionRun
from langchain_qwen_space.space.wire.server_messages import parse, space_events
from langchain_qwen_space.space.wire.sse import SSEDecoder

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_REPEATED = 2  # times max_reply_bytes that may be handed out of an answer that is revised
_NOTHING = object()
_SHOW_FILES = ("image", "gallery", "audio", "video", "file", "downloadbutton", "model3d")


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete."""


Item = Fragment | SpaceEvent | Finished


class AnswerReader:
    """Reads the answer out of the events of one function after another.

    Args:
        target: The Space.
        page: The page with the question on it, and what is left of its chain.
        reply: Follows the chatbot's value.

    Attributes:
        event_id: The Space's id of the call; None until it is known.
        beside: The files that the functions put into components beside the chat, by their id.
    """

    def __init__(self, target: SpaceTarget, page: FilledPage, reply: Reply) -> None:
        self.event_id: str | None = None
        self.beside: dict[int, list[Mapping[str, Any]]] = {}
        self._target, self._page, self._reply = target, page, reply
        self._options = target.options
        self._handed_out = 0  # characters
        self._undecodable = False  # an event
        self._notice = ""  # what the app showed its users last
        self._step: Dependency
        self._run: FunctionRun
        self._decoder: SSEDecoder
        self._appends: Appends

    def begin(self, step: Dependency, run: FunctionRun) -> None:
        """The events of this function follow."""
        self._step, self._run = step, run
        self._decoder = SSEDecoder(self._options.max_reply_bytes)
        self._appends = Appends()
        self._reply.next_step()
        self.event_id = run.event_id

    def read(self, chunk: bytes, items: list[Item]) -> None:
        """Read the events of some bytes and add what they bring to `items`.

        Raises:
            QwenSpaceError: What the Space reports; `items` has what came before it.
        """
        reply = self._reply
        grown: list[str] = []  # text that has arrived together, nothing between it
        try:
            for data in self._decoder.feed(chunk):
                if self._run.done:
                    break
                fragment = self._appends.fragment(data, reply.tail)
                if fragment is None:
                    self._flush(grown, items)
                    self._take(data, items)
                else:
                    grown.append(fragment)
                    if not self._options.join_fragments:
                        self._flush(grown, items)
        finally:
            self._flush(grown, items)

    def _flush(self, grown: list[str], items: list[Item]) -> None:
        if grown:
            fragment = "".join(grown)
            grown.clear()
            self._hand_out(self._reply.grow(fragment), items)

    def _take(self, data: bytes, items: list[Item]) -> None:
        """Read one event and add what it brings to `items`."""
        reply, run, where = self._reply, self._run, self._target.where
        try:
            message = parse(data)
        except ValueError:
            shown = self._redacted(data[:1000].decode(errors="replace"))
            logger.warning("%s sent an event that cannot be decoded: %.200r", where, shown)
            self._undecodable = True
            return
        if message.msg == "unexpected_error":
            run.done = True
            if run.lost is not None and self.event_id is None:
                raise run.lost  # the Space does not know the call: the join never came there
            said = message.body.get("message")
            why = f" ({said:.300})" if isinstance(said, str) else ""
            raise self.interrupted(f"The Space gave the call up{why}.")
        if message.msg == "close_stream":
            raise self.interrupted("The Space closed the stream before the answer was complete.")
        if self.event_id is None:
            self.event_id = run.event_id = message.event_id  # the answer to the join was lost
        if message.event_id != self.event_id:
            return
        if self._page.steps and message.msg in ("process_generating", "process_completed"):
            self._page.take_states(self._step, message.body.get("output"))
        if message.msg == "process_generating" and message.body.get("success", True):
            output = self._output(message.body)
            if output is not _NOTHING:
                self._hand_out(reply.generating(output), items)
                self._appends.learn(data, output, reply.tail)
        elif message.msg in ("process_completed", "process_generating"):
            self._complete(message.body, items)
        else:
            for event in map(self._redacted, space_events(message)):
                items.append(event)
                if isinstance(event, NoticeEvent):
                    self._notice = f" The app said: {event.message:.300}"

    def _complete(self, body: Any, items: list[Item]) -> None:
        self._run.done = True
        page, reply, where = self._page, self._reply, self._target.where
        output = body.get("output")
        if not body.get("success", True) or (isinstance(output, dict) and output.get("error")):
            quoted = page.endpoint.config.release < (5, 2)
            raise from_output(
                output,
                body.get("title"),
                where,
                reply.answer.text,
                quoted=quoted,
                hint=page.doubtful_file(),
            )
        if output is not None and not isinstance(output, dict):
            msg = f"{where} completed the call with {reprlib.repr(output)} instead of an output."
            raise ProtocolError(msg, partial=reply.answer.text)
        if output is None or "data" not in output:
            raise self.interrupted("The call was cancelled on the Space by somebody else.")
        if page.steps:
            page.take_values(self._step, output["data"])
        value = self._output(body)
        if value is _NOTHING and not page.steps:
            value = None  # an earlier function wrote the answer
        if value is not _NOTHING:
            try:
                fragments = reply.completed(value, last=not page.steps, noticed=bool(self._notice))
            except ProtocolError as error:
                error.args = (f"{error}{self._notice}",)
                raise
            self._hand_out(fragments, items)
        self._look_beside(output["data"])
        if page.steps:
            return
        endpoint = page.endpoint
        asked = endpoint.inputs[endpoint.roles["query"]].id
        emptied = endpoint.answer == asked and not reply.answer.text  # as before a next question
        if emptied or not (reply.answered or reply.files):
            shown = reprlib.repr(output["data"] if value is None else value)
            msg = (
                f"{where} completed the call, but {_where_looked(endpoint)} "
                f"contains no answer: {shown}. {_advice(endpoint)}{self._notice}"
            )
            raise GenerationError(msg, partial=reply.answer.text)
        items.append(Finished())

    def _look_beside(self, data: object) -> None:
        """Keep the files in components that the function only writes."""
        endpoint = self._page.endpoint
        others = {endpoint.answer, *(item.id for item in endpoint.inputs)}
        for number, value in new_values(endpoint.config, self._step, data).items():
            if number not in others and endpoint.config.component(number).type in _SHOW_FILES:
                with suppress(ValueError):
                    self.beside[number] = list(files_in(value))

    def _output(self, body: Any) -> object:
        """The answer's part of an event's output, or `_NOTHING`."""
        index = self._page.endpoint.output_of(self._step)
        with suppress(LookupError, TypeError):
            if index is not None:
                return body["output"]["data"][index]
        return _NOTHING

    def _hand_out(self, fragments: list[Fragment], items: list[Item]) -> None:
        if fragments:
            items += fragments
            for item in fragments:
                self._handed_out += len(item if isinstance(item, str) else item.text)
            if self._handed_out > _MOST_REPEATED * self._options.max_reply_bytes:
                msg = (
                    f"{self._target.where} repeatedly revised its answer from the start. Try "
                    "again; if you expect answers of this length, raise max_reply_bytes."
                )
                raise ProtocolError(msg, partial=self._reply.answer.text, is_retryable=False)

    def _redacted(self, value: T) -> T:
        return self._target.access.redacted(value)

    def interrupted(self, what: str) -> StreamInterruptedError:
        """The error of an answer that broke off."""
        text = self._reply.answer.text
        had = f"{len(text)} characters of it had arrived" if text else "nothing of it had arrived"
        lost = " An event before that could not be decoded." if self._undecodable else ""
        msg = f"The answer of {self._target.where} broke off: {what} ({had}.){lost}"
        return StreamInterruptedError(msg, partial=text)


def _where_looked(endpoint: Endpoint) -> str:
    component = endpoint.config.component(endpoint.answer)
    return (
        f"its {component.type} {component.label!r}" if component.label else f"its {component.type}"
    )


def _advice(endpoint: Endpoint) -> str:
    """What to do where the chatbot holds no answer."""
    polled = (
        endpoint.answer in item.outputs and any(event == "tick" for _, event in item.events)
        for item in endpoint.config.dependencies
    )
    if any(polled):
        return "The page asks for it with a timer, which is not supported; choose another Space."
    return (
        "If another part of the page shows it, pass the function that answers as start=…; "
        "describe() shows what was called."
    )


def joined(items: list[Item]) -> list[Item]:
    """The same items, with neighbouring text of the same kind joined."""
    together: list[Item] = []
    texts: list[str] = []
    for item in items:
        if isinstance(item, str):
            texts.append(item)
            continue
        if texts:
            together.append("".join(texts))
            texts = []
        together.append(item)
    if texts:
        together.append("".join(texts))
    return together
