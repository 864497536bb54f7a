"""Whatever a chatbot's value goes through, the text read from its edits is the text in it."""

import inspect
import random

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from langchain_qwen_space.space.chat.chatbot import Form
from langchain_qwen_space.space.chat.reply import Reply, Thought
from tests.unit_tests.space.gradio_wire import Chat, Said, edits, text_of

PIECES = st.text("ab. \n界▌", min_size=1, max_size=5)
NO_LIMIT = 1 << 30


def wire(value):
    return orjson.loads(orjson.dumps(value))


def solid(text):
    return "".join(text.split())


def is_subsequence(part, whole):
    rest = iter(whole)
    return all(char in rest for char in part)


class Space(RuleBasedStateMachine):
    """An app that changes its chatbot at will, the server before it, and a reader."""

    @initialize(
        form=st.sampled_from(Form),
        rich=st.booleans(),
        turns=st.integers(0, 2),
        whole=st.sampled_from([False, False, True]),
        shifted=st.booleans(),
        null=st.booleans(),
    )
    def start(self, form, rich, turns, whole, shifted, null):
        history = [(f"q{number}", f"a{number}") for number in range(turns)]
        self.chat = Chat(form, history, "the question")
        self.rich = rich or form in (Form.MESSAGES, Form.PARTS)
        self.several = form not in (Form.REPLY, Form.TEXT) or rich
        self.whole, self.shifted, self.wrapped = whole, shifted, False
        self.reply = Reply(form, turns, self.chat.query, whole=whole, max_chars=NO_LIMIT)
        self.sum, self.thoughts = "", ""
        self.text, self.revised = "", False
        self.thought, self.rethought = "", False
        self.known = None
        self.random = random.Random(0)
        if null:
            self.show(None)

    # What an app does

    @rule(piece=PIECES)
    def says_more(self, piece):
        if not self.chat.answer or self.chat.answer[-1].kind == "file":
            return
        self.chat.answer[-1].text += piece
        self.send()

    @rule(text=st.just("") | PIECES)
    def begins_a_message(self, text):
        if self.several or not self.chat.answer:
            self.chat.answer.append(Said(text))
            self.send()

    @rule(text=st.just("") | PIECES)
    @precondition(lambda self: self.rich and self.chat.form is not Form.PAIRS)
    def begins_a_thought(self, text):
        self.chat.answer.append(Said(text, "thought", "pending"))
        self.send()

    @rule()
    @precondition(lambda self: self.rich or self.chat.form is Form.PAIRS)
    def shows_a_file(self):
        self.chat.answer.append(Said(kind="file"))
        self.send()

    @rule(data=st.data(), text=st.just("") | PIECES)
    @precondition(lambda self: self.chat.answer)
    def changes_a_message(self, data, text):
        said = data.draw(st.sampled_from(self.chat.answer))
        if said.kind != "file":
            said.text = text
        if said.kind == "thought":
            said.status = "done"
        self.send()

    @rule(data=st.data())
    @precondition(lambda self: self.chat.answer)
    def takes_messages_back(self, data):
        start = data.draw(st.integers(0, len(self.chat.answer) - 1))
        del self.chat.answer[start:]
        self.send()

    @rule()
    def forgets_its_oldest_turn(self):
        del self.chat.history[:1]
        self.send()

    @rule()
    def changes_nothing(self):
        self.send()

    @rule()
    def updates_the_component_instead_of_its_value(self):
        self.wrapped = not self.wrapped
        self.send()

    # What its server sends

    def send(self):
        value = wire(self.chat.value(rich=self.rich))
        if self.wrapped:
            value = {"__type__": "update", "label": "x", "value": value}
        self.show(value)

    def show(self, value):
        if self.whole or self.known is None:
            output = value
        else:
            output = edits(self.known[0], value, shifted=self.shifted)
            for edit in output:
                if edit[0] == "delete" and isinstance(edit[1][-1], int):
                    edit[1][-1] += self.random.randint(-2, 2)
        self.known = (value,)
        self.take(self.reply.generating(wire(output)))

    def take(self, fragments):
        self.sum += "".join(item for item in fragments if isinstance(item, str))
        self.thoughts += "".join(item.text for item in fragments if isinstance(item, Thought))
        assert all(item if isinstance(item, str) else item.text for item in fragments)
        text = text_of(self.chat.answer)
        self.revised |= not text.startswith(self.text)
        self.text = text
        if any(said.kind == "thought" for said in self.chat.answer):
            thought = text_of(self.chat.answer, "thought")
            self.rethought |= not thought.startswith(self.thought)
            self.thought = thought

    # What must hold after each event

    @invariant()
    def the_text_is_the_one_on_the_space(self):
        if self.known is not None:
            assert self.reply.answer.text == self.text

    @invariant()
    def what_came_was_handed_out_with_its_event(self):
        if self.known is not None:
            assert self.reply.revised is (self.revised or self.rethought)
            assert is_subsequence(solid(self.text), self.sum)
            if not self.revised:
                assert self.sum == self.text

    @invariant()
    def thoughts_are_no_part_of_the_answer(self):
        if self.known is not None and any(said.kind == "thought" for said in self.chat.answer):
            thoughts = text_of(self.chat.answer, "thought")
            assert self.reply.thoughts.text == thoughts
            assert is_subsequence(solid(thoughts), self.thoughts)

    def teardown(self):
        if self.known is not None:
            self.take(self.reply.completed(wire(self.chat.value(rich=self.rich))))
            self.the_text_is_the_one_on_the_space()
            self.what_came_was_handed_out_with_its_event()


TestSpace = Space.TestCase
TestSpace.settings = settings(stateful_step_count=20)

LINES = st.sampled_from(
    [
        *("", "", "  ", "\t", "- one", "  - two", "    - three", "1. **First**:", "   - four"),
        *("\tcode()", "\t\treturn\t1", "```python", "def f(x):", "    return x", "  ```", "a\tb"),
        *("   text", "\u3000中文", "\u00a0x", "> quote", " ", "|a|b|", "end"),
    ]
)


@given(
    st.sampled_from([Form.PAIRS, Form.MESSAGES, Form.PARTS]),
    st.lists(LINES, min_size=1, max_size=9).map("\n".join),
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
)
def test_a_text_that_the_server_cleans_as_it_grows_loses_and_repeats_blanks_only(form, text, sizes):
    chat = Chat(form, [], inspect.cleandoc("  the\n  question"))
    reply = Reply(form, 0, "  the\n  question", whole=False, max_chars=NO_LIMIT)
    known, handed_out, before, revised, end, step = None, "", "", False, 0, 0
    while end < len(text):
        end += sizes[step % len(sizes)]
        step += 1
        cleaned = inspect.cleandoc(text[:end])
        chat.answer = [Said(cleaned)]
        value = wire(chat.value())
        output = value if known is None else edits(known, value, shifted=True)
        known = value
        handed_out += "".join(map(str, reply.generating(wire(output))))
        revised |= not cleaned.startswith(before)
        before = cleaned
        assert solid(handed_out) == solid(cleaned)
        assert reply.answer.text == cleaned
    handed_out += "".join(map(str, reply.completed(known)))
    assert handed_out.split() == before.split()
    assert reply.revised is revised
    if not revised:
        assert handed_out == before
