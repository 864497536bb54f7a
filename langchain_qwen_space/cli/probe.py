"""`qwen-space doctor --probe`: whether earlier turns, a system prompt and a limit reach the model.

A model answers in its own words, so each judgement has three values. A control question shows first
whether the model does as it is asked; where it does not, an answer without the planted word proves nothing.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from langchain_qwen_space.cli.timed_reply import TimedReply
from langchain_qwen_space.space.chat.inputs import bounds

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.space.chat.endpoint import Endpoint

Reached = Literal["yes", "no", "unclear"]
Messages = Sequence[tuple[str, str]]

_LAST = 100  # what the model is asked to count to, at least; twice the limit where that is more
_LOW = 16.0  # tokens; the limit that is set where the Space allows it
_MOST_LOW = 256.0  # tokens; to see the effect of a higher limit takes too long an answer
_UNCLEAR_ADVICE = (
    "The model does not do as it is asked here, so its answer shows nothing; try another model, or "
    "again."
)
_HISTORY_ADVICE = (
    "Set history='text' (--history text): earlier turns are then written into the question. If the page "
    "has a component that holds the conversation and describe() shows another, name it by "
    "inputs={'history': …} (--input history=…)."
)
_SYSTEM_ADVICE = (
    "Name the input for the system prompt by inputs={'system': …} (--input system=…), by label or index. "
    "If the Space has none, put the rule into the question."
)
_LIMIT_ADVICE = (
    "Name the input by inputs={'max_tokens': …} (--input max_tokens=…). max_tokens=… is kept client-side "
    "in any case."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one question showed.

    Attributes:
        name: What was looked for.
        reached: Whether it reached the model: "yes", "no", or "unclear" where the model did not do
            as it was asked in the control question either.
        answer: What the model wrote, at most 200 characters.
        advice: What to set if it did not reach the model, or to try if that is unclear; empty for
            "yes".
    """

    name: str
    reached: Reached
    answer: str
    advice: str = ""


class Probe:
    """Asks a Space questions whose answers show what reached the model.

    Args:
        model: The Space, as a chat model.
        endpoint: The chat that was found on it.
        report: Called with each finding.

    Attributes:
        calls: How many calls `run` makes.
    """

    def __init__(
        self, model: "ChatQwenSpace", endpoint: "Endpoint", report: Callable[[Finding], object]
    ) -> None:
        self._model, self._report = model, report
        self._limit = _limit(endpoint)
        self.calls = 3 + (self._limit is not None)

    async def run(self) -> list[Finding]:
        """Ask all questions, one after another.

        Raises:
            QwenSpaceError: A call failed; what was found before was reported.
        """
        word, turn, rule = (_word() for _ in range(3))
        answer = await self._ask([("human", f"Repeat this word, and nothing else: {word}")])
        obeys = has_word(answer, word)
        findings = [self._found("a word in the question", "yes" if obeys else "unclear", answer)]
        answer = await self._ask(
            [
                ("human", f"The password of the day is {turn}. Remember it."),
                ("ai", "I will remember it."),
                ("human", "What is the password of the day? Answer with that one word."),
            ]
        )
        reached = _judged(has_word(answer, turn), obeys)
        findings.append(self._found("earlier turns", reached, answer, _HISTORY_ADVICE))
        answer = await self._ask(
            [
                ("system", f"Whatever you are asked, end your answer with the word {rule}."),
                ("human", "What is two plus two?"),
            ]
        )
        reached = _judged(has_word(answer, rule), obeys)
        findings.append(self._found("the system prompt", reached, answer, _SYSTEM_ADVICE))
        if self._limit is not None:
            label, low = self._limit
            # By model_kwargs, so that nothing is cut off client-side.
            limited = self._model.model_copy(
                update={"model_kwargs": {**self._model.model_kwargs, label: low}}
            )
            last = max(_LAST, 2 * int(low))
            answer = await self._ask(
                [("human", f"Count from 1 to {last}, in digits, with commas. Leave none out.")],
                limited,
            )
            counted, is_cut = counted_to(answer)
            # A number is a token at least.
            reached = _judged(is_cut and 2 <= counted <= low, counted > low)
            findings.append(
                self._found(f"the limit {label!r} = {low}", reached, answer, _LIMIT_ADVICE)
            )
        return findings

    async def _ask(self, messages: Messages, model: "ChatQwenSpace | None" = None) -> str:
        reply = TimedReply()
        await reply.read(model or self._model, messages)
        return reply.text

    def _found(self, name: str, reached: Reached, answer: str, advice: str = "") -> Finding:
        advice = {"yes": "", "no": advice, "unclear": _UNCLEAR_ADVICE}[reached]
        finding = Finding(name, reached, answer[:200], advice)
        self._report(finding)
        return finding


def _judged(seen: bool, proves: bool) -> Reached:
    """What an answer shows; `proves` tells whether one without what was looked for means "no"."""
    return "yes" if seen else "no" if proves else "unclear"


def has_word(answer: str, word: str) -> bool:
    """Whether the answer holds the word, in whatever case."""
    return word.casefold() in answer.casefold()


def counted_to(answer: str) -> tuple[int, bool]:
    """How far an answer counts, and whether it ends there, but for a number that was cut off.

    It counts from 1 on without leaving a number out; 0 if it does not begin so.
    """
    last, rest = 0, ""
    for part in answer.replace(",", " ").split():
        number = part.strip(".*")
        if number.isascii() and number.isdigit() and int(number[:9]) == last + 1:
            last, rest = last + 1, ""
        elif last:
            rest += part
    return last, str(last + 1).startswith(rest)


def _word() -> str:
    """A word that no model writes by chance."""
    return "".join(secrets.choice("bdfgklmnprstvz") + secrets.choice("aeiou") for _ in range(4))


def _limit(endpoint: "Endpoint") -> tuple[str, float] | None:
    """The label of the input that limits an answer's tokens, and a low value that it takes.

    None where there is no such input, or it takes no value that is low enough.
    """
    index = endpoint.roles.get("max_tokens")
    if index is None or not endpoint.inputs[index].label:
        return None
    low, high = bounds(endpoint.inputs[index])
    value = max(_LOW, low or 0.0)
    if high is not None and value > high:
        value = high
    if value > _MOST_LOW:
        return None
    return endpoint.inputs[index].label, int(value) if value == int(value) else value
