"""What the page does: asking, stopping, waiting, and keeping conversations apart."""

import asyncio
import re
from contextlib import suppress

import pytest

from tests.heavy.agent_page.visiting import answered, ask, expect, playwright, tab, until, visit
from tests.integration_tests.examples.service import content, until_it_says

pytestmark = pytest.mark.heavy


async def test_a_question_is_answered_with_a_tool_call_and_its_result(browser, url):
    page = await visit(browser, url)
    await expect(page.locator("#empty")).to_be_visible()
    await answered(page, "What is 6 times 7?")
    await expect(page.locator("#empty")).to_be_hidden()
    tool = page.locator(".tool")
    await expect(tool.locator("summary")).to_have_text(
        re.compile(r"calculate left: 6, operation: times, right: 7 Done")
    )
    await expect(tool.locator("pre")).to_be_hidden()  # folded
    await tool.locator("summary").press("Enter")
    assert await tool.locator("dt").all_inner_texts() == ["left", "operation", "right"]
    assert await tool.locator("dd").all_inner_texts() == ["6", "times", "7"]
    await expect(tool.locator("pre")).to_have_text("42")
    await expect(page.locator(".text")).to_have_text("The tools said: 42")
    await expect(page.locator("#status")).to_be_empty()
    await tool.locator("summary").press("Enter")
    before = await page.locator("#log").inner_html()
    await page.reload()
    await expect(page.locator(".text")).to_have_text("The tools said: 42")
    assert await page.locator("#log").inner_html() == before
    await page.locator("#new").click()
    await expect(page.locator(".turn")).to_have_count(0)
    await expect(page.locator("#empty")).to_be_visible()
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


async def test_a_second_tab_shows_the_conversation_once(browser, url):
    page = await visit(browser, url)
    await ask(page, "echo: only once")
    await expect(page.locator(".text")).to_have_text("only once")
    second = await tab(page.context, url)
    await expect(second.locator(".text")).to_have_text("only once")
    await second.wait_for_load_state("networkidle")
    await expect(second.locator(".question")).to_have_count(1)


async def test_a_conversation_that_loads_slowly_does_not_appear_in_a_new_one(browser, url):
    page = await visit(browser, url)
    await ask(page, "echo: the old one")
    await expect(page.locator(".text")).to_have_text("the old one")
    held, let_go, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(route) -> None:
        held.set()
        await let_go.wait()
        with suppress(playwright.Error):  # the page may have left this request by now
            await route.fulfill(response=await route.fetch())
        answered.set()

    await page.route("**/conversations/*", hold, times=1)
    await page.reload()
    await held.wait()
    await page.locator("#new").click()
    await ask(page, "echo: the new one")
    await expect(page.locator(".text")).to_have_text("the new one")
    let_go.set()
    await answered.wait()
    await page.evaluate("fetch('/').then(response => response.text())")  # a round trip later
    await expect(page.locator(".question")).to_have_text("echo: the new one")
    assert page.faults == []


async def test_who_scrolls_up_is_left_there_while_an_answer_streams(browser, url, tmp_path):
    page = await visit(browser, url)
    await page.set_viewport_size({"width": 360, "height": 400})
    await ask(page, f"write until left: {tmp_path / 'calls'}")
    # In a page, `log` is the element with this id.
    await until(page, "log.scrollHeight > 3 * log.clientHeight")
    await page.evaluate("log.scrollTop = 0")
    length = len(await page.locator(".text").inner_text())
    await expect(page.locator(".text")).to_have_text(re.compile(f".{{{length + 100}}}"))
    assert await page.evaluate("log.scrollTop") == 0
    await page.evaluate("log.scrollTop = log.scrollHeight")
    height = await page.evaluate("log.scrollHeight")
    await until(page, f"log.scrollHeight > {height}")
    await until(page, "log.scrollHeight - log.scrollTop - log.clientHeight < 80")


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


async def test_conversations_are_answered_side_by_side(browser, url, tmp_path):
    page = await visit(browser, url)
    await answered(page, "echo: the first")
    first = page.url
    calls = tmp_path / "calls"
    await ask(page, f"write until left: {calls}")
    await expect(page.locator(".text").last).to_contain_text("On and on")
    await page.locator("#question").fill("a draft of the first")
    await page.locator("#new").click()
    await expect(page.locator("#question")).to_have_value("")
    await ask(page, "echo: the second")
    await expect(page.locator("#status")).to_contain_text("you are next")
    await expect(page.locator("#list .busy")).to_have_count(2)
    assert content(calls) == "open\n"  # it continues while another one is shown
    await page.go_back()
    assert page.url == first
    await expect(page.locator("#question")).to_have_value("a draft of the first")
    await page.locator("#stop").click()
    await until_it_says(calls, "open\nclosed\n")
    await expect(page.locator(".question")).to_have_count(2)
    await page.locator("#list a", has_text="the second").click()
    await expect(page.locator(".text")).to_have_text("the second")
    await expect(page.locator(".question")).to_have_count(1)
    assert page.faults == []


