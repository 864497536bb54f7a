"""Runs on a real Space, and the report of them.

`make live SPACE=Owner/Name` runs them; the report goes to `live-<Space>-<date>.md` in the current
directory, or to $LIVE_REPORT. Other settings (HF_TOKEN, a proxy) are taken as always.
"""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from langchain_qwen_space import ChatQwenSpace

SPACE = pytest.StashKey[str]()
NOTES = pytest.StashKey[list[tuple[str, str, str]]]()


def pytest_configure(config):
    config.stash[SPACE] = os.environ.get("LIVE_SPACE", "")
    config.stash[NOTES] = []


@pytest.fixture(scope="session")
def live_space(request) -> str:
    space = request.config.stash[SPACE]
    if not space:
        pytest.skip("name the Space: make live SPACE=Owner/Name")
    return space


@pytest.fixture
def model(live_space) -> ChatQwenSpace:
    return ChatQwenSpace(space=live_space, total_timeout=180)


@pytest.fixture
def note(request):
    """Call it with what the report should say of this test."""
    said: list[str] = []
    request.node.said = said
    return lambda text: said.append(str(text))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" and not (report.when == "setup" and report.outcome != "passed"):
        return
    said = "\n".join(getattr(item, "said", []))
    if report.failed:
        said += f"\n{report.longreprtext[-2000:]}"
    elif report.skipped and isinstance(report.longrepr, tuple):
        said += f"\n{report.longrepr[2]}"
    title = item.name.removeprefix("test_").replace("_", " ")
    item.config.stash[NOTES].append((title, f"{report.outcome}, {report.duration:.1f} s", said))


def pytest_sessionfinish(session):
    notes, space = session.config.stash[NOTES], session.config.stash[SPACE]
    if not space or not notes:
        return
    now = datetime.now(UTC)
    name = re.sub(r"[^\w.-]+", "-", space).strip("-")
    path = Path(os.environ.get("LIVE_REPORT") or f"live-{name}-{now:%Y-%m-%d}.md")
    lines = [
        f"# {space}, {now:%Y-%m-%d %H:%M} UTC",
        "",
        f"langchain-qwen-space {version('langchain-qwen-space')}, Python {platform.python_version()}",
    ]
    for title, outcome, said in notes:
        lines += ["", f"## {title}: {outcome}"]
        if said.strip():
            lines += ["", "```text", said.strip().replace("```", "'''"), "```"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
