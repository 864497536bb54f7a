import copy
import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_space.space.chat.chatbot import Form, Segment, form_of, greeting, join
from tests import replay
from tests.unit_tests.space.gradio_wire import Chat, Said

HISTORY = [("first question", "first answer"), ("second question", "second answer")]
CHATBOTS = [Form.PAIRS, Form.MESSAGES, Form.PARTS]
FORMS = {
    "gradio-4.44.1-chatbot-tuples": Form.PAIRS,
    "gradio-4.44.1-modelscope-chatbot": Form.PAIRS,
    "gradio-5.50.0-chatbot-messages": Form.MESSAGES,
    "gradio-5.50.0-chatbot-tuples": Form.PAIRS,
    "gradio-6.31.0-chatbot-messages": Form.PARTS,
}


def read(form, value, turns=0, query="q"):
    """The answer's text in a value, or None."""
    segments = form.read(value, turns, query)
    return None if segments is None else join(segments)


def at(value, path):
    for key in path:
        value = value[key]
    return value


def test_every_recorded_form_is_known():
    assert set(FORMS) == set(replay.FOLDERS)


@pytest.mark.parametrize("folder", FORMS)
def test_the_form_of_a_recorded_chatbot_is_detected_from_its_component(folder):
    config = replay.config(folder)
    chatbot = next(item for item in config["components"] if "chatbot" in item["type"])
    release = tuple(map(int, config["version"].split(".")))
    assert form_of(chatbot["type"], chatbot["props"].get("type"), release) is FORMS[folder]


@pytest.mark.parametrize("folder", FORMS)
def test_a_history_is_written_as_it_was_recorded(folder):
    sent = replay.load(folder, "history").data[1]
    assert FORMS[folder].write(HISTORY) == sent
    assert FORMS[folder].write([]) == []


def test_a_studio_chatbot_shows_files_and_text_as_parts_of_one_message():
    history = [("What is it?", "Red."), ("", "Blue.")]
    files = [["one.png", "two.png"], [], ["three.png"], []]
    shown = Form.MESSAGES.write(history, files, studio=True)
    assert [message["content"] for message in shown] == [
        [
            {"type": "file", "content": ["one.png", "two.png"]},
            {"type": "text", "content": "What is it?"},
        ],
        "Red.",
        [{"type": "file", "content": ["three.png"]}],
        "Blue.",
    ]


@pytest.mark.parametrize("name", ["plain", "history", "code", "tool_call", "empty"])
@pytest.mark.parametrize("folder", FORMS)
def test_the_recorded_value_at_the_end_holds_the_answer_at_its_path(folder, name):
    case = replay.load(folder, name)
    turns = 2 if name == "history" else 0
    (end,) = [event for event in case.events() if event["msg"] == "process_completed"]
    value = end["output"]["data"][1]
    (segment,) = FORMS[folder].read(value, turns, case.data[0])
    assert segment.text == case.reply == at(value, segment.path)
    assert not segment.thought


@pytest.mark.parametrize(
    ("kind", "props_type", "version", "form"),
    [
        ("modelscopechatbot", None, (4, 44, 1), Form.PAIRS),
        ("modelscopechatbot", "messages", (6, 0, 0), Form.PAIRS),
        ("chatbot", None, (4, 9, 0), Form.PAIRS),
        ("chatbot", "tuples", (4, 44, 1), Form.PAIRS),
        ("chatbot", "messages", (4, 44, 1), Form.MESSAGES),
        ("chatbot", "tuples", (5, 50, 0), Form.PAIRS),
        ("chatbot", "messages", (5, 50, 0), Form.MESSAGES),
        ("chatbot", None, (5, 0), Form.PAIRS),
        ("chatbot", None, (6, 31, 0), Form.PARTS),
        ("chatbot", "messages", (6, 0, 0), Form.PARTS),
        ("chatbot", "tuples", (6, 0, 0), Form.PAIRS),
        ("chatbot", ["messages"], (5, 0), Form.PAIRS),
        ("chatbot", None, (0,), Form.PAIRS),
    ],
)
def test_forms_by_component_and_release(kind, props_type, version, form):
    assert form_of(kind, props_type, version) is form


TURNS = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=3)
TEXTS = st.lists(st.text("ab \n", max_size=4), min_size=1, max_size=3)


@given(st.sampled_from(CHATBOTS), st.booleans(), TURNS, st.text(max_size=4), TEXTS)
def test_an_answer_is_read_out_of_any_conversation(form, rich, history, query, texts):
    chat = Chat(form, history, query, [Said(text) for text in texts])
    value = chat.value(rich=rich)
    segments = form.read(value, len(history), query)
    assert [segment.text for segment in segments] == texts
    assert [at(value, segment.path) for segment in segments] == texts
    assert len({segment.message for segment in segments}) == len(texts)


