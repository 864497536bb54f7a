"""The page at several widths, in both themes, for assistive technology, and on a slow network."""

import asyncio

import pytest

from tests.heavy.agent_page.visiting import answered, ask, expect, visit

axe = pytest.importorskip("axe_playwright_python.async_playwright")
pytestmark = pytest.mark.heavy

WIDTHS = [(360, 740), (1280, 800), (3840, 2160)]
WIDE = (
    "echo: | a | b |\n| --- | --- |\n| " + "word " * 60 + "| " + "longword" * 60 + " |\n\n```\n"
    f"{'code ' * 100}\n```\n\n{'unbreakable' * 40} and `{'code' * 100}` and $x = {'a+' * 100} b$"
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), WIDTHS)
async def test_no_serious_fault_is_found_at_any_width(browser, url, width, height, scheme):
    page = await visit(browser, url, width, height, color_scheme=scheme)
    await expect(page.locator("#empty")).to_be_visible()
    await expect(page.locator("#note")).not_to_be_empty()
    faults = await serious(page)
    await answered(page, "What is 6 times 7?")
    await page.locator(".tool summary").click()
    await answered(page, "markdown, please")
    await answered(page, WIDE)
    await ask(page, "break off")
    await expect(page.locator(".error")).to_be_visible()
    faults += await serious(page)
    if await page.locator("#menu").is_visible():
        await page.locator("#menu").click()
        await expect(page.locator("#new")).to_be_focused()
    await page.locator("#list li").hover()
    faults += await serious(page)
    await page.get_by_role("button", name="Delete “").click()
    faults += await serious(page)
    assert faults == []
    assert page.faults == []


async def serious(page) -> list[str]:
    """What axe-core calls serious or critical in what is shown now."""
    # A drawer that is still sliding in has no colors to measure.
    await page.evaluate("Promise.all(document.getAnimations().map(moving => moving.finished))")
    found = (await axe.Axe().run(page)).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['html']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("width", "height"), WIDTHS)
async def test_nothing_is_cut_off_at_any_width(browser, url, width, height):
    page = await visit(browser, url, width, height)
    await answered(page, WIDE)
    await answered(page, "What is 6 times 7?")
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert await page.evaluate("log.scrollWidth - log.clientWidth") == 0
    for part in ("#question", "#send", "#title", ".question >> nth=0", ".tool", "#note"):
        box = await page.locator(part).bounding_box()
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= width, part
    box = await page.locator("#question").bounding_box()
    assert box["y"] + box["height"] <= height
    await expect(page.locator("#side")).to_be_visible(visible=width > 768)


async def test_the_drawer_opens_and_closes_with_the_keyboard(browser, url):
    page = await visit(browser, url, 360, 740)
    await answered(page, "echo: hello")
    side = page.locator("#side")
    await page.locator("#menu").press("Enter")
    await expect(side).to_be_visible()
    await expect(page.locator("#menu")).to_have_attribute("aria-expanded", "true")
    await page.keyboard.press("Escape")
    await expect(side).to_be_hidden()
    await expect(page.locator("#menu")).to_be_focused()
    await page.locator("#menu").press("Enter")
    await page.locator("#list a").press("Enter")
    await expect(side).to_be_hidden()


async def test_the_theme_follows_the_system_until_one_is_chosen(browser, url):
    page = await visit(browser, url, color_scheme="dark")
    color = "getComputedStyle(document.documentElement).backgroundColor"
    dark = await page.evaluate(color)
    await page.locator("#theme").select_option("Light")
    assert await page.evaluate(color) != dark
    light = await page.evaluate(color)
    await page.reload()
    await expect(page.locator("#theme")).to_have_value("light")
    assert await page.evaluate(color) == light
    await page.locator("#theme").select_option("System")
    assert await page.evaluate(color) == dark


@pytest.mark.parametrize(("width", "height"), WIDTHS)
async def test_a_slow_network_mixes_nothing(browser, url, width, height):
    page = await visit(browser, url, width, height)
    await answered(page, "echo: the first")
    first = page.url
    new = page.locator("#new-short") if width < 768 else page.locator("#new")

    async def late(route) -> None:
        await asyncio.sleep(1.5)
        await route.continue_()

    await page.context.route("**/*", late)
    await page.reload(wait_until="commit")
    await new.click()
    await ask(page, "echo: the second")
    await ask(page, "echo: too early")  # while an answer is on its way, this stays in the box
    await expect(page.locator(".turn")).to_have_count(1)
    await expect(page.locator(".text")).to_have_text("the second")
    await expect(page.locator("#question")).to_have_value("echo: too early")
    second = page.url

    # A question that is asked before what was said has come stands after it.
    await page.goto(first)
    await page.reload(wait_until="commit")
    await ask(page, "echo: the third")
    await expect(page.locator(".text")).to_have_text(["the first", "the third"])
    await page.goto(second, wait_until="commit")
    await page.goto(first, wait_until="commit")
    await page.goto(second, wait_until="commit")
    await expect(page.locator(".text")).to_have_text(["the second"])
    await expect(page.locator("#list a")).to_have_text(["echo: the first", "echo: the second"])
    assert page.faults == []
