"""`qwen-space doctor --probe`: what reaches a model, by what it answers."""

import json
import re

import pytest
from typer.testing import CliRunner

from langchain_qwen_space.cli.app import app
from langchain_qwen_space.cli.probe import counted_to, has_word
from langchain_qwen_space.local import LocalSpace

PASSWORD = re.compile(r"The password of the day is (\w+)")
RULE = re.compile(r"end your answer with the word (\w+)")
ECHO = re.compile(r"nothing else: (\w+)")


def answer(system, history, query, model):
    """A model named 72B that does as it is asked; 32B is given no earlier turns, 14B obeys nobody."""
    if "14b" in model:
        yield "I would rather talk about the weather."
        return
    turns = "" if "32b" in model else " ".join(user for user, _ in history)
    told = PASSWORD.search(turns)
    if echo := ECHO.search(query):
        yield echo[1].upper()
    elif "What is the password" in query:
        yield f"It is {told[1]}." if told else "I know no password."
    else:
        rule = RULE.search(system)
        yield "Four. " + (rule[1] if rule else "")


@pytest.fixture(scope="module")
def space():
    with LocalSpace(answer, pace=0) as server:
        yield server.url


def probe(space, model, *arguments):
    return CliRunner().invoke(
        app, ["doctor", "--probe", "--space", space, "--model", model, *arguments]
    )


def findings(space, model):
    done = probe(space, model, "--json")
    told = json.loads(done.stdout)
    return done.exit_code, {item["name"]: item["reached"] for item in told["probe"]}


def test_all_reaches_the_model(space):
    assert findings(space, "72B") == (
        0,
        {"a word in the question": "yes", "earlier turns": "yes", "the system prompt": "yes"},
    )


def test_lost_turns_are_reported_with_advice(space):
    done = probe(space, "32B")
    assert done.exit_code == 1
    assert "Probing what reaches the model, with 3 calls" in done.stdout
    assert re.search(r"no +earlier turns", done.stdout)
    assert "I know no password." in done.stdout
    assert "inputs={'history'" in done.stdout.replace("\n", " ")
    assert "All is well" not in done.stdout


def test_a_model_that_does_not_obey_proves_nothing(space):
    code, reached = findings(space, "14B")
    assert code == 0
    assert set(reached.values()) == {"unclear"}
    done = probe(space, "14B")
    assert "its answer shows nothing" in done.stdout.replace("\n", " ")
    assert "Set history='text'" not in done.stdout


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("1, 2, 3", (3, True)),
        ("Sure: 1, 2, 4", (2, False)),
        ("**1**\n2.\n3", (3, True)),
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 1", (9, True)),
        ("1, 2, 3, …, 100", (3, False)),
        ("1, 2, 3. That is all.", (3, False)),
        ("none", (0, True)),
        ("", (0, True)),
        ("2, 3", (0, True)),
    ],
)
def test_counting(text, last):
    assert counted_to(text) == last


def test_words_are_found_in_any_case():
    assert has_word("It is FAMOZILU!", "famozilu")
    assert not has_word("It is famo", "famozilu")
