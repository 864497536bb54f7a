"""The same programs on ChatOpenAI and on ChatQwenSpace: equal, or in the table of differences."""

import gc
import re
from pathlib import Path

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

from langchain_qwen_space import ChatQwenSpace
from tests.integration_tests.programs.openai_api import openai_api
from tests.integration_tests.programs.programs import PROGRAMS, RUNNER, in_turn

PAGE = Path(__file__).parents[3] / "docs/explanation/chat-openai.md"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* has no input for"),
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def openai():
    with openai_api() as url:
        # Each program has an event loop of its own, which a kept connection would outlive.
        client = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
        yield ChatOpenAI(
            base_url=url,
            api_key="x",
            model="gpt-4o-mini",
            max_retries=0,
            http_async_client=client,
        )
    RUNNER.close()
    gc.collect()  # what a program left open is collected here, not in another module's test


@pytest.fixture
def space(space_url):
    return ChatQwenSpace(space=space_url, model="72B", max_retries=0)


def differences():
    """The programs that the page lists as different, in the table that opens it."""
    programs, _, _ = PAGE.read_text(encoding="utf-8").partition("\n## ")
    return set(re.findall(r"^\| `(\w+)` \|", programs, re.MULTILINE))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_the_same_or_is_listed(openai, space, name):
    theirs, ours = PROGRAMS[name](openai), PROGRAMS[name](space)
    if name in differences():
        assert ours != theirs, "equal: take it off the page"
    else:
        assert ours == theirs


def test_the_page_lists_programs_only():
    assert len(PROGRAMS) >= 40
    assert differences() <= PROGRAMS.keys()


def test_fallbacks_go_both_ways_with_histories_of_either(openai, space):
    for failing, other in ((openai, space), (space, openai)):
        both = failing.with_fallbacks([other])
        answer = other.bind_tools([_look]).invoke(
            in_turn('<tool_call>\n{"name": "_look", "arguments": {"at": "x"}}\n</tool_call>')
        )
        assert answer.tool_calls
        blocks = AIMessage(answer.content_blocks, tool_calls=answer.tool_calls)
        for spoken in (answer, blocks):
            result = ToolMessage("seen", tool_call_id=answer.tool_calls[0]["id"])
            history = [
                HumanMessage("Look."),
                spoken,
                result,
                AIMessage("Well."),
                HumanMessage("echo: hi"),
            ]
            assert both.invoke(history).content == "hi"
            assert "".join(chunk.text for chunk in both.stream(history)) == "hi"
    broken = ChatOpenAI(
        base_url="http://127.0.0.1:9/v1", api_key="x", model="m", max_retries=0, seed=1
    )
    asked = broken.bind(seed=1, frequency_penalty=0.1).with_fallbacks([space.bind(seed=1)])
    assert asked.invoke("echo: hi").content == "hi"
    closed = ChatQwenSpace(space="http://127.0.0.1:9", max_retries=0)
    assert closed.with_fallbacks([openai]).invoke("echo: hi").content == "hi"


def _look(at: str) -> str:
    """Look at something."""
    return at
