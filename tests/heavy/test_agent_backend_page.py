"""The example's page in a real browser, and the command that starts it."""

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.examples.answers import answer
from tests.integration_tests.examples.service import content, serving, until_it_says

playwright = pytest.importorskip("playwright.async_api")
expect = playwright.expect
expect.set_options(timeout=30_000)  # milliseconds
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    """A Space that answers one caller at a time, slowly enough to be watched."""
    with LocalSpace(answer, concurrency=1, pace=0.02) as space:
        yield space.url


@pytest.fixture
async def url(space: str, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(space, f"sqlite:///{tmp_path / 'agent.db'}") as url:
        yield url


@pytest.fixture
async def browser() -> AsyncIterator:
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--host-resolver-rules=MAP agent.example 127.0.0.1"],
        )
        yield browser
        await browser.close()


async def visit(browser, url: str):
    """The page as a new user sees it, in a context with cookies of its own."""
    page = await (await browser.new_context()).new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    await page.goto(url)
    return page


async def ask(page, question: str) -> None:
    await page.locator("#question").fill(question)
    await page.locator("#question").press("Enter")


async def test_a_message_is_answered_with_a_tool_call_and_its_result(browser, url):
    page = await visit(browser, url)
    await ask(page, "What is 6 times 7?")
    tool = page.locator(".tool")
    await expect(tool).to_have_text(
        'calculate({"left":6,"operation":"times","right":7})\n→ 42', use_inner_text=True
    )
    await expect(page.locator(".text")).to_have_text("The tools said: 42")
    await expect(page.locator("#status")).to_be_empty()
    await expect(page.locator("#send")).to_be_visible()
    before = await page.locator("#log").inner_html()
    await page.reload()
    await expect(page.locator(".text")).to_have_text("The tools said: 42")
    assert await page.locator("#log").inner_html() == before
    await page.locator("#new").click()
    await expect(page.locator("#log > *")).to_have_count(0)
    assert page.faults == []


async def test_text_is_seen_while_it_streams_and_stop_ends_the_call(browser, url, tmp_path):
    calls, page = tmp_path / "calls", await visit(browser, url)
    await ask(page, f"write until left: {calls}")
    await expect(page.locator(".text")).to_contain_text("On and on and on")
    seen = await page.locator(".text").inner_text()
    await expect(page.locator(".text")).to_contain_text(f"{seen} and on")
    assert content(calls) == "open\n"
    await page.locator("#stop").click()
    await expect(page.locator("#status")).to_have_text("Stopped.")
    await until_it_says(calls, "open\nclosed\n")
    await ask(page, "echo: here again")
    await expect(page.locator(".text").last).to_have_text("here again")
    assert page.faults == []


async def test_who_waits_sees_it_and_gets_the_slot_of_a_page_that_is_closed(browser, url, tmp_path):
    calls = tmp_path / "calls"
    first, second = await visit(browser, url), await visit(browser, url)
    await ask(first, f"write until left: {calls}")
    await expect(first.locator(".text")).to_be_visible()
    await ask(second, "echo: my turn")
    await expect(second.locator("#status")).to_contain_text("Waiting for the Space: you are next")
    await first.close()
    await expect(second.locator(".text")).to_have_text("my turn")
    assert content(calls) == "open\nclosed\n"
    await expect(second.locator(".question")).to_have_count(1)  # its own, nobody else's
    assert second.faults == []


async def test_an_error_is_shown_in_plain_words(browser, url):
    page = await visit(browser, url)
    await ask(page, "break off")
    await expect(page.locator(".text")).to_have_text("Half of it")
    await expect(page.locator(".error")).to_contain_text("failed without saying why")
    await expect(page.locator("#send")).to_be_visible()


async def test_what_a_model_writes_is_text_and_no_markup(browser, url):
    page = await visit(browser, url)
    await ask(page, "echo: <img src=x onerror=alert(1)>")
    await expect(page.locator(".text")).to_have_text("<img src=x onerror=alert(1)>")
    assert await page.locator("#log img").count() == 0


