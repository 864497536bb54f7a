"""`qwen-space doctor`: Spaces that are well, and Spaces that are not."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.cli.app import app
from langchain_qwen_space.space.routing import target

STEPS = [
    "find the Space",
    "read and understand its configuration",
    "join the queue",
    "wait for the first chunk",
    "read the whole answer",
]


def doctor(*arguments: str):
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_a_space_that_is_well_is_reported_step_by_step(space_url):
    done = doctor("--space", space_url)
    assert done.exit_code == 0
    assert [line.split(", ")[0] for line in done.stdout.splitlines() if line[:2] == "ok"] == [
        f"ok   {step}" for step in STEPS
    ]
    for told in (
        "Gradio",
        "/model_chat (fn_index 3)",
        "messages of typed parts",
        "72B (default)",
        "hermes",
    ):
        assert told in done.stdout
    assert done.stdout.endswith("All is well.\n")


def test_json_tells_steps_understanding_and_answer(space_url):
    told = json.loads(doctor("--space", space_url, "--json").stdout)
    assert (told["ok"], told["error"], told["space"]) == (True, None, space_url)
    assert [step["name"] for step in told["steps"]] == STEPS
    assert all(step["ok"] and step["seconds"] >= 0 for step in told["steps"])
    assert told["detected"]["function"] == "model_chat"
    assert "72B" in told["detected"]["models"]
    assert told["detected"]["dialect"] == "hermes"
    assert told["answer"].startswith("You said: Say hello")


def test_the_times_are_those_of_the_call(narrow_space, tmp_path):
    others = ChatQwenSpace(space=narrow_space.url).stream(f"run {tmp_path / 'marker'}")
    next(others)
    target._pages.clear()  # the command would be a process of its own
    waited = json.loads(
        doctor("--space", narrow_space.url, "--json", "--total-timeout", "6").stdout
    )
    others.close()
    assert waited["error"]["type"] == "SpaceTimeoutError", waited
    done = {step["name"]: step["ok"] for step in waited["steps"]}
    assert done == {STEPS[0]: True, STEPS[1]: True, STEPS[2]: True, STEPS[3]: False}
    assert 4 < sum(step["seconds"] for step in waited["steps"][2:]) < 30
    assert "--total-timeout" in waited["error"]["advice"]


def test_a_place_where_nothing_listens_is_not_found():
    done = doctor("--space", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "FAIL find the Space" in done.stdout
    assert "ok" not in done.stdout
    assert "cannot be reached" in done.stdout
    assert "What to do: Check the network" in done.stdout


def test_a_proxy_that_is_not_there_is_reported(space_url):
    done = doctor("--space", space_url, "--proxy", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "proxy" in done.stdout


def test_a_model_that_is_not_offered_is_wrong_usage(space_url):
    done = doctor("--space", space_url, "--model", "GPT-2", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 2
    assert told["error"]["type"] == "UnknownModelError"
    assert "qwen-space models" in told["error"]["advice"]


def test_an_app_that_fails_is_reported_with_its_words(narrow_space):
    done = doctor("--space", narrow_space.url)  # which knows no command "Say"
    assert done.exit_code == 1
    assert "failed: hello, in one word." in done.stdout
    assert "owner has to fix it" in " ".join(done.stdout.split())


async def test_a_full_queue_is_reported(narrow_space, tmp_path):
    heard = asyncio.Event()
    url = narrow_space.url
    running = ChatQwenSpace(space=url).astream(f"run {tmp_path / 'marker'}")
    await anext(running)
    model = ChatQwenSpace(space=url, on_event=lambda _: heard.set())
    waiting = asyncio.ensure_future(model.ainvoke("say hello"))
    await heard.wait()
    done = await asyncio.to_thread(doctor, "--space", url)
    waiting.cancel()
    await asyncio.wait([waiting])
    await running.aclose()
    assert done.exit_code == 1
    assert "FAIL join the queue" in done.stdout
    assert "Too many people use it" in done.stdout


@pytest.mark.parametrize("space", ["http://127.0.0.1:1", "not a space"])
def test_several_spaces_are_examined_one_after_the_other(space_url, space):
    done = doctor("--space", f"{space_url},{space}", "--json")
    lines = done.stdout.splitlines()
    if space == "not a space":
        assert (done.exit_code, lines) == (2, [])
        return
    assert [json.loads(line)["ok"] for line in lines] == [True, False]
    assert done.exit_code == 1
