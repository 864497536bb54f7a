"""The example's service over HTTP: real servers on both sides, and a database in a file."""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
from langchain.tools import ToolRuntime
from langchain_core.tools import ToolException, tool
from langgraph.store.memory import InMemoryStore

from examples.agent_backend import tools
from examples.agent_backend.app import create_app
from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.examples.answers import answer
from tests.integration_tests.examples.service import (
    Visitor,
    content,
    of,
    serving,
    text,
    until_it_says,
)


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    """A Space that answers one caller at a time."""
    with LocalSpace(answer, concurrency=1, pace=0.005) as space:
        yield space.url


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'agent.db'}"


@pytest.fixture
async def url(space: str, database_url: str) -> AsyncIterator[str]:
    async with serving(space, database_url) as url:
        yield url


async def test_an_answer_streams_and_ends_with_the_whole_of_it(url):
    words = " ".join(["one word after the other, in good order,"] * 40)
    events = await Visitor().answer(url, f"echo: {words}")
    assert len(of("text", events)) > 1
    assert text(events) == words
    assert of("message", events) == [{"text": words}]
    assert events[-1] == ("done", {})


async def test_a_tool_call_and_its_result_are_reported_before_the_answer(url):
    events = await Visitor().answer(url, "What is 6 times 7?")
    [call], [result] = of("tool_call", events), of("tool_result", events)
    assert (call["name"], call["args"]) == (
        "calculate",
        {"left": 6, "operation": "times", "right": 7},
    )
    assert result == {"id": call["id"], "text": "42", "failed": False}
    assert text(events) == "The tools said: 42"
    kinds = [kind for kind, _ in events]
    assert kinds.index("tool_call") < kinds.index("tool_result") < kinds.index("text")


async def test_conversations_and_notes_outlive_the_service(space, database_url):
    visitor = Visitor()
    async with serving(space, database_url) as url:
        await visitor.answer(url, "echo: The word is heron.")
        await visitor.answer(url, "Save a note: feed the heron")
        before = await visitor.history(url)
        port = httpx.URL(url).port
    async with serving(space, database_url, port) as url:
        assert await visitor.history(url) == before
        history = json.loads(text(await visitor.answer(url, "recall")))
        assert history[0] == ["echo: The word is heron.", "The word is heron."]
        listed = await visitor.answer(url, "List my notes", conversation="another")
        assert of("tool_result", listed)[0]["text"] == "- Save a note: feed the heron"


async def test_users_who_ask_at_the_same_time_see_only_what_is_theirs(url):
    async def use(name: str) -> None:
        visitor = Visitor()
        await visitor.answer(url, f"Save a note: I am {name}")
        listed = await visitor.answer(url, "List my notes")
        assert of("tool_result", listed)[0]["text"] == f"- Save a note: I am {name}"
        history = json.loads(text(await visitor.answer(url, "recall")))
        assert [user for user, _ in history if not user.startswith("<tool_")] == [
            f"Save a note: I am {name}",
            "List my notes",
        ]

    await asyncio.gather(*(use(f"number {number}") for number in range(4)))


async def test_leaving_cancels_the_call_and_frees_its_slot(url, tmp_path):
    calls, visitor = tmp_path / "calls", Visitor()
    async with aclosing(visitor.ask(url, f"write until left: {calls}")) as events:
        async for kind, _ in events:
            if kind == "text":
                break
        assert content(calls) == "open\n"
    await until_it_says(calls, "open\nclosed\n")
    assert text(await Visitor().answer(url, "echo: my turn")) == "my turn"


async def test_the_end_of_the_service_ends_its_calls_too(space, database_url, tmp_path):
    calls = tmp_path / "calls"
    async with serving(space, database_url) as url:
        events = Visitor().ask(url, f"write until left: {calls}")
        async for kind, _ in events:
            if kind == "text":
                break
    await until_it_says(calls, "open\nclosed\n")
    await events.aclose()


