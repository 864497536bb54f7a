import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from langchain_qwen_space import file_block
from langchain_qwen_space.cli.conversation import Conversation, Turn, attached, load, save
from langchain_qwen_space.errors import InvalidInputError
from tests.pictures import RED

TALK = Conversation("Be kind.", "7B", (Turn("hi", "你好 \N{WAVING HAND SIGN}"), Turn("a\nb", "")))


def test_what_was_saved_is_loaded(tmp_path):
    for talk in (TALK, Conversation(), Conversation(system=""), Conversation("a \ud800")):
        save(talk, tmp_path / "talk", overwrite=True)
        assert load(tmp_path / "talk") == talk


def test_a_file_can_be_read_by_a_person_and_by_a_script(tmp_path):
    save(TALK, tmp_path / "talk")
    text = (tmp_path / "talk").read_text(encoding="utf-8")
    assert "你好" in text
    assert json.loads(text)["turns"][1] == {"user": "a\nb", "assistant": ""}


def test_a_file_that_is_there_is_replaced_only_when_asked_to(tmp_path):
    path = tmp_path / "talk"
    path.write_text("precious")
    path.chmod(0o640)
    with pytest.raises(FileExistsError):
        save(TALK, path)
    assert path.read_text() == "precious"
    save(TALK, path, overwrite=True)
    assert load(path) == TALK
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_one(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "talk")
    save(TALK, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "talk") == TALK


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "talk"
    save(TALK, path)
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space") as failed:
        save(replace(TALK, system="other"), path, overwrite=True)
    assert failed.value.filename == str(path)  # not that of the draft
    assert load(path) == TALK
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000 + b"]" * 100_000,
        b"{}",
        b'{"format": "qwen-space conversation", "version": 2}',
        b'{"format": "qwen-space conversation", "version": 1, "system": 1, "model": null, "turns": []}',
        (
            b'{"format": "qwen-space conversation", "version": 1, "system": null, "model": null,'
            b' "turns": [{"user": "hi"}]}'
        ),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, content):
    path = tmp_path / "talk"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="is not a conversation"):
        load(path)


def test_what_is_not_a_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(InvalidInputError, match="is not a file"):
            load(path)


def test_messages_are_system_prompt_earlier_turns_and_question():
    assert TALK.messages("next") == [
        ("system", "Be kind."),
        ("human", "hi"),
        ("ai", "你好 \N{WAVING HAND SIGN}"),
        ("human", "a\nb"),
        ("ai", ""),
        ("human", "next"),
    ]
    assert Conversation().messages("hi") == [("human", "hi")]


def test_files_go_with_their_question_and_their_names_are_kept(tmp_path):
    photo, other = tmp_path / "photo.png", tmp_path / "b.png"
    for path in (photo, other):
        path.write_bytes(RED)
    talk = Conversation(turns=(Turn("What?", "Red.", (attached(photo),)),))
    sent = file_block(photo)
    photo.unlink()
    (_, first), _, (_, last) = talk.messages("And?", [attached(other)])
    assert first[1] == sent
    assert [block["type"] for block in first] == ["text", "image"]
    assert first[0]["text"] == "What?"
    assert last[1]["extras"] == {"filename": "b.png"}
    path = tmp_path / "talk"
    save(talk, path)
    # A file that is loaded names no other file that would be sent to a Space.
    assert load(path).turns == (Turn("What?\n\n(with photo.png)", "Red."),)


@pytest.mark.timeout(10)  # reading it would not end
def test_what_cannot_be_attached_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "none.png", tmp_path, Path("a\0b")):
        with pytest.raises(InvalidInputError, match="cannot be attached"):
            attached(path)
