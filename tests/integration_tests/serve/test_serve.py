"""`qwen-space serve` as a process: what it prints, whom it lets in, how it ends."""

import asyncio
import contextlib
import signal
import subprocess
import sys

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import QueueFullError, QwenSpaceError, SpaceAuthenticationError
from tests.pictures import BLUE, image

from .running import COMMAND, PATIENCE, serving


def test_the_line_of_python_that_is_printed_runs_as_it_is(tmp_path):
    with serving(tmp_path) as served:
        line = ""
        while "ChatQwenSpace(" not in line:
            line = served.process.stdout.readline()
        code = f"from langchain_qwen_space import ChatQwenSpace\nprint({line.strip()})"
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE
        )
        assert "I am a demo, not a language model" in ran.stdout, ran.stderr
        text = "  1. a\n\t  b\n"
        chat = ChatQwenSpace(space=served.url)
        assert chat.invoke(f"echo:x{text}y").content == f"x{text}y"
        earlier = [HumanMessage([image(BLUE)]), AIMessage("Blue.")]
        assert "mostly red" in chat.invoke([*earlier, HumanMessage([image()])]).text
        assert served.end() == 0
        assert served.errors.read_text().strip() == "Stopped."


async def test_login_and_queue_are_as_asked_for_and_the_end_waits_for_no_answer(tmp_path):
    options = ("--max-queue", "1", "--concurrency", "1")
    with serving(tmp_path, *options, QWEN_SPACE_AUTH="ada:hush") as served:
        with pytest.raises(SpaceAuthenticationError):
            await ChatQwenSpace(space=served.url).ainvoke("Hello!")

        queued = asyncio.Event()
        chat = ChatQwenSpace(space=served.url, auth=("ada", "hush"), max_retries=0)
        running = chat.astream("count to 100000")
        await anext(running)
        last = chat.model_copy(update={"on_event": lambda _: queued.set()})
        waiting = asyncio.create_task(last.ainvoke("Hello!"))
        await queued.wait()
        with pytest.raises(QueueFullError):
            await chat.ainvoke("Hello!")

        assert await asyncio.to_thread(served.end, signal.SIGTERM) == 0
        for call in (waiting, running.aclose()):
            with contextlib.suppress(QwenSpaceError):
                await call
        printed = served.process.stdout.read() + served.errors.read_text()
    assert 'auth=("ada", "...")' in printed
    assert "hush" not in printed
    assert "Traceback" not in printed


def test_a_model_that_is_not_there_is_wrong_usage(tmp_path):
    pytest.importorskip("transformers")
    options = ("--backend", "transformers", "--model", str(tmp_path / "nothing"), "--port", "0")
    ran = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path
    )
    assert ran.returncode == 2
    assert "nothing cannot be loaded" in ran.stderr
    assert "Traceback" not in ran.stderr
