import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from langchain_qwen_space.cli import conversation_log
from langchain_qwen_space.cli.conversation import Conversation, Turn
from langchain_qwen_space.cli.conversation_log import (
    ConversationLog,
    Exchange,
    LogError,
    LoggedTalk,
    log_path,
)
from langchain_qwen_space.errors import InvalidInputError

HELLO = Exchange(
    "Hello?", "Hello!", model="qwen2.5-7b", input_tokens=3, output_tokens=2, seconds=1.5
)
SPACE = "Qwen/Qwen2.5"


@pytest.fixture
def log(tmp_path) -> ConversationLog:
    return ConversationLog(tmp_path / "new" / "log.db")


def talk(log: ConversationLog, *questions: str, system: str | None = None) -> LoggedTalk:
    """A conversation with these questions, each answered by its own capitals."""
    begun, said = LoggedTalk(log, SPACE), Conversation(system, "7B")
    for question in questions:
        begun.add(said, Exchange(question, question.upper()))
        said = Conversation(system, "7B", (*said.turns, Turn(question, question.upper())))
    return begun


def test_the_last_conversation_is_loaded_with_all_that_continues_it(log):
    talk(log, "one")
    talk(log, "two", "三", system="Be kind.")
    loaded, conversation = log.load()
    assert (loaded.number, loaded.space) == (2, SPACE)
    assert conversation == Conversation("Be kind.", "7B", (Turn("two", "TWO"), Turn("三", "三")))
    assert log.load(1)[1].turns == (Turn("one", "ONE"),)


def test_the_last_conversation_is_the_one_that_was_continued_last(log):
    first = talk(log, "one")
    talk(log, "two")
    first.add(log.load(1)[1], HELLO)
    assert log.load()[0].number == 1


def test_only_answers_continue_a_conversation_but_all_questions_are_brought_back(log):
    begun = talk(log, "one")
    before = log.load()[1]
    begun.add(before, Exchange("broken?", None, "It failed."))
    begun.add(before, Exchange("stopped?", "half", "Stopped."))
    begun.add(log.load()[1], HELLO)
    begun.undo()
    assert log.load()[1].turns == (Turn("one", "ONE"), Turn("stopped?", "half"))
    assert log.questions(3) == ["Hello?", "stopped?", "broken?"]


def test_a_question_that_was_under_way_when_the_process_was_killed_is_there(log):
    begun = talk(log, "one")
    begun.begin(log.load()[1], "killed?")
    loaded, before = log.load()
    assert (loaded.unanswered, before.turns) == ("killed?", (Turn("one", "ONE"),))
    assert log.questions(2) == ["killed?", "one"]
    loaded.begin(before, "killed?")
    loaded.add(before, Exchange("killed?", "No."))
    loaded, conversation = log.load()
    assert (loaded.unanswered, len(conversation.turns)) == ("", 2)
    LoggedTalk(log, SPACE).begin(Conversation("Be kind."), "the first?")
    loaded, conversation = log.load()
    assert (loaded.number, loaded.unanswered) == (2, "the first?")
    assert conversation == Conversation("Be kind.")


@pytest.mark.parametrize("next_question", ["killed?", "another?"])
def test_a_question_that_was_left_is_not_the_last_one_once_another_was_asked(log, next_question):
    begun = talk(log, "one")
    before = log.load()[1]
    begun.begin(before, "killed?")
    loaded, _ = log.load()
    loaded.begin(before, next_question)
    loaded.add(before, Exchange(next_question, "No."))
    log.load()[0].undo()
    loaded, conversation = log.load()
    assert (loaded.unanswered, conversation) == ("", before)
    loaded.undo()
    assert log.load(1)[0].unanswered == ""
    assert log.questions(9) == [next_question, "killed?", "one"]  # the keyboard brings it back


def test_a_question_that_another_process_still_asks_is_kept_with_its_answer(log):
    mine = LoggedTalk(log, SPACE)
    mine.begin(Conversation(), "mine?")
    yours, before = log.load()
    assert yours.unanswered == "mine?"
    yours.begin(before, "yours?")
    assert log.questions(9) == ["yours?", "mine?"]
    mine.add(Conversation(), Exchange("mine?", "MINE"))
    yours.add(before, Exchange("yours?", "YOURS"))
    assert log.load(1)[1].turns == (Turn("mine?", "MINE"),)
    assert log.load(2)[1].turns == (Turn("yours?", "YOURS"),)
    assert [log.load(number)[0].unanswered for number in (1, 2)] == ["", ""]


@pytest.mark.parametrize("exchange", [HELLO, Exchange("Hello?", None, "It failed.")])
def test_what_came_of_a_question_takes_its_place(log, exchange):
    begun = LoggedTalk(log, SPACE)
    for _ in range(2):
        begun.begin(Conversation(), "Hello?")
        begun.add(Conversation(), exchange)
        begun = LoggedTalk(log, SPACE)
    assert log.questions(9) == ["Hello?", "Hello?"]
    assert log.load(1)[0].unanswered == ""


def test_what_a_call_cost_is_there_for_sql(log):
    LoggedTalk(log, SPACE).add(Conversation(), HELLO)
    with sqlite3.connect(log.path) as db:
        row = db.execute("SELECT model, input_tokens, output_tokens, seconds FROM turn").fetchone()
    db.close()
    assert row == ("qwen2.5-7b", 3, 2, 1.5)


def test_two_processes_that_continue_one_conversation_do_not_mix(log):
    talk(log, "one")
    (mine, before), (yours, same) = log.load(), log.load()
    mine.add(before, Exchange("mine", "MINE"))
    yours.add(same, Exchange("yours", "YOURS"))
    assert (mine.number, yours.number) == (1, 2)
    assert [turn.user for turn in log.load(1)[1].turns] == ["one", "mine"]
    assert [turn.user for turn in log.load(2)[1].turns] == ["one", "yours"]


