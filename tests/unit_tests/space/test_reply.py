import copy
import logging
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_space.errors import ProtocolError
from langchain_qwen_space.space.chat.chatbot import Form, form_of
from langchain_qwen_space.space.chat.reply import Reply, Thought
from tests import replay
from tests.unit_tests.space.gradio_wire import Chat, Said, edits

NO_LIMIT = 1 << 30


def reply_for(form=Form.MESSAGES, turns=0, query="q", *, whole=False, max_chars=NO_LIMIT):
    return Reply(form, turns, query, whole=whole, max_chars=max_chars)


def messages(*texts, query="q"):
    """A value in the messages form: the question, then one message for each text."""
    roles = [{"role": "assistant", "content": text} for text in texts]
    return [{"role": "user", "content": query}, *roles]


ANSWERED = [case for case in replay.streamed_cases() if replay.load(*case).reply is not None]


@pytest.mark.parametrize(("folder", "name"), ANSWERED)
def test_a_recorded_call_gives_its_answer(folder, name):
    case, config = replay.load(folder, name), replay.config(folder)
    chatbot = next(item for item in config["components"] if "chatbot" in item["type"])
    release = tuple(map(int, config["version"].split(".")))
    form = form_of(chatbot["type"], chatbot["props"].get("type"), release)
    query, history = case.data[:2]
    turns = len(history) if form is Form.PAIRS else len(history) // 2
    reply = reply_for(form, turns, query)
    for event in case.events():
        if event["msg"] == "process_generating":
            reply.generating(event["output"]["data"][1])
        elif event["msg"] == "process_completed":
            reply.completed(event["output"]["data"][1])
    assert reply.answer.text == case.reply


def test_an_append_is_handed_out_as_it_came():
    reply = reply_for()
    assert reply.generating(messages("a")) == ["a"]
    assert reply.generating([["append", [1, "content"], " b"]]) == [" b"]
    assert reply.generating([["append", [1, "content"], ""]]) == []
    assert reply.generating([]) == []
    assert reply.generating(None) == []
    assert reply.generating([["append", [1, "content"], ""]]) == []
    assert reply.completed(messages("a b")) == []
    assert reply.answer.text == "a b"
    assert not reply.revised


def test_edits_of_one_event_are_handed_out_as_one():
    reply = reply_for()
    reply.generating(messages("a"))
    changes = [
        ["append", [1, "content"], "b"],
        ["add", [1, "metadata"], None],
        ["append", [1, "content"], "c"],
    ]
    assert reply.generating(changes) == ["bc"]


def test_edits_find_what_was_appended_before_them():
    reply = reply_for()
    reply.generating(messages("a"))
    reply.generating([["append", [1, "content"], "b"]])
    assert reply.generating([["add", [2], messages("c")[1]]]) == ["\n\nc"]
    assert reply.generating([["append", [2, "content"], "d"]]) == ["d"]
    assert reply.answer.text == "ab\n\ncd"


def test_a_message_that_begins_empty_is_set_apart_when_it_speaks():
    reply = reply_for()
    reply.generating(messages("a"))
    assert reply.generating([["add", [2], messages("")[1]]]) == []
    assert reply.generating([["append", [2, "content"], "b"]]) == ["\n\nb"]
    assert not reply.revised


def test_a_placeholder_that_is_replaced_is_a_revision():
    reply = reply_for()
    assert reply.generating(messages("Thinking...")) == ["Thinking..."]
    assert reply.generating([["replace", [1, "content"], "Four."]]) == ["Four."]
    assert reply.generating([["append", [1, "content"], " Yes."]]) == [" Yes."]
    assert reply.revised
    assert reply.answer.text == "Four. Yes."


def test_a_text_that_was_taken_back_and_comes_again_is_not_repeated():
    reply = reply_for()
    reply.generating(messages("one two"))
    assert reply.generating([["replace", [1, "content"], "one"]]) == []
    assert reply.answer.text == "one"
    for piece, fragment in [(" ", []), ("tw", []), ("o th", [" th"]), ("ree", ["ree"])]:
        assert reply.generating([["append", [1, "content"], piece]]) == fragment
    assert reply.answer.text == "one two three"


