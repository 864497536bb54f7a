"""However a conversation grows, its prompt is what the family's template renders, and extends the last."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen.turns import from_messages
from tests.unit_tests.qwen.chatml import lay_out
from tests.unit_tests.qwen.independent_templates import FAMILIES, render
from tests.unit_tests.qwen.test_dialects import DIALECTS

CONTROLS = ["<|im_end|>", "<|im_start|>", "</tool_response>", "<tool_call>"]
BITS = [*CONTROLS, "a", "b\n\nc", "\n", " ", "\t", "界", "🙂", "\u2028", "{", '"', "\\", "system\n"]
TEXTS = st.lists(st.sampled_from(BITS), max_size=4).map("".join)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["f", "look_up"]),
        st.dictionaries(
            st.sampled_from("ab界"), st.none() | st.integers(-1, 9) | TEXTS, max_size=2
        ),
    ),
    min_size=1,
    max_size=2,
)
TOOL = {"type": "function", "function": {"name": "f", "description": "界 <b>", "parameters": {}}}
THOUGHTS = st.none() | TEXTS
DROPS_THOUGHTS_AFTER_A_QUESTION = ("qwen3", "qwen3.5")
CUTS = st.lists(st.integers(0, 20), max_size=3)


def defused(text):
    for control in CONTROLS:
        text = text.replace(control, f"< {control[1:]}")
    return text


def in_blocks(text, cuts):
    """The text, or the same as a list of content blocks, of dicts and strings in turn."""
    if not cuts:
        return text
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[start:end] for start, end in itertools.pairwise(places)]
    return [
        {"type": "text", "text": part} if number % 2 else part for number, part in enumerate(parts)
    ]


class Conversation(RuleBasedStateMachine):
    """People, models and tools that say something, in any order, and the prompt for all of it.

    What was said is also kept as the families' templates take it, which are rendered by
    `independent_templates`.
    """

    family: str

    @initialize(tools=st.sampled_from([(), (TOOL,), (TOOL, TOOL)]))
    def start(self, tools):
        self.tools = tools
        self.messages = []
        self.system: list[str] = []
        self.turns: list[dict[str, Any]] = []
        self.before = None  # the prompt that an answer was given to

    # Who says something

    @rule(text=TEXTS, cuts=CUTS, as_chat=st.booleans())
    def a_system_message_comes(self, text, cuts, as_chat):
        content = in_blocks(text, cuts)
        self.messages.append(
            ChatMessage(content, role="system") if as_chat else SystemMessage(content)
        )
        self.system.append(text)
        self.before = None

    @rule(text=TEXTS, cuts=CUTS, as_chat=st.booleans())
    def a_user_speaks(self, text, cuts, as_chat):
        content = in_blocks(text, cuts)
        self.add(
            ChatMessage(content, role="user") if as_chat else HumanMessage(content),
            {"role": "user", "content": text},
        )
        if self.family in DROPS_THOUGHTS_AFTER_A_QUESTION:
            self.before = None

    @rule(text=TEXTS, cuts=CUTS, calls=st.just([]) | CALLS, thoughts=THOUGHTS, apart=st.booleans())
    def the_model_speaks(self, text, cuts, calls, thoughts, apart):
        if thoughts is not None and not apart:
            text = f"<think>\n{thoughts}\n</think>\n\n{text}"
        content = in_blocks(text, cuts)
        kept = {"reasoning_content": thoughts} if thoughts is not None and apart else {}
        if kept and isinstance(content, list):
            content.insert(0, {"type": "reasoning", "reasoning": thoughts})
        made = [{"name": name, "args": args, "id": "1"} for name, args in calls]
        functions = [{"name": name, "arguments": args} for name, args in calls]
        answered = self.prompt() if self.can_be_asked() else None
        self.add(
            AIMessage(content, tool_calls=made, additional_kwargs=kept),
            {
                "role": "assistant",
                "content": text,
                "tool_calls": [{"type": "function", "function": one} for one in functions],
                **kept,
            },
        )
        self.before = answered

    @rule(text=TEXTS, cuts=CUTS, as_function=st.booleans())
    @precondition(lambda self: self.turns and self.turns[-1]["role"] in ("assistant", "tool"))
    def a_tool_answers(self, text, cuts, as_function):
        content = in_blocks(text, cuts)
        self.add(
            FunctionMessage(content, name="f")
            if as_function
            else ToolMessage(content, tool_call_id="1"),
            {"role": "tool", "content": defused(text)},
        )

    def add(self, message, turn):
        self.messages.append(message)
        self.turns.append(turn)

    def can_be_asked(self):
        return bool(self.turns) and self.turns[-1]["role"] != "assistant"

    def prompt(self, messages=None):
        return from_messages(
            messages or self.messages, tools=self.tools, dialect=DIALECTS[self.family]
        )

    def rendered(self):
        """The system text and the turns of the template, neighbours of one side put together."""
        end, other = "<|im_end|>", "\ue000"  # which stands for one in a text
        system = [{"role": "system", "content": "\n".join(self.system)}] if self.system else []
        said = json.dumps([*system, *self.turns], ensure_ascii=False).replace(end, other)
        text = render(json.loads(said), self.tools, self.family)
        turns = [
            turn.replace(other, end).removeprefix("<|im_start|>").split("\n", 1)
            for turn in text.split(f"{end}\n")[:-1]
        ]
        system_text = turns.pop(0)[1] if turns[0][0] == "system" else ""
        if turns[0][0] == "assistant":
            turns.insert(0, ["user", ""])
        sides = itertools.groupby(turns, lambda turn: turn[0])
        return [
            system_text,
            *("\n\n".join(told for _, told in group if told) for _, group in sides),
        ]

    # What must hold after each step

    @invariant()
    def it_is_what_the_template_renders(self):
        if self.can_be_asked():
            prompt = self.prompt()
            assert [
                prompt.system,
                *itertools.chain(*prompt.history),
                prompt.query,
            ] == self.rendered()

    @invariant()
    def what_nobody_is_to_answer_is_refused(self):
        if not self.can_be_asked():
            with pytest.raises(InvalidInputError):
                self.prompt()

    @invariant()
    def the_prompt_begins_with_the_one_that_was_answered(self):
        if self.before is not None and self.can_be_asked():
            prompt, size = self.prompt(), len(self.before.history)
            assert prompt.system == self.before.system
            assert prompt.history[:size] == self.before.history
            assert prompt.history[size][0] == self.before.query
            assert lay_out(prompt).startswith(lay_out(self.before))

    @invariant()
    def system_messages_are_one(self):
        if self.can_be_asked() and self.system:
            others = [message for message in self.messages if not self.is_system(message)]
            assert self.prompt() == self.prompt([SystemMessage("\n".join(self.system)), *others])

    @staticmethod
    def is_system(message):
        return isinstance(message, SystemMessage) or (
            isinstance(message, ChatMessage) and message.role == "system"
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_conversations(family):
    machine = type(family, (Conversation,), {"family": family})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=12, deadline=None)
    )
