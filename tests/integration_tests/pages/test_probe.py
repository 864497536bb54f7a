"""`qwen-space doctor --probe` on a page whose inputs are not what they look like."""

import re

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
