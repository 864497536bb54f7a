"""The page in a real browser: a message is sent, its answer grows before one's eyes, rendered."""

import shutil
from collections.abc import Iterator

import pytest

from tests.integration_tests.serve.running import PATIENCE, Served, serving

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
    sync_api.expect.set_options(timeout=PATIENCE * 1000)
    page = browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(served.url)
    yield page
    page.close()


def send(page: "sync_api.Page", text: str) -> "sync_api.Locator":
    """Type and send; returns the newest answer."""
    page.get_by_label("Input").fill(text)
    page.get_by_role("button", name="Send").click()
    return page.get_by_test_id("bot").last


def test_an_answer_is_seen_before_it_is_complete(page):
    page.evaluate(NOTE_WHAT_IS_SEEN)
    answer = send(page, "count to 100")
    sync_api.expect(answer).to_contain_text("100")
    lengths = page.evaluate("[...window.seen]")
    assert len(lengths) > 5, "it was not shown while it grew"
    assert lengths == sorted(lengths)
    assert page.get_by_label("Input").input_value() == ""


def test_markdown_becomes_elements(page):
    answer = send(page, "markdown, please")
    sync_api.expect(answer).to_contain_text("🙂")
    sync_api.expect(answer.locator("h1")).to_have_text("A heading")
    sync_api.expect(answer.locator("strong")).to_have_text("bold")
    sync_api.expect(answer.locator("code")).to_have_text("code")
    sync_api.expect(answer.locator("table td").first).to_have_text("Earth")


def test_a_second_question_is_answered_with_the_first_one_known(page):
    sync_api.expect(send(page, "echo: one")).to_have_text("one")
    answer = send(page, "Hello!")
    sync_api.expect(answer).to_contain_text("This is turn 2 of our conversation.")
    sync_api.expect(answer).to_contain_text("Before, you said: “echo: one”")


def test_a_system_prompt_and_a_model_that_are_chosen_clear_and_name_the_conversation(page):
    send(page, "echo: one")
    page.get_by_label("System").fill("Be brief.")
    page.get_by_role("button", name="Set system prompt and clear history").click()
    sync_api.expect(page.get_by_test_id("bot")).to_have_count(0)
    page.get_by_label("Coder-7B", exact=True).check()
    sync_api.expect(page.get_by_text("Qwen2.5-Coder-7B-instruct", exact=True)).to_be_visible()
    sync_api.expect(send(page, "Hello!")).to_contain_text("no qwen2.5-coder-7b-instruct is behind")
