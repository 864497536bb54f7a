"""An exported Space on another machine: an empty venv, its own requirements, another process."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import SpaceAuthenticationError
from langchain_qwen_space.local import backend, export
from tests.integration_tests.serve.openai_server import openai_server
from tests.integration_tests.serve.running import running
from tests.pictures import image

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]  # it installs packages


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """A Python that has what both exported folders below ask for, and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    chosen = backend.openai("http://localhost:1/v1", "tiny")
    export.export(folder / "space", chosen)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = str(folder / "venv" / "bin" / "python")
    requirements = str(folder / "space" / "requirements.txt")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", requirements], check=True)
    absent = subprocess.run([python, "-I", "-c", "import langchain_qwen_space"], cwd=folder)
    assert absent.returncode != 0, "the Space is to need nothing of this project"
    return python


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def started(python: str, folder: Path, **variables: str):
    """`python app.py`, as on Hugging Face."""
    port = str(free_port())
    own = {"GRADIO_SERVER_PORT": port, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": ""}
    return running([python, "app.py"], folder, **{**own, **variables})


def test_an_exported_demo_chats(python, tmp_path):
    export.export(tmp_path / "space", backend.demo())
    with started(python, tmp_path / "space", QWEN_SPACE_AUTH="ada:hush") as served:
        with pytest.raises(SpaceAuthenticationError):
            ChatQwenSpace(space=served.url).invoke("Hello!")
        chat = ChatQwenSpace(space=served.url, auth=("ada", "hush"))
        assert chat.list_models() == []
        chunks = [chunk.content for chunk in chat.stream("count to 30") if chunk.content]
        assert "mostly red" in chat.invoke([HumanMessage([image()])]).text
    assert "".join(chunks) == "\n".join(str(number) for number in range(1, 31))
    assert len(chunks) > 3, "it did not stream"


def test_an_exported_relay_passes_on_what_the_server_behind_it_says(python, tmp_path):
    with openai_server() as upstream:
        export.export(tmp_path / "space", backend.openai(upstream.url, "tiny", "TINY_KEY"))
        with started(python, tmp_path / "space", TINY_KEY="sk-1") as served:
            chat = ChatQwenSpace(space=served.url)
            assert chat.list_models() == ["tiny"]
            assert chat.invoke("say  a\n\tb").content == " a\n\tb"
        assert upstream.keys == ["Bearer sk-1"]
