"""Whatever a model writes and wherever it is cut off, its text and its calls come out, no others."""

import json
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from langchain_qwen_space.qwen.tool_calls import ToolCallParser
from tests.unit_tests.qwen.answers import add_up

OPEN, CLOSE = "<tool_call>", "</tool_call>"
CUT_OFF = len("<tool_")  # from here on, the beginning of a tag is taken for one
# No bracket or comma: between a call without its closing tag and a text these belong to the call.
TEXTS = st.builds(
    lambda blank, parts: blank + "".join(parts),
    st.sampled_from(["", "\n", "\n\n", " "]),
    st.lists(
        st.sampled_from(["a", "b c", "\n", " ", "界", "<", "<b>", "<tool ", "</tool\n", "\u2028"]),
        max_size=4,
    ),
).filter(bool)
NAMES = st.sampled_from(["f", "天气", 'a"b', "n" * 30])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(
        [0, -1.5, "", "x", OPEN, CLOSE, "<tool_", '}}"', "\\", "\n", "'", "```", "🙂"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab<"), inner, max_size=2)
    ),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["a", "name", "arguments", "}", OPEN]), VALUES, max_size=2
)


@dataclass(frozen=True)
class Text:
    written: str


@dataclass(frozen=True)
class Call:
    """What stands from an opening tag on: `before` a body that means `calls`, and what is `after`."""

    before: str
    body: str
    after: str
    calls: tuple[tuple[str, dict], ...]
    """None of them: the body is broken."""
    cut_off: int = CUT_OFF
    """From how many characters on it is no longer a word."""

    @property
    def written(self):
        return self.before + self.body + self.after


def body_of(name, arguments, style):
    sound = {"name": name, "arguments": arguments}
    match style:
        case "as Qwen writes it":
            return json.dumps(sound, ensure_ascii=False)
        case "close":
            return json.dumps(sound, separators=(",", ":"))
        case "spread":
            return json.dumps(sound, indent=1, ensure_ascii=False)
        case "parameters":
            return json.dumps({"name": name, "parameters": arguments})
        case "arguments first":
            return json.dumps({"arguments": arguments, "name": name}, ensure_ascii=False)
        case "arguments in a string":
            return json.dumps({"name": name, "arguments": json.dumps(arguments)})
        case "args":
            return json.dumps({"name": name, "args": arguments})
        case "OpenAI":
            return json.dumps({"id": "1", "type": "function", "function": sound})
        case "an id":
            return json.dumps({**sound, "id": "1"}, ensure_ascii=False)
        case "commas":
            return json.dumps(sound)[:-1] + ", }"
        case "a comment":
            return json.dumps(sound)[:-1] + "// \"it's]\n}"
        case "Python":
            return repr(sound)
    raise AssertionError(style)


STYLES = st.sampled_from(
    [
        *("as Qwen writes it", "as Qwen writes it", "close", "spread"),
        *("parameters", "arguments first", "arguments in a string", "Python"),
        *("args", "OpenAI", "an id", "commas", "a comment"),
    ]
)


