import inspect

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk
from rich.cells import cell_len

from langchain_qwen_space import errors, events
from langchain_qwen_space.cli.advice import advice
from langchain_qwen_space.cli.common import chat_model, exit_codes, printable, wrapped
from langchain_qwen_space.cli.timed_reply import TimedReply, describe_event
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
    assert told.err.splitlines()[0] == "Error: It [31mfailed."


def test_an_interruption_is_130():
    with pytest.raises(typer.Exit) as ended, exit_codes():
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not InvalidInputError])
def test_every_error_but_wrong_input_comes_with_advice(kind):
    assert advice(kind("It failed.")).endswith(".")


def test_advice_that_the_error_gives_itself_is_not_repeated():
    assert advice(errors.GenerationError("It failed.")).startswith("Try again.")
    assert advice(errors.GenerationError("It failed. Try again; or ask its owner.")) == ""


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


def test_a_line_that_is_too_long_continues_below_its_last_column():
    told = wrapped("/model [NAME]  list the models, or choose one\n  a: b c d\n", 30)
    assert told.split("\n") == [
        "/model [NAME]  list the",
        "               models, or",
        "               choose one",
        "  a: b c d",
        "",
    ]
    assert wrapped("  What to do: 你好 你好 你好", 20).split("\n") == [
        "  What to do: 你好",
        "  你好 你好",
    ]


@given(st.text("ab 好  \n", max_size=80), st.integers(4, 40))
def test_wrapping_loses_no_word_and_keeps_to_the_width(text, width):
    told = wrapped(text, width)
    assert told.split() == text.split()
    for line in told.split("\n"):
        assert cell_len(line) <= width or len(line.split()) <= 1


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
    assert describe_event(events.SystemInQuestionEvent()) is None
    assert describe_event(events.ProgressEvent(progress=0.5)) is None


def test_the_times_of_an_answer_in_one_line():
    reply = TimedReply()
    assert reply.timings() == ""
    reply.queued, reply.first, reply.whole = 0.25, 1.0, 3.0
    usage = {"input_tokens": 7, "output_tokens": 30, "total_tokens": 37}
    about = {"usage_source": "estimate"}
    reply.chunks = [AIMessageChunk("Hi", usage_metadata=usage, response_metadata=about)]
    assert reply.timings() == (
        "queue 0.25 s, first chunk 1.00 s, total 3.00 s, prompt about 7 tokens, "
        "answer about 30 tokens, 15.0 tokens/s"
    )
    reply.first = 2.9999  # it came at once
    assert "tokens/s" not in reply.timings()