@pytest.mark.parametrize("form", CHATBOTS)
@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_value_that_does_not_hold_the_question_yet_has_no_answer(form, turns):
    assert read(form, form.write(HISTORY[:turns]), turns) is None


@pytest.mark.parametrize("form", CHATBOTS)
def test_a_question_that_was_asked_before_is_not_answered_by_the_older_answer(form):
    history = [("continue", "one"), ("continue", "two")]
    sent = form.write(history)
    shown = form.shown(sent)

    def read_shown(value):
        segments = form.read(value, 2, "continue", shown, growing=True)
        return segments if segments is None else join(segments)

    assert read_shown(sent) is None
    assert read_shown(Chat(form, history, "continue").value(rich=True)) == ""
    assert read_shown(Chat(form, history, "continue", [Said("two")]).value()) == "two"
    trimmed = Chat(form, history[1:], "continue", [Said("two")]).value()
    assert read_shown(trimmed) == "two"


@pytest.mark.parametrize("form", CHATBOTS)
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_history_that_the_app_trims_does_not_hide_the_answer(form, kept):
    value = Chat(form, HISTORY[2 - kept :], " q", [Said("new")]).value()
    assert read(form, value, 2, "q\n") == "new"


@pytest.mark.parametrize("form", CHATBOTS)
def test_a_question_that_the_app_rewrites_is_found_by_its_place(form):
    value = Chat(form, HISTORY, "Q, please", [Said("new")]).value()
    assert read(form, value, 2) == "new"
    assert read(form, value, 3) is None


@pytest.mark.parametrize("form", CHATBOTS)
def test_a_question_without_an_answer_yet_has_an_empty_one(form):
    assert read(form, Chat(form, HISTORY, "q").value(), 2) == ""


def test_a_turn_whose_answer_is_null_does_not_hide_the_question():
    assert read(Form.PAIRS, [["q1", None], ["q", "a"]], turns=1) == "a"
    messages = [{"role": role, "content": text} for role, text in [("user", "q1"), ("user", "q")]]
    assert read(Form.MESSAGES, [*messages, {"role": "assistant", "content": "a"}], turns=1) == "a"


def test_a_question_in_several_messages_is_one_question():
    user = [{"role": "user", "content": text} for text in ("a picture ", "and a question")]
    file = {"role": "user", "content": {"file": {"path": "a.png"}}}
    answer = {"role": "assistant", "content": "a"}
    for value in ([*user, answer], [file, *user, answer], [*user, file, answer]):
        assert read(Form.MESSAGES, value, 0) == "a"
        assert read(Form.MESSAGES, value, 1, "a picture and a question") == "a"
        assert read(Form.MESSAGES, value, 1, "another question") is None
    assert read(Form.PAIRS, [[["a picture ", "and a question"], "a"]], 1, "and a question") == "a"


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (None, 0),
        ([], 0),
        (["text"], 0),
        ([[None, "Hi."], [None, "Ask."], ["q", "a"], [None, "b"]], 2),
        ([["q", "a"]], 0),
        ([{"role": "system", "content": "s"}, {"role": "assistant", "content": "Hi."}], 2),
        ([{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "q"}], 1),
    ],
)
def test_a_greeting_is_what_stands_before_the_first_question(value, count):
    assert greeting(value) == (value or [])[:count]


def said(*texts):
    """A conversation that begins with the assistant's text; None is no text."""
    roles = ("assistant", "user") * len(texts)
    return [
        {"role": role, "content": text}
        for role, text in zip(roles, texts, strict=False)
        if text is not None
    ]


@pytest.mark.parametrize(
    ("before", "value", "answer"),
    [
        ([], said("new"), "new"),
        ([], [], None),
        (said("Hi."), said("new"), "new"),
        (said("Hi."), said("Hi."), None),
        (said("Hi."), [*said("Hi."), *said("new")], "new"),
    ],
)
def test_an_answer_whose_question_the_app_does_not_show_follows_the_greeting(before, value, answer):
    segments = Form.MESSAGES.read(value, 0, "q", Form.MESSAGES.shown(before))
    assert (None if segments is None else join(segments)) == answer


@pytest.mark.parametrize("shown", [None, ""])
def test_a_pair_without_a_question_is_an_answer(shown):
    assert read(Form.PAIRS, [[shown, "new"]]) == "new"
    assert read(Form.PAIRS, [["first", "a"], ["", "b"]], 1, "") == "b"