def test_a_reply_of_a_chat_interface_may_be_taken_back_too():
    reply = reply_for(Form.REPLY)
    assert reply.generating("one two") == ["one two"]
    assert reply.generating([["replace", [], "one"]]) == []
    assert reply.generating([["append", [], " three"]]) == [" three"]
    assert reply.generating([["append", [], "!"]]) == ["!"]
    assert reply.completed("one three!") == []


def test_a_final_text_that_contradicts_the_stream_is_the_text():
    reply = reply_for()
    reply.generating(messages("one two"))
    assert reply.completed(messages("one three")) == [" three"]
    assert reply.answer.text == "one three"
    assert reply.revised


@pytest.mark.parametrize("before", [[], [["q0", "a0"]]])
def test_a_function_that_leaves_the_conversation_as_it_was_is_followed_by_one_that_answers(before):
    reply = Reply(Form.PAIRS, len(before), "q", whole=False, max_chars=10_000, shown_before=before)
    assert reply.completed(before, last=False) == []
    reply.next_step()
    assert reply.completed([*before, ["q", "a"]]) == ["a"]


ASKED_BEFORE = [("Hi", "Hello")]


@pytest.mark.parametrize("form", [Form.PAIRS, Form.MESSAGES, Form.PARTS])
@pytest.mark.parametrize("whole", [True, False])
class TestTheSameAnswerAgain:
    """A question that was asked before, in a chatbot that ends as it was."""

    @staticmethod
    def reply(form, *, turns, whole, kept):
        before = form.write(ASKED_BEFORE * kept)
        reply = Reply(form, turns, "Hi", whole=whole, max_chars=NO_LIMIT, shown_before=before)
        return reply, before

    @staticmethod
    def take(reply, values, *, whole):
        """The text that is handed out where an app shows these values."""
        known, said = None, []
        for value in values:
            output = value if whole or known is None else edits(known, value, shifted=True)
            said += reply.generating(copy.deepcopy(output))
            known = value
        return "".join(said)

    @pytest.mark.parametrize(("turns", "kept"), [(1, 1), (2, 2), (2, 1), (0, 1)])
    @pytest.mark.parametrize("begun", [True, False])
    @pytest.mark.parametrize("steps", [1, 2])
    def test_it_is_whole_where_it_was_streamed(self, form, whole, turns, kept, begun, steps):
        reply, before = self.reply(form, turns=turns, whole=whole, kept=kept)
        kept_turns = form.write(ASKED_BEFORE * (kept - 1))
        first = [before, [*kept_turns, *Chat(form, [], "Hi").value()]] if begun else []
        texts = ["He", "Hel", "Hello"]
        grown = [[*kept_turns, *Chat(form, [], "Hi", [Said(text)]).value()] for text in texts]
        said = self.take(reply, first + grown, whole=whole)
        assert said == "Hello"
        for step in range(steps):
            assert reply.completed(before, last=step == steps - 1) == []
            reply.next_step()
        assert reply.answer.text == "Hello"
        assert reply.answered
        assert not reply.revised

    @pytest.mark.parametrize(("turns", "kept"), [(1, 1), (2, 2), (0, 1)])
    @pytest.mark.parametrize("begun", [True, False])
    def test_it_comes_at_the_end_where_nothing_else_was_shown(
        self, form, whole, turns, kept, begun
    ):
        reply, before = self.reply(form, turns=turns, whole=whole, kept=kept)
        asked = [*before, *Chat(form, [], "Hi").value()]
        assert self.take(reply, [before, asked] if begun else [], whole=whole) == ""
        assert reply.completed(before, last=False) == []
        reply.next_step()
        assert reply.generating(copy.deepcopy(before)) == []
        assert reply.completed(before) == ["Hello"]
        assert reply.answered

    def test_it_is_none_where_the_app_shows_a_notice_instead(self, form, whole):
        reply, before = self.reply(form, turns=1, whole=whole, kept=1)
        with pytest.raises(ProtocolError, match="does not hold the question"):
            reply.completed(before, noticed=True)

    def test_it_stands_beside_a_notice_where_it_was_streamed(self, form, whole):
        reply, before = self.reply(form, turns=1, whole=whole, kept=1)
        assert self.take(reply, [Chat(form, [], "Hi", [Said("Hel")]).value()], whole=whole) == "Hel"
        assert reply.completed(before, noticed=True) == ["lo"]

    def test_the_older_one_is_not_handed_out_before_the_new_one(self, form, whole):
        reply, before = self.reply(form, turns=1, whole=whole, kept=1)
        assert reply.completed(before, last=False) == []
        reply.next_step()
        new = Chat(form, ASKED_BEFORE, "Hi", [Said("Again?")]).value()
        assert self.take(reply, [before, before, new], whole=whole) == "Again?"
        assert reply.completed(new) == []