async def test_a_waiting_caller_is_notified_and_can_leave_the_queue(url, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    async with aclosing(Visitor().ask(url, f"write until left: {first}")) as running:
        async for kind, _ in running:
            if kind == "text":
                break
        async with aclosing(Visitor().ask(url, f"write until left: {second}")) as waiting:
            kind, place = await anext(waiting)
            assert (kind, place["name"]) == ("space", "qwen_space_queue")
            assert place["rank"] == 0
    assert text(await Visitor().answer(url, "echo: my turn")) == "my turn"
    assert content(first) == "open\nclosed\n"
    assert content(second) == ""


async def test_what_was_said_before_a_stop_is_remembered(url, tmp_path):
    calls, visitor, seen = tmp_path / "calls", Visitor(), ""
    question = f"write until left: {calls}"
    async with aclosing(visitor.ask(url, question)) as events:
        async for kind, data in events:
            seen += data["text"] if kind == "text" else ""
            if len(seen) > 20:
                break
    # Asked in the same conversation, this waits until the one before has ended.
    history = json.loads(text(await visitor.answer(url, "recall")))
    assert history[0][0] == question
    assert history[0][1].startswith(seen)
    assert ("message", {"text": history[0][1]}) in await visitor.history(url)


async def test_questions_of_one_conversation_are_answered_one_after_the_other(url):
    visitor = Visitor()
    await visitor.answer(url, "echo: hello")
    await asyncio.gather(*(visitor.answer(url, f"echo: {number}") for number in range(3)))
    said = [data["text"] for _, data in await visitor.history(url)]
    for question, reply in zip(said[::2], said[1::2], strict=True):
        assert question == f"echo: {reply}"


async def test_a_question_under_a_known_name_replaces_what_followed_it(url):
    visitor = Visitor()
    await visitor.answer(url, "echo: one", name="a")
    await visitor.answer(url, "What is 6 times 7?", name="b")
    await visitor.answer(url, "echo: three", name="c")
    assert text(await visitor.answer(url, "echo: two", name="b")) == "two"
    history = await visitor.history(url)
    assert [data["text"] for _, data in history] == ["echo: one", "one", "echo: two", "two"]
    assert [question["id"] for question in of("question", history)] == ["a", "b"]


async def test_conversations_are_listed_renamed_and_deleted_by_their_user_alone(url):
    visitor, stranger = Visitor(), Visitor()
    await stranger.answer(url, "echo: mine", conversation="b")
    await visitor.answer(url, "echo:  of   herons " + "and storks " * 10, conversation="a")
    await visitor.answer(url, "echo: hi", conversation="b")
    long = "echo: of herons and storks and storks and storks and storks…"
    assert await visitor.titles(url) == ["echo: hi", long]
    await visitor.answer(url, "echo: again", conversation="a")
    assert await visitor.titles(url) == [long, "echo: hi"]  # the last used first

    renamed = await visitor.call(url, "PATCH", "/a", json={"title": " Birds "})
    assert renamed.status_code == 204
    assert await visitor.titles(url) == ["Birds", "echo: hi"]
    assert (await visitor.call(url, "PATCH", "/a", json={"title": " "})).status_code == 422
    assert (await visitor.call(url, "PATCH", "/c", json={"title": "No"})).status_code == 404

    assert (await visitor.call(url, "DELETE", "/b")).status_code == 204
    assert await visitor.titles(url) == ["Birds"]
    assert await visitor.history(url, "b") == []
    assert await stranger.titles(url) == ["echo: mine"]
    assert of("message", await stranger.history(url, "b")) == [{"text": "mine"}]


async def test_a_deleted_conversation_is_not_written_to_by_its_last_answer(url, tmp_path):
    calls, visitor = tmp_path / "calls", Visitor()
    kinds = []
    async for kind, _ in visitor.ask(url, f"write until left: {calls}"):
        kinds.append(kind)
        if kinds.count("text") == 1 and kind == "text":
            assert (await visitor.call(url, "DELETE", "/talk")).status_code == 204
    assert "done" not in kinds  # so the page does not take it for the whole answer
    await until_it_says(calls, "open\nclosed\n")
    assert await visitor.history(url) == []
    assert await visitor.titles(url) == []


async def test_thoughts_are_separate_from_the_answer(url):
    visitor = Visitor()
    events = await visitor.answer(url, "echo: <think>\nHm.\n</think>\n\nYes.")
    thought = "".join(data["text"] for data in of("thought", events))
    assert thought.strip() == "Hm."
    assert of("message", events) == [{"text": "Yes."}]
    assert of("thoughts", await visitor.history(url)) == [{"text": thought}]


async def test_a_tool_that_fails_is_reported_as_failed(space, database_url, monkeypatch):
    @tool
    def heron(name: str) -> str:
        """Feed the heron."""
        raise ToolException("It flew away.")

    heron.handle_tool_error = True
    monkeypatch.setattr(tools, "ALL", [heron])
    async with serving(space, database_url) as url:
        [result] = of("tool_result", await Visitor().answer(url, "Feed the heron"))
    assert (result["text"], result["failed"]) == ("It flew away.", True)


def test_the_files_of_other_projects_are_the_ones_that_are_named():
    vendor = Path(create_app.__code__.co_filename).with_name("static") / "vendor"
    rows = re.findall(
        r"^\| `(\S+\.js)` .*`(\w{64})` \|$", (vendor / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in rows} == {path.name for path in vendor.glob("*.js")}
    for name, named in rows:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == named, name


async def test_an_error_of_the_space_is_reported_after_the_text_that_came(url):
    visitor = Visitor()
    events = await visitor.answer(url, "break off")
    assert text(events) == "Half of it"
    [error] = of("error", events)
    assert "failed without saying why" in error["message"]
    assert events[-1] == ("done", {})
    assert ("message", {"text": "Half of it"}) in await visitor.history(url)
    assert text(await visitor.answer(url, "echo: and on we go")) == "and on we go"


async def test_a_fault_of_the_service_is_logged_and_not_shown(
    space, database_url, monkeypatch, caplog
):
    @tool
    def heron(name: str) -> str:
        """Feed the heron."""
        raise KeyError("a secret of the house")

    monkeypatch.setattr(tools, "ALL", [heron])
    async with serving(space, database_url) as url:
        with caplog.at_level(logging.ERROR):
            events = await Visitor().answer(url, "Feed the heron")
    assert of("error", events) == [{"message": "The service failed. Its log says why."}]
    assert "a secret of the house" in caplog.text


async def test_a_visitor_without_a_name_and_an_empty_question_are_refused(url):
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert (await client.get("/conversations/talk")).status_code == 401
        await client.get("/")
        assert (await client.get("/conversations/talk")).json() == []
        empty = await client.post("/conversations/talk", json={"text": ""})
        assert empty.status_code == 422


async def test_the_page_gives_a_name_once_and_no_script_can_read_it(url):
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        first = await client.get("/")
        assert "<title>Agent</title>" in first.text
        assert "HttpOnly" in first.headers["set-cookie"]
        assert "set-cookie" not in (await client.get("/")).headers


async def test_cookies_of_other_services_on_this_host_do_no_harm(url):
    others = {"user": "spaces and ; are not ours", "agent_user_1": "theirs"}
    async with httpx.AsyncClient(base_url=url, cookies=others, trust_env=False) as client:
        [name] = (await client.get("/")).cookies
        assert name == f"agent_user_{httpx.URL(url).port}"
        assert (await client.get("/conversations/talk")).json() == []


async def test_a_cookie_that_cannot_be_used_is_replaced(url):
    broken = {f"agent_user_{httpx.URL(url).port}": "not a name"}
    async with httpx.AsyncClient(base_url=url, cookies=broken, trust_env=False) as client:
        assert (await client.get("/conversations/talk")).status_code == 401
        fresh = (await client.get("/")).cookies
    async with httpx.AsyncClient(base_url=url, cookies=fresh, trust_env=False) as client:
        assert (await client.get("/conversations/talk")).json() == []


async def test_notes_come_in_pages_and_none_is_left_out_silently():
    store, user = InMemoryStore(), tools.User("ada")
    for number in range(230):
        await store.aput(("ada", "notes"), str(number), {"text": f"note {number}"})
    runtime = ToolRuntime(
        state={}, context=user, config={}, stream_writer=print, tool_call_id="1", store=store
    )
    pages = [await tools.list_notes.coroutine(runtime, page) for page in (1, 2, 3)]
    lines = [line for page in pages for line in page.splitlines() if line.startswith("- ")]
    assert sorted(lines) == sorted(f"- note {number}" for number in range(230))
    assert pages[0].endswith("(page 1 of 3; there are 230 notes)")
    assert await tools.list_notes.coroutine(runtime, 4) == "There is no page 4; the last one is 3."


def test_a_database_that_nobody_knows_is_refused_with_what_to_write():
    with pytest.raises(ValueError, match="must begin with postgresql:// or sqlite:///"):
        create_app(space="Qwen/Qwen2.5", database_url="mysql://here")


@pytest.mark.parametrize(
    ("operation", "result"),
    [("plus", "7.5"), ("minus", "4.5"), ("times", "9"), ("divided by", "4")],
)
def test_calculate(operation, result):
    given = {"left": 6, "operation": operation, "right": 1.5}
    assert tools.calculate.invoke(given) == result


def test_nothing_is_divided_by_zero():
    given = {"left": 6, "operation": "divided by", "right": 0}
    assert tools.calculate.invoke(given) == "Nothing can be divided by zero."


@pytest.mark.parametrize("place", ["new york", "America/New_York"])
def test_the_clock_knows_cities_and_zones(place):
    assert tools.clock.invoke({"place": place}).endswith("(America/New_York)")


def test_the_clock_says_when_it_knows_no_such_place():
    assert "No time zone is known for 'Atlantis'" in tools.clock.invoke({"place": "Atlantis"})