@pytest.mark.parametrize("form", [Form.PAIRS, Form.MESSAGES])
def test_the_newest_turn_may_stand_on_top(form):
    before = form.shown(form.write(HISTORY))
    value = form.write([("q", "new"), *HISTORY[::-1]])
    assert join(form.read(value, 2, "q", before)) == "new"
    # A question that was asked before and is shown in other words now is not the one on top.
    value = form.write([("q", "old"), HISTORY[1], ("You: q", "new")])
    before = form.shown(form.write([("q", "old"), HISTORY[1]]))
    assert join(form.read(value, 2, "q", before)) == "new"


@pytest.mark.parametrize("form", [Form.PAIRS, Form.MESSAGES])
def test_the_newest_turn_on_top_of_the_others_as_they_were_sent(form):
    before = form.shown(form.write(HISTORY))
    value = form.write([("q", "new"), *HISTORY])
    assert join(form.read(value, 2, "q", before)) == "new"
    assert form.is_newest_first(value, 2, "q", before)
    for turns in ([*HISTORY, ("q", "new")], [("q", "new"), *HISTORY[::-1]], HISTORY):
        assert not form.is_newest_first(form.write(turns), 2, "q", before)


def test_a_greeting_and_a_system_message_are_no_answer():
    answer = {"role": "assistant", "content": "a"}
    system, greeting = {"role": "system", "content": "s"}, {"role": "assistant", "content": "Hi"}
    user = {"role": "user", "content": "q"}
    assert read(Form.MESSAGES, [system, greeting, user, answer]) == "a"
    assert read(Form.MESSAGES, [user, system, answer]) == "a"
    assert read(Form.PAIRS, [[None, "Hi"], ["q", "a"]]) == "a"
    greeted = [[None, "Hi"]]
    assert Form.PAIRS.read(greeted, 0, "q", Form.PAIRS.shown(greeted)) is None


