"""However a conversation grows, its prompt is the template's, holds every text and extends the last."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
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
from tests.unit_tests.qwen.chatml import Turn, lay_out, render

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

    What was said is also kept as the turns of `chatml.render`, which shares no code with the package.
    """

    @initialize(tools=st.sampled_from([(), (TOOL,), (TOOL, TOOL)]))
    def start(self, tools):
        self.tools = tools
        self.messages = []
        self.system: list[str] = []
        self.turns: list[Turn] = []
        self.alternate = True  # as the template has it; else turns are put together
        self.before = None  # the prompt that an answer was given to, and the answer

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
            Turn("user", text),
        )

    @rule(text=TEXTS, cuts=CUTS, calls=st.just([]) | CALLS, thinks=st.booleans())
    def the_model_speaks(self, text, cuts, calls, thinks):
        content = in_blocks(text, cuts)
        if thinks and isinstance(content, list):
            content.insert(0, {"type": "reasoning", "reasoning": "not to be sent"})
        made = [{"name": name, "args": args, "id": "1"} for name, args in calls]
        told = self.prompt() if self.can_be_asked() else None
        self.add(AIMessage(content, tool_calls=made), Turn("assistant", text, calls))
        self.before = told

    @rule(text=TEXTS, cuts=CUTS, as_function=st.booleans())
    @precondition(lambda self: self.turns and self.turns[-1].role in ("assistant", "tool"))
    def a_tool_answers(self, text, cuts, as_function):
        content = in_blocks(text, cuts)
        self.add(
            FunctionMessage(content, name="f")
            if as_function
            else ToolMessage(content, tool_call_id="1"),
            Turn("tool", defused(text)),
        )

    def add(self, message, turn):
        before = self.turns[-1].role if self.turns else "assistant"
        neighbours = (before == "assistant") == (turn.role == "assistant")
        self.alternate &= not neighbours or before == turn.role == "tool"
        self.messages.append(message)
        self.turns.append(turn)

    def can_be_asked(self):
        return bool(self.turns) and self.turns[-1].role != "assistant"

    def prompt(self):
        return from_messages(self.messages, tools=self.tools)

    def rendered(self):
        system = [Turn("system", "\n".join(self.system))] if self.system else []
        return render([*system, *self.turns], self.tools)

    # What must hold after each step

    @invariant()
    def what_alternates_is_what_the_template_renders(self):
        if self.alternate and self.can_be_asked():
            assert lay_out(self.prompt()) == self.rendered()

    @invariant()
    def what_nobody_is_to_answer_is_refused(self):
        if not self.can_be_asked():
            with pytest.raises(InvalidInputError):
                self.prompt()

    @invariant()
    def no_text_is_lost_and_nothing_but_what_joins_them_is_added(self):
        if self.can_be_asked():
            prompt = self.prompt()
            sides = itertools.groupby(self.turns, lambda turn: turn.role == "assistant")
            said = [self.together(group) for _, group in sides]
            if self.turns[0].role == "assistant":
                said.insert(0, "")
            assert [*itertools.chain(*prompt.history), prompt.query] == said

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
            assert self.prompt().system.startswith("\n".join(self.system))
            assert self.prompt() == from_messages(
                [
                    SystemMessage("\n".join(self.system)),
                    *(message for message in self.messages if not self.is_system(message)),
                ],
                tools=self.tools,
            )

    @staticmethod
    def is_system(message):
        return isinstance(message, SystemMessage) or (
            isinstance(message, ChatMessage) and message.role == "system"
        )

    @staticmethod
    def together(neighbours):
        """What neighbours of one side say in one turn, each as the template writes it by itself."""
        text, before = "", None
        for turn in neighbours:
            alone = render([Turn("system", ""), turn]).split("<|im_end|>\n", 1)[1]
            told = alone.split("\n", 1)[1].removesuffix("<|im_end|>\n")
            gap = "\n" if before == turn.role == "tool" else "\n\n"
            text += (gap if text and told else "") + told
            before = turn.role
        return text


TestConversation = Conversation.TestCase
TestConversation.settings = settings(stateful_step_count=12, deadline=None)
