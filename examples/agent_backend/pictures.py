# ruff: noqa: T201  it is a command
"""Takes the pictures of the agent's page that are in the documentation: ``docs/pictures/agent-*.png``.

    python -m examples.agent_backend.pictures

Needs Chromium, the dependency group ``heavy``, and the extra ``local``. The demo answers, so the
pictures change only when the page does.
"""

import asyncio
import io
import shutil
import socket
import tempfile
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.async_api import Page, async_playwright, expect

from langchain_qwen_space.local import LocalSpace

from .app import create_app

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
COLORS = 64  # of a palette: as good to look at, and a third of the size


async def main() -> None:
    """Take all pictures."""
    with (
        LocalSpace(pace=0) as space,
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        app = create_app(
            space=space.url,
            database_url=f"sqlite:///{folder}/agent.db",
            note="A demo on this machine answers, not a language model.",
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve([listener]))
        try:
            await take(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            await serving


async def take(url: str) -> None:
    """Visit the service, first on a desktop, then on a phone in the dark."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = await browser.new_page(viewport={"width": 1120, "height": 860})
        await page.goto(url)
        await ask(page, "Save a note: buy milk")
        await page.locator("#new").click()
        await ask(page, "Write some code")
        await page.locator("#new").click()
        await ask(page, "What is 6 times 7?")
        await page.locator(".tool summary").click()
        await ask(page, "Show me what Markdown can do")
        await page.evaluate("log.scrollTop = 0")
        await save(page, "agent-wide")

        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 360, "height": 700})
        await save(page, "agent-phone")
        await browser.close()


async def ask(page: Page, question: str) -> None:
    """Ask, and wait for the whole answer."""
    await page.locator("#question").fill(question)
    await page.locator("#question").press("Enter")
    await expect(page.locator(".turn").last.locator(".question")).to_have_text(question)
    await expect(page.locator(".turn").last.locator(".actions")).to_be_visible()


async def save(page: Page, name: str) -> None:
    """Write one picture."""
    # Nothing that is still moving.
    await page.evaluate("Promise.all(document.getAnimations().map(moving => moving.finished))")
    picture = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    path = PICTURES / f"{name}.png"
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    asyncio.run(main())