@pytest.mark.parametrize(
    ("side", "text"),
    [
        ("a", "a"),
        (None, ""),
        ({"text": "a", "files": None}, "a"),
        ({"type": "text", "text": "a"}, "a"),
        ({"type": "html", "text": "a"}, ""),
        ({"file": {"path": "a.csv"}, "alt_text": "a file"}, ""),
        ([{"text": "a"}, None, {"text": ""}, {"text": "b"}], "a\n\nb"),
        (["a", ["b", {"text": "c"}]], "a\n\nbc"),
        ({"component": "image", "value": "a"}, ""),
        (7, ""),
    ],
)
def test_sides_of_a_pair(side, text):
    assert read(Form.PAIRS, [["q", side]]) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "text", "text": ""}, {"type": "text", "text": "b"}], "b"),
        ([{"type": "text", "text": "a"}, {"type": "file", "file": {"path": "x"}}], "a"),
        ({"file": {"path": "a.csv"}}, ""),
        ({"path": "a.csv"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_contents_of_a_message(content, text):
    value = [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]
    for form in (Form.MESSAGES, Form.PARTS):
        assert read(form, value) == text


def test_messages_stand_a_blank_line_apart_and_empty_ones_nowhere():
    def said(text, message):
        return Segment([], text, message, thought=False)

    assert join([]) == ""
    assert join([said("", 1), said("a", 2), said("", 3), said("b", 4), said("c", 4)]) == "a\n\nbc"
    assert join([said("a", 1), said("", 2), said("b", 2)]) == "a\n\nb"


def test_a_message_with_a_title_is_a_thought():
    titled = {"title": "Thinking", "status": "done"}
    cases = [(titled, True), ({"title": ""}, False), ({}, False), (None, False), ("x", False)]
    for metadata, thought in cases:
        message = {"role": "assistant", "content": ["a"], "metadata": metadata}
        value = [{"role": "user", "content": "q"}, message]
        assert [item.thought for item in Form.PARTS.read(value, 0, "q")] == [thought]
        assert [item.thought for item in Form.REPLY.read([message], 0, "q")] == [thought]


@pytest.mark.parametrize(
    ("value", "text", "paths"),
    [
        ("a", "a", [[]]),
        ({"role": "assistant", "content": "a"}, "a", [["content"]]),
        ({"text": "a", "files": []}, "a", [["text"]]),
        (["a", {"content": "b"}], "a\n\nb", [[0], [1, "content"]]),
        ([], "", []),
        (7, "", []),
    ],
)
def test_the_reply_of_a_chat_interface(value, text, paths):
    segments = Form.REPLY.read(value, 3, "anything")
    assert join(segments) == text
    assert [segment.path for segment in segments] == paths


@pytest.mark.parametrize("form", CHATBOTS)
@pytest.mark.parametrize("value", ["x", 7, {"x": 1}, True, ["x"], [7], [{}], [{"role": 1}], [None]])
def test_a_value_of_no_form_is_refused(form, value):
    with pytest.raises(ValueError):
        form.read(value, 0, "q")


@pytest.mark.parametrize("form", list(Form))
def test_reading_changes_nothing(form):
    value = Chat(form, HISTORY, "q", [Said("a"), Said("b")]).value(rich=True)
    before = copy.deepcopy(value)
    form.read(value, 2, "q")
    assert value == before


QUESTION = "What does a panda eat?"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"User: {QUESTION}\nAssistant: Bamboo.", "Bamboo."),
        (f"Bot: Hello!\n\n**You:** {QUESTION}\n\n**Bot:** Bamboo.", "Bamboo."),
        (f"\U0001f9d1 You: {QUESTION}\n\U0001f916 Bot: Bamboo.", "Bamboo."),
        (f"You:\n{QUESTION}\n\nZookeeper: Bamboo.", "Zookeeper: Bamboo."),
        (f"### You\n{QUESTION}\n\n### Bot\nBamboo.", "Bamboo."),
        (f"用户：{QUESTION}\n助手：竹子。", "竹子。"),
        (f"### 👤 You:\n{QUESTION}\n\n### 🤖 Qwen:\nBamboo.", "Bamboo."),
        (f"---\n**👤 User**\n\n{QUESTION}\n\n**🤖 Assistant**\n\nBamboo.", "Bamboo."),
        (f"> {QUESTION}\n\nBamboo.", "Bamboo."),
        (f"\U0001f9d1 {QUESTION}\n\nBamboo.", "Bamboo."),
        (f"<p><b>user:</b> {QUESTION}</p><p><b>assistant:</b> Bamboo.</p>", "<p>Bamboo.</p>"),
        (f"<p>You: {QUESTION}</p>\n<p>AI: Bamboo.</p>", "<p>Bamboo.</p>"),
        (f"<b>You</b>: {QUESTION}<br><b>Bot</b>: Bamboo.<br>", "Bamboo.<br>"),
        (f"<div class='me'>{QUESTION}</div>\n<div>Bamboo.</div>", "<div>Bamboo.</div>"),
        (
            f"<p><b>Bot:</b> Hello!</p><p><b>You:</b> {QUESTION}</p><p>Bamboo.</p>",
            "<p>Bamboo.</p>",
        ),
        (f"In HTML:\n<title>{QUESTION}</title><body>Bamboo.</body>", None),
        (f"A list:\n<li>Title: {QUESTION}</li><li>Bamboo.</li>", None),
        (f"# {QUESTION}\nBamboo.", None),
        (f"<h2>{QUESTION}</h2><p>Bamboo.</p>", None),
        (f"<p>It depends. {QUESTION}</p><p>Bamboo.</p>", None),
        (f"<p>A zoo.</p><p>{QUESTION} Bamboo.</p>", None),
        (f"{QUESTION} It eats bamboo.", "It eats bamboo."),
        (f"{QUESTION}\n\nBamboo.", "Bamboo."),
        ("Bamboo.", "Bamboo."),
        (f"A panda, you ask ({QUESTION}), eats bamboo.", None),
        (f"German: {QUESTION}", None),
        (f"It depends. {QUESTION}\nBamboo.", None),
    ],
)
def test_a_transcript_gives_what_stands_behind_the_question(text, answer):
    (segment,) = Form.TEXT.read(text, 0, QUESTION)
    assert segment.text == (text if answer is None else answer)


@pytest.mark.parametrize("quote", [True, False])
def test_a_transcript_in_html_holds_the_question_as_html_writes_it(quote):
    query = "Is 1 < 2 & 'two'?"
    text = f"<p><b>You:</b> {html.escape(query, quote=quote)}</p><p>It is.</p>"
    (segment,) = Form.TEXT.read(text, 0, query)
    assert segment.text == "<p>It is.</p>"


@pytest.mark.parametrize("query", ["", "Hi", "Bamboo"])
def test_an_answer_that_begins_like_a_short_question_is_whole(query):
    text = "Hi! Bamboo it is."
    (segment,) = Form.TEXT.read(text, 0, query)
    assert segment.text == text


def test_a_transcript_that_holds_the_question_alone_has_no_answer_while_it_grows():
    text = f"You: {QUESTION}\n"
    assert Form.TEXT.read(text, 0, QUESTION, growing=True) == []


@pytest.mark.parametrize(
    "text",
    [
        "a " * 200_000,
        "a<br>" * 80_000,
        f"<b>You:</b> a</p><{'b' * 400_000}",
        "a<br>" + " " * 400_000,
    ],
)
def test_a_long_text_with_a_short_question_is_read_at_once(text):
    began = time.process_time()
    (segment,) = Form.TEXT.read(text, 0, "a")
    assert text.endswith(segment.text)
    assert time.process_time() - began < 2
