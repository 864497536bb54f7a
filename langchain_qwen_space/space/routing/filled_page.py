"""A question laid out on a Space's page, as a person would do it, and the functions that it calls."""

import asyncio
from typing import Any

from langchain_qwen_space.events import SpaceEvent, SystemInQuestionEvent, WarningEvent
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.files import doubtful, file_data, filled, within
from langchain_qwen_space.space.chat.reply import Reply
from langchain_qwen_space.space.page.config import Dependency
from langchain_qwen_space.space.page.values import new_values
from langchain_qwen_space.space.routing.opening import load_page
from langchain_qwen_space.space.routing.options import Prepare, Question
from langchain_qwen_space.space.routing.target import SpaceTarget
from langchain_qwen_space.space.wire.client import SpaceClient
from langchain_qwen_space.space.wire.upload import Upload


class FilledPage:
    """A page whose components have the question's values, and what is left of the chain it starts.

    Args:
        target: The Space.
        client: What makes its requests.
        endpoint: The chat on its page.
        prepare: Makes what is asked, once the endpoint is known.
        session_hash: The id of the call's session.

    Attributes:
        endpoint: The chat that is used, which `gr.render` may put there when the page opens.
        model: The model that is asked for, in the Space's own word.
        events: What could not be set on the page as it was given.
        steps: The functions that are still to be called.
    """

    def __init__(
        self,
        target: SpaceTarget,
        client: SpaceClient,
        endpoint: Endpoint,
        prepare: Prepare,
        session_hash: str,
    ) -> None:
        self._target, self._client = target, client
        self._prepare, self._hash = prepare, session_hash
        question = prepare(target.access.space, endpoint)
        better = endpoint.for_turns(question.history, question.files[:-1])
        self._lay_out(
            better, question if better is endpoint else prepare(target.access.space, better)
        )
        self.steps: list[Dependency] = []
        self._history_call: tuple[int, list[Any]] | None = None  # a function to call first
        self._changed_ids: set[int] = set()  # components that the functions changed

    def _lay_out(self, endpoint: Endpoint, question: Question, *, opened: bool = False) -> None:
        """Set the values of the page as a person would who asks this."""
        self.endpoint, self._question = endpoint, question
        self._changed, notes = endpoint.lay_out(
            query=question.query,
            history=question.history,
            given=question.given,
            extra=question.extra,
            files=question.files,
            opened=opened,
        )
        self._values = endpoint.values(self._changed)
        self.model: str | None = None
        if endpoint.takes("model"):
            self.model = question.given.get("model", endpoint.default_model)
        where = self._target.where
        self.events: list[SpaceEvent] = [
            WarningEvent(f"{where} {note}.") for note in (*question.notes, *notes)
        ]
        if question.system_in_question:
            self.events.append(SystemInQuestionEvent())

    async def check(self) -> None:
        """Check the prompt in a thread, if it is long.

        Raises:
            QwenSpaceError: It cannot be sent.
        """
        if self._question.check is not None:
            await asyncio.to_thread(self._question.check)

    async def open_page(self) -> Reply:
        """Call what the page calls before a question is asked; return what will read the answer.

        Raises:
            QwenSpaceError: One of these functions failed, or the Space cannot be reached.
        """
        options, endpoint, question = self._target.options, self.endpoint, self._question
        if openings := endpoint.openings(self._values, question.history, question.given):
            page = await load_page(self._client, options, endpoint, self._hash, openings)
            if page.endpoint is not endpoint:
                again = self._prepare(self._target.access.space, page.endpoint)
                self._lay_out(page.endpoint, again, opened=True)
                await self.check()
                endpoint, question = self.endpoint, self._question
            self._values = endpoint.opened_values(self._values, page.values, self._changed)
            where = self._target.where
            self.events += [WarningEvent(f"{where} {note}") for note in page.notes]
        self._history_call = endpoint.history_call(question.history, question.files[:-1])
        self.steps = list(endpoint.steps)
        own = endpoint.config.component(endpoint.answer).default
        return Reply(
            endpoint.form,
            len(question.history),
            question.query,
            whole=endpoint.config.protocol == "sse_v1",
            max_chars=options.max_reply_bytes,
            habits=endpoint.habits,
            shown_before=self._values.get(endpoint.answer, own),
        )

    def upload(self) -> Upload:
        """What sends the files that stand in the page's values and are not on the Space yet."""
        files = dict.fromkeys(
            within([self._values, self._history_call]) if self._question.files else ()
        )
        held = [file for file in files if file.data is not None]
        url = self.endpoint.config.api("upload")
        return Upload(self._client, url, held, self._target.options.timeout)

    def place_files(self, upload: Upload) -> None:
        """Put the files that the Space now has, or is to fetch, into the page's values."""
        if not self._question.files:  # a long history need not be searched
            return
        sent = {
            file: file_data(file, upload.paths.get(file), self.endpoint.config)
            for file in within([self._values, self._history_call])
        }
        self._values = filled(self._values, sent)
        self._history_call = self._history_call and (
            self._history_call[0],
            filled(self._history_call[1], sent),
        )

    def doubtful_file(self) -> str:
        """Which file may have made the app fail, in a sentence; empty where none is suspect."""
        return doubtful(file for turn in self._question.files[::2] for file in turn)

    def next_step(self) -> tuple[Dependency, list[Any], tuple[int, list[Any]] | None]:
        """The chain's next function, its arguments, and what is called before it."""
        step = self.steps.pop(0)
        first, self._history_call = self._history_call, None
        return step, [self._values[number] for number in step.inputs], first

    def take_values(self, step: Dependency, data: object) -> None:
        """Set what a function of the chain returned; the next ones are called with it.

        Those that only a change calls are left out where there was none.
        """
        config, called_by = self.endpoint.config, self.endpoint.called_by
        for number, value in new_values(config, step, data).items():
            if _differs(value, self._values.get(number, config.component(number).initial)):
                self._changed_ids.add(number)
            self._values[number] = value
        while self.steps:
            watched = called_by.get(self.steps[0].id)
            if watched is None or watched & self._changed_ids:
                return
            left_out = config.chain(self.steps[0])
            self.steps = [item for item in self.steps if item not in left_out]

    def take_states(self, step: Dependency, output: object) -> None:
        """Note which States an event of a function changed; Gradio before 4.33 does not say it."""
        changed = output.get("changed_state_ids") if isinstance(output, dict) else None
        if isinstance(changed, list):
            self._changed_ids.update(number for number in changed if isinstance(number, int))
        else:
            states = (self.endpoint.config.component(number) for number in step.outputs)
            self._changed_ids.update(item.id for item in states if item.type == "state")


def _differs(value: object, before: object) -> bool:
    """Whether a component has another value; one that is nested too deeply to compare has."""
    try:
        return value != before
    except RecursionError:
        return True
