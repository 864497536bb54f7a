"""Which call shows a call's own events where: the rows of the table in `docs/reference/events.md`."""

import io
import re
from pathlib import Path
from uuid import UUID

import nbclient
import nbformat
import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_qwen_space import ChatQwenSpace, QueueProgressCallbackHandler, SpaceEvent
from langchain_qwen_space.events import NoticeEvent, QueueEvent, StartEvent

QUEUE, START = "qwen_space_queue", "qwen_space_start"


class Listener(BaseCallbackHandler):
    def __init__(self) -> None:
        self.names: list[str] = []

    def on_custom_event(self, name: str, data: dict, *, run_id: UUID, **kwargs: object) -> None:
        self.names.append(name)
        if name == QUEUE:
            assert data == {"rank": 0, "queue_size": data["queue_size"], "eta": data["eta"]}


class AsyncListener(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.names: list[str] = []

    async def on_custom_event(self, name: str, data: dict, **kwargs: object) -> None:
        self.names.append(name)


@pytest.fixture
def heard() -> list[SpaceEvent]:
    return []


@pytest.fixture
def model(space_url, heard) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url, on_event=heard.append)


@pytest.fixture
def chain(model):
    return ChatPromptTemplate.from_template("echo: {text}") | model | StrOutputParser()


@pytest.fixture(autouse=True)
def _on_event_hears_every_call(request, heard):
    yield
    if "heard" in request.fixturenames and "model" in request.fixturenames:
        assert isinstance(heard[0], QueueEvent)
        assert any(isinstance(event, StartEvent) for event in heard)


def test_invoke(model):
    listener = Listener()
    model.invoke("echo: hi", {"callbacks": [listener]})
    assert listener.names == [QUEUE, START]


async def test_ainvoke(model):
    listener = AsyncListener()
    await model.ainvoke("echo: hi", {"callbacks": [listener]})
    assert listener.names == [QUEUE, START]


def test_stream(model):
    listener = Listener()
    list(model.stream("echo: hi", {"callbacks": [listener]}))
    assert listener.names == []


async def test_astream(model):
    listener = Listener()
    _ = [chunk async for chunk in model.astream("echo: hi", {"callbacks": [listener]})]
    assert listener.names == []


async def test_astream_events_v2_of_a_model(model):
    events = [event["event"] async for event in model.astream_events("echo: hi", version="v2")]
    assert "on_custom_event" not in events


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_astream_events_v3_of_a_model(model):
    listener = Listener()
    stream = await model.astream_events("echo: hi", {"callbacks": [listener]}, version="v3")
    await stream.output
    assert listener.names == [QUEUE, START]


def test_invoke_of_a_chain(chain):
    listener = Listener()
    chain.invoke({"text": "hi"}, {"callbacks": [listener]})
    assert listener.names == [QUEUE, START]


def test_stream_of_a_chain(chain):
    listener = Listener()
    list(chain.stream({"text": "hi"}, {"callbacks": [listener]}))
    assert listener.names == [QUEUE, START]


async def test_astream_of_a_chain(chain):
    listener = AsyncListener()
    _ = [part async for part in chain.astream({"text": "hi"}, {"callbacks": [listener]})]
    assert listener.names == [QUEUE, START]


async def test_astream_events_v2_of_a_chain(chain):
    names = [
        event["name"]
        async for event in chain.astream_events({"text": "hi"}, version="v2")
        if event["event"] == "on_custom_event"
    ]
    assert names == [QUEUE, START]


async def test_an_agent(model):
    agent = create_agent(model, [])
    names = [
        event["name"]
        async for event in agent.astream_events({"messages": [("human", "echo: hi")]}, version="v2")
        if event["event"] == "on_custom_event"
    ]
    assert names == [QUEUE, START]


async def test_an_agent_in_messages_mode(model):
    listener = Listener()
    question = {"messages": [("human", "echo: hi")]}
    config = {"callbacks": [listener]}
    _ = [
        part
        async for part in create_agent(model, []).astream(question, config, stream_mode="messages")
    ]
    assert listener.names == [QUEUE, START]


def test_batch(model):
    listener = Listener()
    model.batch(["echo: hi", "echo: ho"], {"callbacks": [listener], "max_concurrency": 1})
    assert sorted(listener.names) == sorted([QUEUE, START] * 2)


def test_the_table_has_a_row_for_every_test_here():
    here = Path(__file__)
    table = (here.parents[2] / "docs" / "reference" / "events.md").read_text()
    rows = set(re.findall(r"`(test_\w+)`", table))
    tests = set(re.findall(r"^(?:async )?def (test_\w+)", here.read_text(), re.MULTILINE))
    assert rows == tests - {
        name for name in tests if name.startswith(("test_the_", "test_a_person"))
    }


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_line_shows_the_place_and_leaves_nothing_behind(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    progress = QueueProgressCallbackHandler(terminal)
    progress(QueueEvent(rank=4, queue_size=5, eta=12.3))
    assert "4 before you, about 12 s" in terminal.getvalue()
    progress.on_custom_event(QUEUE, {"rank": 0, "queue_size": 1, "eta": None})
    assert terminal.getvalue().endswith("next")
    progress(NoticeEvent("unrelated"))
    progress(StartEvent())
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_the_progress_line_keeps_to_one_row_of_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal()
    QueueProgressCallbackHandler(terminal)(QueueEvent(rank=4, queue_size=5, eta=12.3))
    assert len(terminal.getvalue().rpartition("\x1b[2K")[2]) == 29


def test_the_progress_line_is_not_written_to_a_file():
    file = io.StringIO()
    QueueProgressCallbackHandler(file)(QueueEvent(rank=1, queue_size=2))
    assert file.getvalue() == ""


CELL = """
from langchain_qwen_space import QueueProgressCallbackHandler
from langchain_qwen_space.events import QueueEvent, StartEvent

progress = QueueProgressCallbackHandler()
progress(QueueEvent(rank=3, queue_size=4, eta=5.0))
"""


@pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery
def test_the_progress_line_in_a_notebook_is_one_output_that_ends_empty():
    cells = [
        nbformat.v4.new_code_cell(CELL),
        nbformat.v4.new_code_cell(CELL + "progress(StartEvent())"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    waiting, over = (cell.outputs for cell in notebook.cells)
    assert "3 before you, about 5 s" in waiting[0].data["text/plain"]
    assert [output.data for output in over] == [{"text/plain": ""}]