class Answer(RuleBasedStateMachine):
    """A model that writes an answer, a Space that sends it in pieces, and a reader.

    The model below never looks for a tag: it knows which part of the answer was meant as what.
    """

    @initialize(withhold=st.booleans(), cut_off=st.booleans())
    def start(self, withhold, cut_off):
        self.cut_off = cut_off  # at the end, what was not sent by then never comes
        self.parts: list[Text | Call] = []
        self.answer = ""
        self.delivered = 0
        self.parser = ToolCallParser(withhold_prose=withhold)
        self.pieces = []

    # What a model writes

    @rule(text=TEXTS)
    def writes_text(self, text):
        self.write(Text(text))

    @rule(
        text=st.just("") | TEXTS,
        name=NAMES,
        arguments=ARGUMENTS,
        style=STYLES,
        fenced=st.booleans(),
        closed=st.booleans(),
        more=st.just("") | TEXTS,
    )
    def calls_a_tool(self, text, name, arguments, style, fenced, closed, more):
        self.write(Text(text))
        self.begin_a_line()
        before, after = ("\n```json\n", "\n```\n") if fenced else ("\n", "\n")
        body = body_of(name, arguments, style)
        self.write(Call(OPEN + before, body, (after + CLOSE) * closed, ((name, arguments),)))
        self.write(Text(more))

    @rule(made=st.lists(st.tuples(NAMES, ARGUMENTS), min_size=1, max_size=2))
    def calls_tools_in_a_list(self, made):
        self.begin_a_line()
        body = "[" + ", ".join(body_of(*one, "close") for one in made) + "]"
        self.write(Call(OPEN, body, CLOSE, tuple(made)))

    @rule(
        body=st.sampled_from(
            ["oops", "", '{"name": 1}', '{"name": "f", "arguments": {"a": 1', "{]"]
        )
    )
    def breaks_a_call(self, body):
        self.begin_a_line()
        self.write(Call(OPEN, body, CLOSE, ()))

    @rule(
        text=st.just("") | TEXTS,
        name=NAMES,
        arguments=st.dictionaries(
            st.sampled_from(["a", "name", "}"]),
            st.sampled_from(["", "x", OPEN, CLOSE, "<tool_", '}}"', "\\", "\n", "</b", "🙂"]),
            max_size=2,
        ),
        opened=st.booleans(),
        closed=st.booleans(),
        more=st.just("") | TEXTS,
    )
    def calls_a_tool_in_xml(self, text, name, arguments, opened, closed, more):
        self.write(Text(text))
        self.begin_a_line()
        written = (
            f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items()
        )
        body = f"<function={name}>\n{''.join(written)}</function>"
        before, after = (OPEN + "\n") * opened, ("\n" + CLOSE) * closed
        cut_off = CUT_OFF if opened else len("<function=")
        self.write(Call(before, body, after, ((name, arguments),), cut_off))
        self.write(Text(more))

    @rule(text=st.sampled_from(["Use `<tool_call>`. ", "`</tool_call>` ", "a `<function=f>` b"]))
    def names_a_tag(self, text):
        self.write(Text("See "))
        self.write(Text(text))

    def begin_a_line(self):
        if self.answer and not self.answer.endswith(("\n", CLOSE)):
            self.write(Text("\n"))

    def write(self, part):
        self.parts.append(part)
        self.answer += part.written

    # What a Space does

    @rule(size=st.integers(1, 15))
    def sends_some(self, size):
        self.send(self.answer[self.delivered : self.delivered + size])

    @rule()
    def sends_all(self):
        self.send(self.answer[self.delivered :])

    def send(self, fragment):
        self.delivered += len(fragment)
        self.pieces += self.parser.feed(fragment)

    # What it means, up to any place

    def meaning(self, end):
        """The text, the valid calls, and how many broken ones of an answer that ends at `end`."""
        texts, calls, broken, is_closed = [""], [], 0, True
        for part in self.parts:
            written = part.written[:end]
            end -= len(written)
            if isinstance(part, Text) or len(written) < part.cut_off:
                texts[-1] += written
            else:
                if len(written) < len(part.before + part.body) or not part.calls:
                    broken += 1
                else:
                    calls += part.calls
                texts[-1] = texts[-1].removesuffix("\n")
                texts.append("")
                is_closed = bool(part.after)
            if not end:
                break
        if not is_closed and any(tag.startswith(texts[-1].lstrip()) for tag in (OPEN, CLOSE)):
            texts.pop()  # a closing tag that was cut off is more likely than a text
        text = texts[0]
        for later in texts[1:]:
            if later.strip():
                text += later if text else later.lstrip()
        return text, calls, broken

    # What must hold after each step

    @invariant()
    def text_is_handed_out_in_order_and_all_but_what_may_become_a_tag(self):
        given = self.text_given()
        text, _, _ = self.meaning(self.delivered)
        assert text.startswith(given)
        # A tag is held back until it is clear whether it is one, `<function=f>` up to its end.
        assert len(text[len(given) :].strip()) <= len(CLOSE)

    @invariant()
    def no_call_is_counted_that_was_not_begun(self):
        _, calls, broken = self.meaning(self.delivered)
        assert self.parser.calls <= len(calls) + broken

    def text_given(self):
        return (
            "".join(piece for piece in self.pieces if isinstance(piece, str)) + self.parser.withheld
        )

    def teardown(self):
        if hasattr(self, "parts"):
            if not self.cut_off:
                self.sends_all()
            self.pieces += self.parser.finish()
            text, calls, broken = self.meaning(self.delivered)
            assert self.text_given() == text
            message = add_up(self.pieces)
            assert [(call["name"], call["args"]) for call in message.tool_calls] == calls
            assert len(message.invalid_tool_calls) == broken


TestAnswer = Answer.TestCase
TestAnswer.settings = settings(max_examples=150, stateful_step_count=12, deadline=None)
