"""The page in a real browser: a message is sent, its answer grows before one's eyes, rendered."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration_tests.serve.openai_server import openai_server
from tests.integration_tests.serve.running import PATIENCE, Served, serving
from tests.pictures import RED

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


# The lengths of the newest answer that were on the page, however briefly.
NOTE_WHAT_IS_SEEN = """() => {
    window.seen = new Set();
    const note = () => {
        const answers = document.querySelectorAll("[data-testid=bot]");
        if (answers.length) window.seen.add(answers[answers.length - 1].innerText.length);
    };
    new MutationObserver(note).observe(
        document.body, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        # Without a sandbox, since tests mostly run as root in a container.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(served, browser) -> Iterator["sync_api.Page"]:
    with visiting(served, browser, 1280, 800) as page:
        yield page


@contextmanager
def visiting(served: Served, browser, width: int, height: int) -> Iterator["sync_api.Page"]:
    sync_api.expect.set_options(timeout=PATIENCE * 1000)
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(served.url)
    sync_api.expect(question(page)).to_be_visible()
    yield page
    page.close()


def question(page: "sync_api.Page") -> "sync_api.Locator":
    return page.get_by_test_id("textbox").first  # before the system prompt


def button(page: "sync_api.Page", text: str) -> "sync_api.Locator":
    return page.locator("button", has_text=re.compile(f"^{text}$"))


def send(page: "sync_api.Page", text: str) -> "sync_api.Locator":
    """Type and send; returns the newest answer."""
    box = question(page)
    sync_api.expect(box).to_be_enabled()
    box.fill(text)
    button(page, "Send").click()
    sync_api.expect(page.get_by_test_id("user").last).to_have_text(text)
    return page.get_by_test_id("bot").last


def test_an_answer_is_seen_before_it_is_complete(page):
    page.evaluate(NOTE_WHAT_IS_SEEN)
    answer = send(page, "count to 100")
    sync_api.expect(answer).to_contain_text("100")
    lengths = page.evaluate("[...window.seen]")
    assert len(lengths) > 5, "it was not shown while it grew"
    assert lengths == sorted(lengths)
    sync_api.expect(question(page)).to_have_value("")


def test_a_picture_that_is_attached_is_looked_at(page):
    page.get_by_test_id("file-upload").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": RED}
    )
    sync_api.expect(
        page.get_by_test_id("thumbnail-item").or_(page.locator(".thumbnail-item"))
    ).to_be_visible()
    question(page).fill("What is it?")
    button(page, "Send").click()
    sync_api.expect(page.get_by_test_id("bot").last).to_contain_text("8 x 8 pixels")
    sync_api.expect(page.get_by_test_id("bot").last).to_contain_text("mostly red")


def test_markdown_becomes_elements(page):
    answer = send(page, "markdown, please")
    sync_api.expect(answer).to_contain_text("🙂")
    sync_api.expect(answer.locator("h1")).to_have_text("A heading")
    sync_api.expect(answer.locator("strong")).to_have_text("bold")
    sync_api.expect(answer.locator("code")).to_have_text("code")
    sync_api.expect(answer.locator("table td").first).to_have_text("Earth")


def test_a_second_question_is_answered_with_the_first_one_known(page):
    sync_api.expect(send(page, "echo: one")).to_have_text("one")
    sync_api.expect(button(page, "Send")).to_be_visible()
    answer = send(page, "Hello!")
    sync_api.expect(answer).to_contain_text("This is turn 2 of our conversation.")
    sync_api.expect(answer).to_contain_text("Before, you said: “echo: one”")


def test_stop_takes_the_place_of_send_and_ends_the_answer(page):
    send(page, "count to 99999")
    stop = button(page, "Stop")
    sync_api.expect(stop).to_be_visible()
    sync_api.expect(button(page, "Send")).to_be_hidden()
    stop.click()
    sync_api.expect(button(page, "Send")).to_be_visible()
    sync_api.expect(stop).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 800), (3840, 2160)])
def test_it_is_one_column_with_the_box_in_view_and_says_who_answers(served, browser, width, height):
    with visiting(served, browser, width, height) as page:
        sync_api.expect(page).to_have_title("A demo")
        sync_api.expect(page.get_by_role("heading", name="A demo")).to_be_visible()
        sync_api.expect(
            page.get_by_text("A script answers here, not a language model.")
        ).to_be_visible()
        sync_api.expect(page.get_by_label("System prompt")).to_be_hidden()  # in its drawer
        send(page, "count to 100")
        sync_api.expect(page.get_by_test_id("bot").last).to_contain_text("100")
        for part in (question(page), button(page, "Send")):
            box = part.bounding_box()
            assert 0 <= box["x"] <= box["x"] + box["width"] <= width
            assert 0 <= box["y"] <= box["y"] + box["height"] <= height
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert "Qwen" not in page.inner_text("body")


def test_the_system_prompt_of_the_drawer_reaches_the_answer(browser, tmp_path):
    with openai_server() as upstream:
        options = ("--backend", "openai", "--base-url", upstream.url, "--model", "tiny")
        with (
            serving(tmp_path, *options, OPENAI_API_KEY="sk-1") as served,
            visiting(served, browser, 360, 640) as page,
        ):
            sync_api.expect(page).to_have_title("tiny")
            assert page.inner_text("body").count("tiny") == 1  # its name is there once
            page.get_by_role("button", name="System prompt").click()
            page.get_by_label("System prompt").fill("Be brief.")
            sync_api.expect(send(page, "say hello")).to_have_text("hello")
            [asked] = upstream.bodies
            assert asked["messages"] == [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "say hello"},
            ]