def test_the_end_without_a_value_changes_nothing():
    reply = reply_for()
    reply.generating(messages("a"))
    reply.generating([["append", [1, "content"], "b"]])
    for nothing in (None, {"__type__": "update"}, {"__type__": "update", "value": None}):
        assert reply.completed(nothing) == []
        assert reply.answer.text == "ab"


def test_a_call_that_says_nothing_has_an_empty_answer():
    reply = reply_for()
    assert reply.completed(None) == []
    assert reply.answer.text == ""


def test_whole_values_are_read_on_the_first_protocol():
    reply = reply_for(whole=True)
    values = [None, messages(), messages("a"), messages("a b"), messages("a b c")]
    assert [reply.generating(value) for value in values] == [[], [], ["a"], [" b"], [" c"]]
    assert not reply.revised
    assert reply.generating([]) == []


def test_edits_act_on_an_update_of_the_component():
    reply = reply_for()
    assert reply.generating({"__type__": "update", "visible": True}) == []
    assert reply.generating([["add", ["value"], messages("a")]]) == ["a"]
    assert reply.generating([["append", ["value", 1, "content"], "b"]]) == ["b"]
    assert reply.generating([["delete", ["value"], None]]) == []
    assert reply.generating([["replace", [], messages("ab", "c")]]) == ["\n\nc"]


def test_nothing_is_appended_to_a_value_that_is_gone():
    reply = reply_for()
    reply.generating(messages("a"))
    assert reply.generating([["replace", [], None]]) == []
    assert reply.generating([["append", [1, "content"], "b"]]) == []
    assert reply.generating([["replace", [], messages("c")]]) == []
    assert reply.completed(messages("a c")) == [" c"]


@pytest.mark.parametrize("indices", [[2, 3, 4], [2, 2, 2], [4, 3, 2], [0, -9, 99]])
def test_deletes_cut_the_end_off_a_list_whatever_their_indices(indices):
    reply = reply_for()
    reply.generating(messages("a", "b", "c", "d"))
    assert reply.answer.text == "a\n\nb\n\nc\n\nd"
    assert reply.generating([["delete", [index], None] for index in indices]) == []
    assert reply.answer.text == "a"


def test_deletes_in_two_lists_cut_the_end_off_each():
    reply = reply_for(Form.PARTS)
    chat = Chat(Form.PARTS, [], "q", [Said("a"), Said("b")])
    value = chat.value()
    value[1]["content"] += [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]
    reply.generating(value)
    assert reply.answer.text == "axy\n\nb"
    # As since Gradio 5.29.1: what the inner list had shifted, the outer one shifts again.
    reply.generating(
        [
            ["delete", [1, "content", 1], None],
            ["delete", [1, "content", 0], None],
            ["delete", [0], None],
        ]
    )
    assert reply.answer.text == "a"


