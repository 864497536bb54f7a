"""A text that an app was seen to replace is held back from its later streams."""

import pytest

from langchain_qwen_space.space.chat.chatbot import Form
from langchain_qwen_space.space.chat.habits import Habits
from langchain_qwen_space.space.chat.reply import Reply


def read(texts, habits, *, steps=()):
    """What a stream hands out with each of the texts that an answer is in turn, and at its end.

    After those of `steps`, by index, another function continues.
    """
    reply = Reply(Form.REPLY, 0, "q", whole=True, max_chars=10_000, habits=habits)
    handed = []
    for index, text in enumerate(texts):
        handed.append("".join(map(str, reply.generating(text))))
        if index in steps:
            handed[-1] += "".join(reply.completed(text, last=False))
            reply.next_step()
    handed.append("".join(reply.completed(texts[-1])))
    assert reply.answer.text == texts[-1]
    return handed, reply.revised


def test_a_placeholder_goes_out_once():
    known = Habits()
    answer = ["Analysing…", "Bears", "Bears eat fish."]
    assert read(answer, known) == (["Analysing…", "Bears", " eat fish.", ""], True)
    assert read(answer, known) == (["", "Bears", " eat fish.", ""], False)


def test_an_animated_placeholder_and_one_of_another_function():
    known = Habits()
    answer = ["Thinking.", "Thinking..", "Thinking...", "The bear"]
    read(answer, known, steps=[2])
    assert read(answer, known, steps=[2]) == (["", "", "", "The bear", ""], False)


def test_an_answer_that_is_or_begins_with_a_placeholder_comes_whole():
    known = Habits()
    read(["Analysing…", "Bears"], known)
    assert read(["Analysing…"], known) == (["", "Analysing…"], False)
    assert read(["Anal", "Analysing… done"], known) == (["", "Analysing… done", ""], False)
    assert read(["Analysts", "Analysts say"], known) == (["Analysts", " say", ""], False)


@pytest.mark.parametrize("cursor", ["▌", " <span class='cursor'>|</span>", "</div>"])
def test_a_cursor_goes_out_once(cursor):
    known = Habits()
    texts = ["Bears", "Bears eat", "Bears eat fish", "Bears eat fish."]
    shown = [cursor.lstrip(), *(text + cursor for text in texts), texts[-1]]
    assert read(shown, known)[1]
    handed, revised = read(shown, known)
    assert handed == ["", "Bears", " eat", " fish", ".", "", ""]
    assert not revised


def test_a_text_that_ends_like_a_cursor_comes_whole():
    known = Habits()
    read(["a▌", "ab▌", "abc▌", "abc"], known)
    assert read(["a", "a▌", "a▌ b"], known) == (["a", "", "▌ b", ""], False)
    assert read(["a▌"], known) == (["a", "▌"], False)


def test_text_that_the_server_indents_again_is_none():
    known = Habits()
    assert read(["- one", "1. a:\n- one", "1. a:\n   - one\n2. b"], known)[1]
    assert read(["x\n- one", "x\n   - one\ny"], known)[1]
    assert known.seen.behind == ()
    assert "x\n- one" not in known.seen.before


def test_what_is_remembered_is_bounded():
    known = Habits()
    for number in range(1000):
        known.learn(f"<{number}>", f"answer {number}")
        known.learn(f"ab{number}", f"abc{number}")
    known.learn("x" * 201, "answer")
    seen = known.seen
    assert len(seen.before) == 16
    assert len(seen.behind) <= 16
    assert seen.before[-1] == "<999>"


def test_appends_after_a_cursor_are_not_lost():
    """The fast way for appended text is not taken while anything is held back."""
    known = Habits()
    read(["a▌", "ab▌", "abc▌", "abc"], known)
    reply = Reply(Form.REPLY, 0, "q", whole=False, max_chars=100, habits=known)
    assert reply.generating("a▌") == ["a"]
    assert reply.tail is None
    assert reply.generating([["append", [], " b"]]) == ["▌ b"]
    assert reply.tail == []
    assert reply.completed("a▌ b") == []