def test_a_conversation_that_is_deleted_during_an_answer_is_logged_as_a_new_one(log):
    begun = LoggedTalk(log, SPACE)
    begun.begin(Conversation("Be kind."), "Hello?")
    log.delete(1)
    begun.add(Conversation("Be kind."), HELLO)
    loaded, conversation = log.load()
    assert (loaded.number, loaded.unanswered) == (2, "")
    assert conversation == Conversation("Be kind.", None, (Turn("Hello?", "Hello!"),))
    log.delete(2)
    begun.begin(conversation, "And?")
    assert log.load()[1].turns == conversation.turns
    assert log.load()[0].unanswered == "And?"


def test_a_conversation_from_a_file_is_logged_whole_with_its_first_new_turn(log):
    LoggedTalk(log, SPACE).add(Conversation(None, None, (Turn("old", "OLD"),)), HELLO)
    assert log.load()[1].turns == (Turn("old", "OLD"), Turn("Hello?", "Hello!"))


def test_the_list_has_the_last_first_and_can_be_searched(log):
    talk(log, "Where is Rome?", "And Paris?")
    talk(log, "Who was Bach?")
    assert [(entry.id, entry.turns, entry.title) for entry in log.entries()] == [
        (2, 1, "Who was Bach?"),
        (1, 2, "Where is Rome?"),
    ]
    assert [entry.id for entry in log.entries(1)] == [2]
    assert [(entry.id, entry.turns) for entry in log.entries(words="paris")] == [(1, 2)]
    assert log.entries(words="100%") == []


def test_what_is_deleted_is_not_left_in_the_file(log):
    talk(log, "a secret word")
    talk(log, "two")
    log.delete(1)
    assert [entry.id for entry in log.entries()] == [2]
    assert b"secret" not in log.path.read_bytes()
    talk(log, "three")
    assert log.load()[0].number == 3  # a number is not used for another conversation


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_only_its_owner_can_read_it(log):
    talk(log, "one")
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700


def test_reading_makes_no_file(log):
    assert log.entries() == log.questions(9) == []
    with pytest.raises(InvalidInputError, match="no conversation"):
        log.load()
    for number in (1, 10**30):
        with pytest.raises(InvalidInputError, match=f"no conversation {number} "):
            log.load(number)
    assert not log.path.parent.exists()


def test_a_lone_surrogate_is_stored_as_a_question_mark(log):
    LoggedTalk(log, SPACE).add(Conversation("\ud800"), Exchange("a\ud800", "b\udfff"))
    assert log.load()[1] == Conversation("?", None, (Turn("a?", "b?"),))


@pytest.mark.parametrize("content", [b"This is not SQLite, and it is long enough. " * 20, None])
def test_a_file_that_cannot_be_used_is_named(tmp_path, content):
    path = tmp_path / "log.db"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(LogError, match=r"log\.db cannot be used"):
        talk(ConversationLog(path), "one")
    with pytest.raises(LogError, match=r"log\.db cannot be used"):
        ConversationLog(path).entries()


def test_a_log_of_a_later_version_is_left_alone(log):
    talk(log, "one")
    with sqlite3.connect(log.path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    before = log.path.read_bytes()
    with pytest.raises(LogError, match="another version"):
        talk(log, "two")
    assert log.path.read_bytes() == before


def test_a_turn_is_there_whole_or_not_at_all(log, monkeypatch):
    begun = talk(log, "one")
    monkeypatch.setattr("langchain_qwen_space.cli.conversation_log._insert", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        begun.add(Conversation(), HELLO)
    assert log.load()[1] == Conversation(None, "7B", (Turn("one", "ONE"),))


def test_a_path_that_cannot_be_looked_at_is_an_error_of_the_log(tmp_path):
    log = ConversationLog(tmp_path / ("x" * 300))
    for use in (log.entries, log.load, lambda: log.questions(1), lambda: log.delete(1)):
        with pytest.raises(LogError, match=r"cannot be used: .*too long"):
            use()


def test_a_home_of_nobody_is_wrong_usage(monkeypatch):
    monkeypatch.setenv("QWEN_SPACE_LOG", "~nosuchuser/log.db")
    with pytest.raises(InvalidInputError, match="no such user"):
        log_path()


def test_a_log_that_another_process_holds_is_an_error_of_the_log(log, monkeypatch):
    begun = talk(log, "q")
    monkeypatch.setattr(conversation_log, "_PATIENCE", 0.01)
    with closing(sqlite3.connect(log.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for use in (lambda: begun.add(Conversation(), HELLO), log.entries):
            with pytest.raises(LogError, match="locked"):
                use()
    assert [entry.title for entry in log.entries()] == ["q"]


def test_where_the_log_is(monkeypatch, tmp_path):
    for value, path in (
        ("off", None),
        ("OFF", None),
        (str(tmp_path / "mine"), tmp_path / "mine"),
        ("~/mine", Path.home() / "mine"),
    ):
        monkeypatch.setenv("QWEN_SPACE_LOG", value)
        assert log_path() == path
    monkeypatch.delenv("QWEN_SPACE_LOG")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert log_path() == tmp_path / "qwen-space" / "log.db"
    monkeypatch.delenv("XDG_DATA_HOME")
    for platform, folder in (
        ("linux", ".local/share"),
        ("darwin", "Library/Application Support"),
        ("win32", "AppData/Local"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.delenv("LOCALAPPDATA", raising=False)
        assert log_path() == Path.home() / folder / "qwen-space" / "log.db"
    assert os.environ.get("QWEN_SPACE_LOG") is None