def test_thoughts_are_distinguished_from_the_answer():
    reply = reply_for()
    thought = {"role": "assistant", "content": "hm", "metadata": {"title": "Thinking"}}
    assert reply.generating([*messages(), thought]) == [Thought("hm")]
    assert reply.generating([["append", [1, "content"], "m"]]) == [Thought("m")]
    both = [["append", [1, "content"], "!"], ["add", [2], messages("Four")[1]]]
    assert reply.generating(both) == [Thought("!"), "Four"]
    assert reply.generating([["append", [2, "content"], "."]]) == ["."]
    assert reply.answer.text == "Four."
    assert reply.completed(messages("Four.")) == []  # a thought that is cleared away was thought
    assert reply.thoughts.text == "hmm!"


MALFORMED = [
    [["append", [7, "content"], "x"]],
    [["append", [1, "nothing"], "x"]],
    [["append", [1, "content", "text"], "x"]],
    [["append", [1], "x"]],
    [["append", [1, "content"], 3]],
    [["append", [1, "content"], None]],
    [["append", None, "x"]],
    [["append", [[]], "x"]],
    [["append", [{}], "x"]],
    [["replace", ["x"], "x"]],
    [["replace", [1, "content", 0], "x"]],
    [["replace", [], "x"]],
    [["replace", [], [["x"]]]],
    [["delete", [], None]],
    [["delete", [1, "nothing"], None]],
    [["delete", [1, "content", 0], None]],
    [["delete", [0], None]] * 3,
    [["add", [1, "content", 0], "x"]],
    [["move", [1], "x"]],
    [["move", [], "x"]],
    [["append", [1, "content"]]],
    ["x"],
    [None],
    "x",
    7,
    {"x": 1},
]


@pytest.mark.parametrize("output", MALFORMED, ids=str)
def test_an_edit_that_cannot_be_made_leaves_the_text_to_the_end(output, caplog):
    reply = reply_for()
    reply.generating(messages("a"))
    with caplog.at_level(logging.WARNING):
        assert reply.generating(copy.deepcopy(output)) == []
    assert "cannot be read" in caplog.text
    assert reply.generating([["append", [1, "content"], "b"]]) == []
    assert reply.completed(messages("abc")) == ["bc"]
    assert not reply.revised


@pytest.mark.parametrize("value", ["x", 7, {"x": 1}, ["x"], [["x"]], [None], True])
@pytest.mark.parametrize("whole", [True, False])
def test_a_value_of_another_form_leaves_the_text_to_the_end(value, whole):
    reply = reply_for(whole=whole)
    assert reply.generating(value) == []
    assert reply.completed(messages("abc")) == ["abc"]


@pytest.mark.parametrize("value", ["x", 7, {"x": 1}, ["x"], [["x"]], [None], True])
def test_a_final_value_of_another_form_is_an_error_with_what_came(value):
    reply = reply_for()
    reply.generating(messages("abc"))
    with pytest.raises(ProtocolError, match="not the form that the Space's /config") as caught:
        reply.completed(value)
    assert caught.value.partial == "abc"
    assert not caught.value.is_retryable


def test_a_final_value_without_the_question_is_an_error_where_nothing_came():
    earlier = messages("an older answer", query="an older question")
    for turns, value in [(1, earlier), (0, []), (1, [])]:
        reply = reply_for(turns=turns)
        assert reply.generating(copy.deepcopy(value)) == []
        with pytest.raises(ProtocolError, match="does not hold the question"):
            reply.completed(value)


def test_a_chat_that_is_cleared_at_its_end_keeps_the_answer():
    reply = reply_for()
    reply.generating(messages("abc"))
    assert reply.completed([]) == []
    assert reply.answer.text == "abc"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "content", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "value", "__type__"]), inner)
    ),
    max_leaves=6,
)
PATHS = st.lists(st.sampled_from([0, 1, 2, -1, "content", "text", "value"]), max_size=4)
EDITS = st.lists(
    st.tuples(st.sampled_from(["append", "replace", "add", "delete"]), PATHS | JSON, JSON).map(list)
    | JSON,
    max_size=3,
)