async def test_a_second_tab_shows_the_conversation_once(browser, url):
    page = await visit(browser, url)
    await ask(page, "echo: only once")
    await expect(page.locator(".text")).to_have_text("only once")
    second = await page.context.new_page()
    await second.goto(url)
    await expect(second.locator(".text")).to_have_text("only once")
    await second.wait_for_load_state("networkidle")
    await expect(second.locator(".question")).to_have_count(1)


async def test_a_conversation_that_loads_slowly_does_not_appear_in_a_new_one(browser, url):
    page = await visit(browser, url)
    await ask(page, "echo: the old one")
    await expect(page.locator(".text")).to_have_text("the old one")
    held, let_go, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(route) -> None:
        response = await route.fetch()
        held.set()
        await let_go.wait()
        with suppress(playwright.Error):  # the page may have left this request by now
            await route.fulfill(response=response)
        answered.set()

    await page.route("**/conversations/*", hold)
    await page.reload()
    await held.wait()
    await page.unroute("**/conversations/*")
    await page.locator("#new").click()
    await ask(page, "echo: the new one")
    await expect(page.locator(".text")).to_have_text("the new one")
    let_go.set()
    await answered.wait()
    await page.evaluate("fetch('/').then(response => response.text())")  # a whole turn later
    await expect(page.locator(".question")).to_have_text("echo: the new one")
    assert page.faults == []


async def test_who_scrolls_up_is_left_there_while_an_answer_streams(browser, url, tmp_path):
    page = await visit(browser, url)
    await page.set_viewport_size({"width": 360, "height": 400})
    await ask(page, f"write until left: {tmp_path / 'calls'}")
    # In a page, `log` is the element with this id.
    await page.wait_for_function("log.scrollHeight > 3 * log.clientHeight")
    await page.evaluate("log.scrollTop = 0")
    length = len(await page.locator(".text").inner_text())
    await expect(page.locator(".text")).to_have_text(re.compile(f".{{{length + 100}}}"))
    assert await page.evaluate("log.scrollTop") == 0
    await page.evaluate("log.scrollTop = log.scrollHeight")
    height = await page.evaluate("log.scrollHeight")
    await page.wait_for_function(f"log.scrollHeight > {height}")
    await page.wait_for_function("log.scrollHeight - log.scrollTop - log.clientHeight < 80")


async def test_it_works_over_plain_http_from_another_machine(browser, url):
    # A host that is not localhost: browsers keep some functions from such pages.
    page = await visit(browser, url.replace("127.0.0.1", "agent.example"))
    assert await page.evaluate("[isSecureContext, typeof crypto.randomUUID]") == [
        False,
        "undefined",
    ]
    await ask(page, "echo: from afar")
    await expect(page.locator(".text")).to_have_text("from afar")
    assert page.faults == []


@contextmanager
def started(tmp_path: Path, port: int) -> Iterator[subprocess.Popen]:
    """The command, as a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.agent_backend", "--port", str(port)],
        cwd=Path(__file__).parents[2],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DATABASE_URL": f"sqlite:///{tmp_path / 'agent.db'}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_one_command_starts_it_all_and_stops_while_it_answers(tmp_path, stop):
    with started(tmp_path, 0) as process:
        lines = iter(process.stdout.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            client.get("/")
            reply = client.post("/conversations/talk", json={"text": "What is 6 times 7?"})
            assert '"text": "42"' in reply.text
            with client.stream("POST", "/conversations/b", json={"text": "count to 9999"}) as long:
                next(line for line in long.iter_lines() if line == "event: text")
                process.send_signal(stop)
                assert process.stdout.read() == ""
                assert process.wait(30) == 0


def test_ctrl_c_during_the_start_ends_it_without_a_word(tmp_path):
    with started(tmp_path, 0) as process:
        assert process.stdout.readline().startswith("Starting a Space")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(30) == 0


def test_a_port_in_use_is_reported_first_and_alone(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with started(tmp_path, port) as process:
            said = process.stdout.read()
            assert process.wait(30) == 1
    assert said.startswith(f"The service cannot listen on port {port} of 127.0.0.1")
    assert len(said.splitlines()) == 1
