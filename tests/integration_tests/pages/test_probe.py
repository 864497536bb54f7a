"""`qwen-space doctor --probe` on a page whose inputs are not what they look like."""

import json
import re

import pytest
from typer.testing import CliRunner

from langchain_qwen_space.cli.app import app
from langchain_qwen_space.cli.examination import Examination
from langchain_qwen_space.cli.probe import Probe
from tests.integration_tests.pages.test_pages import model_of


async def probed(model):
    """What reached the model, in order, and the number of calls that was said before."""
    examination = Examination(model, model.space, "Hello", lambda _: None)
    await examination.run()
    probe = Probe(model, examination.endpoint, lambda _: None)
    findings = await probe.run()
    return {finding.name: finding for finding in findings}, probe.calls


async def test_what_reaches_nobody_does_where_the_advice_is_followed(url):
    found, _ = await probed(model_of(url, "disconnected"))
    assert {name: finding.reached for name, finding in found.items()} == {
        "a word in the question": "yes",
        "earlier turns": "no",
        "the system prompt": "no",
        "the limit 'Max tokens' = 16": "no",
    }
    settings = {"history": "text", "inputs": {"system": "Persona", "max_tokens": "Brevity"}}
    for name in ("earlier turns", "the system prompt", "the limit 'Max tokens' = 16"):
        assert re.search(r"history='text'|inputs={'(system|max_tokens)': …}", found[name].advice)
    found, _ = await probed(model_of(url, "disconnected", **settings))
    assert {name: finding.reached for name, finding in found.items()} == {
        "a word in the question": "yes",
        "earlier turns": "yes",
        "the system prompt": "yes",
        "the limit 'Brevity' = 16": "yes",
    }
    assert {finding.advice for finding in found.values()} == {""}


async def test_as_many_calls_are_made_as_were_said_before(url):
    model = model_of(url, "disconnected")
    before = int((await model.ainvoke("How many?")).text)
    _, calls = await probed(model)
    after = int((await model.ainvoke("How many?")).text)
    assert after - before == calls + 2  # the examination's own, and the first of these two


def test_the_command_says_the_number_and_what_to_set(url):
    done = CliRunner().invoke(app, ["doctor", "--probe", "--space", f"{url}/disconnected"])
    said = done.stdout.replace("\n", " ")
    assert done.exit_code == 1
    assert "Probing what reaches the model, with 4 calls" in said
    assert "inputs={'max_tokens': …}" in said
    assert re.search(r"no +the limit 'Max tokens' = 16", said)


def test_the_commands_advice_is_followed_by_its_options(url):
    space = ["doctor", "--probe", "--space", f"{url}/disconnected"]
    said = CliRunner().invoke(app, space).stdout
    for option in ("--history text", "--input system=…", "--input max_tokens=…"):
        assert option in " ".join(said.split())
    inputs = ["--input", "system=Persona", "--input", "max_tokens = 5"]
    done = CliRunner().invoke(app, [*space, "--history", "text", *inputs])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "All is well.")


@pytest.mark.parametrize("start", ["consult", "/consult", "1"])
def test_the_command_names_a_function_by_name_or_number(url, start):
    space = ["doctor", "--json", "--space", f"{url}/elsewhere"]
    assert not json.loads(CliRunner().invoke(app, space).stdout)["ok"]
    assert json.loads(CliRunner().invoke(app, [*space, "--start", start]).stdout)["ok"]


def test_a_page_without_a_chatbot_is_examined_as_the_advice_says(url):
    space = ["doctor", "--space", f"{url}/no_chatbot"]
    refused = CliRunner().invoke(app, space)
    assert refused.exit_code == 1
    said = " ".join(refused.stdout.split())
    assert "start='reply', inputs={'query': 'Question'}" in said
    assert "--start and --input" in said
    done = CliRunner().invoke(app, [*space, "--start", "reply", "--input", "query=Question"])
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--input", "system"], "--input must be ROLE=NAME"),
        (["--input", "sistem=1"], "there is no role"),
        (["--input", "system=9"], "no input 9"),
        (["--history", "no"], "--history: "),
        (["--start", "nothing"], "no function 'nothing'"),
    ],
)
def test_an_option_that_names_nothing_is_refused_as_wrong_usage(url, option, said):
    done = CliRunner().invoke(app, ["doctor", "--space", f"{url}/checkbox", *option])
    assert done.exit_code == 2
    assert said in done.output