async def test_the_list_names_renames_and_deletes_in_every_tab(browser, url):
    page = await visit(browser, url)
    await answered(page, "echo: of herons")
    await page.locator("#new").click()
    await answered(page, "echo: of storks")
    titles = page.locator("#list a")
    await expect(titles).to_have_text(["echo: of storks", "echo: of herons"])
    await expect(page).to_have_title("echo: of storks · Agent")
    second = await tab(page.context, url)
    await expect(second.locator(".text")).to_have_text("of storks")

    await page.get_by_role("button", name="Rename “echo: of storks”").click()
    await page.keyboard.type("Birds")
    await page.keyboard.press("Enter")
    await expect(titles).to_have_text(["Birds", "echo: of herons"])
    await expect(titles.first).to_be_focused()
    await expect(second.locator("#list a")).to_have_text(["Birds", "echo: of herons"])
    await page.get_by_role("button", name="Rename “echo: of herons”").click()
    await page.keyboard.type("no")
    await page.keyboard.press("Escape")
    await expect(titles).to_have_text(["Birds", "echo: of herons"])

    await page.get_by_role("button", name="Delete “Birds”").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(titles).to_have_count(2)
    await page.get_by_role("button", name="Delete “Birds”").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for each in (page, second):
        await expect(each.locator("#list a")).to_have_text(["echo: of herons"])
        await expect(each.locator(".turn")).to_have_count(0)
    await page.reload()
    await expect(titles).to_have_text(["echo: of herons"])
    assert page.faults == second.faults == []


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_list_that_comes_late_takes_nothing_back(browser, url, deleted):
    page = await visit(browser, url)
    await answered(page, "echo: of herons")
    titles = page.locator("#list a")
    await expect(titles).to_have_text(["echo: of herons"])
    await page.wait_for_load_state("networkidle")
    held, let_go, given = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(route) -> None:
        response = await route.fetch()  # the list as it is before the change
        held.set()
        await let_go.wait()
        await route.fulfill(response=response)
        given.set()

    await page.route(re.compile(r"/conversations$"), hold, times=1)
    await page.evaluate("new BroadcastChannel('conversations').postMessage({id: 'another'})")
    await held.wait()
    if deleted:
        await page.get_by_role("button", name="Delete “").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    else:
        await page.get_by_role("button", name="Rename “").click()
        await page.keyboard.type("Birds")
        await page.keyboard.press("Enter")
    left = [] if deleted else ["Birds"]
    await expect(titles).to_have_text(left)
    let_go.set()
    await given.wait()
    await page.evaluate("fetch('/').then(response => response.text())")  # a round trip later
    assert await titles.all_inner_texts() == left
    assert page.faults == []


async def test_tabs_on_one_conversation_agree_when_an_answer_is_complete(browser, url):
    first = await visit(browser, url)
    await answered(first, "echo: zero")
    second = await tab(first.context, first.url)
    await expect(second.locator(".text")).to_have_text("zero")
    await ask(first, "echo: one")
    await ask(second, "echo: two")
    for each in (first, second):
        await expect(each.locator(".turn")).to_have_count(3)
        said = await each.locator(".turn").all_inner_texts()
        assert sorted("".join(turn.split()) for turn in said) == [
            "echo:oneone",
            "echo:twotwo",
            "echo:zerozero",
        ]
    assert await first.locator(".turn").all_inner_texts() == said


async def test_asking_again_replaces_the_answer(browser, url):
    page = await visit(browser, url)
    await ask(page, "break off")
    await expect(page.locator(".error")).to_be_visible()
    await page.get_by_role("button", name="Ask again").click()
    await expect(page.locator("#stop")).to_be_visible()
    await expect(page.locator("#send")).to_be_visible()
    await expect(page.locator(".turn")).to_have_count(1)
    await page.reload()
    await expect(page.locator(".text")).to_have_text("Half of it")
    await expect(page.locator(".question")).to_have_count(1)


async def test_a_service_that_cannot_be_reached_keeps_the_question(browser, url):
    page = await visit(browser, url)
    await answered(page, "echo: before")
    await page.context.set_offline(True)
    await ask(page, "echo: after")
    await expect(page.locator(".error")).to_have_text("The service cannot be reached.")
    await page.context.set_offline(False)
    await page.get_by_role("button", name="Ask again").last.click()
    await expect(page.locator(".text").last).to_have_text("after")
    await expect(page.locator(".error")).to_have_count(0)
    await page.reload()
    await expect(page.locator(".question")).to_have_text(["echo: before", "echo: after"])


@pytest.mark.parametrize("host", ["127.0.0.1", "agent.example"])
async def test_an_answer_is_copied_as_it_was_written(browser, url, host):
    page = await visit(browser, url.replace("127.0.0.1", host))
    await answered(page, "echo: some **bold** words")
    await expect(page.locator(".text strong")).to_have_text("bold")
    await page.locator(".actions").get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    await page.locator("#question").focus()
    await page.keyboard.press("Control+V")
    await expect(page.locator("#question")).to_have_value("some **bold** words")


async def test_the_box_grows_and_enter_sends_where_it_should(browser, url):
    page = await visit(browser, url)
    box = page.locator("#question")
    await expect(box).to_be_focused()
    one_line = (await box.bounding_box())["height"]
    await page.keyboard.type("echo: a")
    for _ in range(5):
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("b")
    assert (await box.bounding_box())["height"] > 3 * one_line
    await expect(page.locator(".turn")).to_have_count(0)
    # An input method's Enter chooses a word, and sends nothing.
    await box.evaluate(
        "box => box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true}))"
    )
    await expect(page.locator(".turn")).to_have_count(0)
    await page.keyboard.press("Enter")
    await expect(page.locator(".question")).to_have_text(
        "echo: a\nb\nb\nb\nb\nb", use_inner_text=True
    )
    assert (await box.bounding_box())["height"] == one_line
    await expect(page.locator("#send")).to_be_visible()
    await box.fill("x" * 20_001)
    await page.keyboard.press("Enter")
    await expect(page.locator("#status")).to_contain_text("Too long: 20001 characters")
    assert len(await box.input_value()) == 20_001
