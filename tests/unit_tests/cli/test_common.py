import inspect

import pytest
import typer

from langchain_qwen_space import errors, events
from langchain_qwen_space.cli.advice import advice
from langchain_qwen_space.cli.common import chat_model, exit_codes, printable
from langchain_qwen_space.cli.reply import describe_event
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.space.routing.hub import SpaceAsleepError

ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, QwenSpaceError) and kind is not QwenSpaceError
]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_becomes_a_line_and_an_exit_code(kind, capsys):
    with pytest.raises(typer.Exit) as ended, exit_codes():
        raise kind("It \x1b[31mfailed.")
    usage = issubclass(kind, errors.InvalidInputError | errors.UnknownModelError)
    assert ended.value.exit_code == (2 if usage else 1)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[0] == "It [31mfailed."


def test_an_interruption_is_130():
    with pytest.raises(typer.Exit) as ended, exit_codes():
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not InvalidInputError])
def test_every_error_but_wrong_input_comes_with_advice(kind):
    assert advice(kind("It failed.")).endswith(".")


def test_a_space_that_is_asleep_is_waited_for_and_a_paused_one_is_replaced():
    assert "wakes" in advice(SpaceAsleepError("It is asleep.", "SLEEPING"))
    paused = errors.SpaceUnavailableError("It is paused.", is_retryable=False)
    assert "serve" in advice(paused)


def test_options_become_settings_and_those_left_out_stay_as_they_are(monkeypatch):
    monkeypatch.setenv("QWEN_SPACE", "me/mine")
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    plain = chat_model()
    assert plain.space == "me/mine"
    assert plain.hf_token.get_secret_value() == "hf_environment"
    told = chat_model("a/b", "7B", "hf_x", "http://p:1", "me:a:b", temperature=0.5)
    assert (told.space, told.model, told.temperature) == ("a/b", "7B", 0.5)
    assert told.hf_token.get_secret_value() == "hf_x"
    assert told.proxy.get_secret_value() == "http://p:1"
    assert (told.auth[0], told.auth[1].get_secret_value()) == ("me", "a:b")


def test_a_setting_that_is_refused_is_named_by_its_option_and_shows_no_secret():
    with pytest.raises(InvalidInputError, match=r"--max-tokens: ") as refused:
        chat_model(max_tokens=0, proxy="socks5://user:secret@host")
    assert str(refused.value).startswith("--proxy: ")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb", "a\nb"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\x9b2J\x7f\x00", "2J"),
        ("你好 \N{WAVING HAND SIGN}\u200d", "你好 \N{WAVING HAND SIGN}\u200d"),
    ],
)
def test_control_characters_do_not_reach_the_terminal(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (events.QueueEvent(rank=3, queue_size=4, eta=9.4), "3 before you, about 9 s"),
        (events.QueueEvent(rank=0, queue_size=1), "next"),
        (events.WakeEvent("APP_STARTING"), "waking up (app_starting)"),
        (events.UploadEvent("a.png", 30, 40), "Sending a.png: 75%"),
        (events.RetryEvent("It failed.", 2.0, 1), "again in 2 s"),
        (events.ProgressEvent(description="Loading"), "Loading"),
        (events.StartEvent(), "is writing"),
    ],
)
def test_what_is_waited_for_is_said_describe_event(event, words):
    assert words in describe_event(event)


def test_other_events_are_not_waited_for():
    assert describe_event(events.RevisedEvent()) is None
    assert describe_event(events.ProgressEvent(progress=0.5)) is None
