"""The command that starts the service, as a process."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.heavy
ROOT = Path(__file__).parents[3]


@contextmanager
def started(tmp_path: Path, port: int) -> Iterator[subprocess.Popen]:
    """The command, as a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.agent_backend", "--port", str(port)],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": f"sqlite:///{tmp_path / 'agent.db'}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_one_command_starts_everything_and_stops_while_it_answers(tmp_path, stop):
    with started(tmp_path, 0) as process:
        lines = iter(process.stdout.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            client.get("/")
            reply = client.post("/conversations/talk", json={"text": "What is 6 times 7?"})
            assert '"text": "42"' in reply.text
            with client.stream("POST", "/conversations/b", json={"text": "count to 9999"}) as long:
                next(line for line in long.iter_lines() if line == "event: text")
                process.send_signal(stop)
                assert process.stdout.read() == ""
                assert process.wait(30) == 0


def test_ctrl_c_during_the_start_ends_it_without_a_word(tmp_path):
    with started(tmp_path, 0) as process:
        assert process.stdout.readline().startswith("Starting a Space")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(30) == 0


def test_a_port_in_use_is_reported_first_and_alone(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with started(tmp_path, port) as process:
            said = process.stdout.read()
            assert process.wait(30) == 1
    assert said.startswith(f"The service cannot listen on port {port} of 127.0.0.1")
    assert len(said.splitlines()) == 1
