"""What a person does on the page."""

import asyncio

import pytest

playwright = pytest.importorskip("playwright.async_api")
expect = playwright.expect
expect.set_options(timeout=30_000)  # milliseconds


async def visit(browser, url: str, width: int = 1280, height: int = 800, **context):
    """The page as a new user sees it, in a context with cookies of its own."""
    size = {"width": width, "height": height}
    return await tab(await browser.new_context(viewport=size, **context), url)


async def tab(context, url: str):
    """A tab of a browser that has been here, or has not."""
    page = await context.new_page()
    page.set_default_timeout(30_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    # What a policy forbids is reported on the console alone.
    page.on("console", lambda said: said.type == "error" and page.faults.append(said.text))
    await page.goto(url)
    return page


async def until(page, condition: str) -> None:
    """Wait for a condition in JavaScript. (Playwright's own wait needs what the page forbids.)"""
    async with asyncio.timeout(30):
        while not await page.evaluate(condition):
            await asyncio.sleep(0.05)


async def ask(page, question: str) -> None:
    await expect(page.locator("body[inert]")).to_have_count(0)  # as a person cannot type before
    await page.locator("#question").fill(question)
    await page.locator("#question").press("Enter")


async def answered(page, question: str) -> None:
    """Ask, and wait until the answer is complete."""
    turns = page.locator(".turn")
    before = await turns.count()
    await ask(page, question)
    await expect(turns).to_have_count(before + 1)
    await expect(turns.last.locator(".actions")).to_be_visible()
    await expect(page.locator("#send")).to_be_visible()
