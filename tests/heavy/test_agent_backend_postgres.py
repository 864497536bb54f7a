"""The example's memory in a real PostgreSQL, which is started for the test."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.answers import answer
from tests.integration_tests.examples.service import Visitor, of, serving, text

pytest.importorskip("psycopg_pool")
USER = "postgres"  # its server refuses to run as root


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs; Debian keeps them out of the PATH."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(kept[-1]) if kept else None)


INITDB, PG_CTL = program("initdb"), program("pg_ctl")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not (INITDB and PG_CTL), reason="there is no PostgreSQL server here"),
]


@pytest.fixture(scope="module")
def space_url() -> Iterator[str]:
    with LocalSpace(answer, pace=0) as space:
        yield space.url


@pytest.fixture(scope="module")
def database_url(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("postgres")
    user = None
    if os.geteuid() == 0:
        user = USER
        try:
            shutil.chown(folder, USER)
        except LookupError:
            pytest.skip(f"PostgreSQL does not run as root, and there is no user {USER}")
        for parent in list(folder.parents)[:2]:  # pytest's own, which only their owner may enter
            parent.chmod(0o711)
    data, log = folder / "data", folder / "log"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    def run(*command: str | Path) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    run(INITDB, "-D", data, "-U", USER, "-A", "trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    run(PG_CTL, "-D", data, "-w", "-l", log, "-o", options, "start")
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    finally:
        run(PG_CTL, "-D", data, "-w", "-m", "immediate", "stop")


async def test_conversations_and_notes_outlive_the_service(space_url, database_url):
    visitor = Visitor()
    async with serving(space_url, database_url) as url:
        await visitor.answer(url, "echo: The word is heron.")
        await visitor.answer(url, "Save a note: feed the heron")
        before = await visitor.history(url)
        port = httpx.URL(url).port
        assert ("message", {"text": "The word is heron."}) in before
    async with serving(space_url, database_url, port) as url:
        assert await visitor.history(url) == before
        listed = await visitor.answer(url, "List my notes", conversation="another")
        assert of("tool_result", listed)[0]["text"] == "- Save a note: feed the heron"


async def test_users_who_ask_at_the_same_time_see_only_what_is_theirs(space_url, database_url):
    async def use(name: str) -> None:
        visitor = Visitor()
        await visitor.answer(url, f"Save a note: I am {name}")
        listed = await visitor.answer(url, "List my notes")
        assert text(listed) == f"The tools said: - Save a note: I am {name}"

    async with serving(space_url, database_url) as url:
        await asyncio.gather(*(use(f"number {number}") for number in range(8)))