@given(st.sampled_from(Form), st.booleans(), JSON, st.lists(EDITS | JSON, max_size=5), JSON)
def test_whatever_comes_is_read_or_refused(form, rich, first, events, last):
    chat = Chat(form, [("q1", "a1")], "q", [Said("a"), Said("b")])
    reply = reply_for(form, 1)
    for output in [first or chat.value(rich=rich), *events]:
        fragments = reply.generating(output)
        assert all(isinstance(item, str | Thought) for item in fragments)
    with suppress(ProtocolError):
        reply.completed(last)


def nested(depth, leaf="x"):
    value = leaf
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [20, 300, 1000])
def test_a_value_that_is_nested_without_end_is_refused(depth):
    # A JSON reader takes about a thousand levels, and edits may add more below them.
    for value in ([*messages(), {"role": "assistant", "content": nested(depth)}], nested(depth)):
        reply = reply_for()
        assert reply.generating(value) == []
        with pytest.raises(ProtocolError):
            reply.completed(value)


def test_edits_that_nest_deeper_and_deeper_are_refused():
    reply = reply_for(max_chars=100_000)
    reply.generating([*messages("a"), {"role": "assistant", "content": "", "options": []}])
    path = [2, "options", 0]
    for _ in range(40):
        reply.generating([["add", list(path), nested(100, [])]])
        path += [0] * 100
    reply.generating([["append", [1, "content"], "x" * 100_000]])
    with pytest.raises(ProtocolError):
        reply.completed([nested(2000)])


def repeat(reply, edit, times):
    for _ in range(times):
        reply.generating([copy.deepcopy(edit)])


class TestSize:
    """How much of an answer is taken."""

    def test_an_answer_may_grow_to_the_limit_and_no_further(self):
        reply = reply_for(max_chars=1000)
        room = 1000 - len('[{"role":"user","content":"q"},{"role":"assistant","content":""}]')
        reply.generating(messages(""))
        for _ in range(room):
            assert reply.generating([["append", [1, "content"], "x"]]) == ["x"]
        with pytest.raises(ProtocolError, match=r"1,000 characters.*max_reply_bytes") as caught:
            reply.generating([["append", [1, "content"], "x"]])
        assert caught.value.partial == "x" * (room + 1)
        assert not caught.value.is_retryable

    @pytest.mark.parametrize(
        "edit",
        [
            ["append", [1, "content"], "x" * 99],
            ["append", [0, "content"], "x" * 99],
            ["append", [2, "content"], "x" * 99],
            ["add", [3], {"role": "system", "content": "x" * 99}],
            ["add", [0], None],
        ],
    )
    def test_nothing_grows_without_end(self, edit):
        reply = reply_for(max_chars=5_000)
        thought = {"role": "assistant", "content": "hm", "metadata": {"title": "Thinking"}}
        reply.generating([*messages("a"), thought])
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="5,000 characters"):
                repeat(reply, edit, 5_000)
            assert tracemalloc.get_traced_memory()[0] < 40 * 5_000
        finally:
            tracemalloc.stop()

    def test_a_text_that_is_replaced_again_and_again_is_as_large_as_it_is(self):
        reply = reply_for(max_chars=1000)
        reply.generating(messages(""))
        for length in range(600):
            reply.generating([["replace", [1, "content"], "x" * length + "▌"]])
        assert reply.completed(messages("x" * 600)) == ["x"]

    def test_whole_values_are_not_added_up(self):
        reply = reply_for(whole=True, max_chars=1000)
        for length in range(600):
            reply.generating(messages("x" * length))
        assert reply.answer.text == "x" * 599


def cpu_seconds_for_appends(count):
    reply = reply_for()
    reply.generating(messages("x"))
    event = [["append", [1, "content"], "some words "]]
    start = time.process_time()
    for _ in range(count):
        reply.generating(event)
    return time.process_time() - start


def test_an_append_costs_the_same_however_long_the_text_is():
    few = min(cpu_seconds_for_appends(2_000) for _ in range(3))
    many = min(cpu_seconds_for_appends(20_000) for _ in range(2))
    assert many < 10 * few * 3
