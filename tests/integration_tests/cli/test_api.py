"""`qwen-space api`, as a process of its own."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import httpx
import pytest
from typer.testing import CliRunner

from langchain_qwen_space.cli.app import app

KEY = "the-key-of-the-server"
PATIENCE = 60.0  # seconds; what is waited for comes sooner on a machine that is idle


@contextmanager
def running(*arguments: str, **environment: str):
    """The command, once it serves: its process, its address, and what it prints meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_qwen_space.cli", "api", "--port", "0", *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        first = lines.get(timeout=PATIENCE)
        address = re.search(r"http://\S+/v1", first)
        assert address, first
        yield process, address[0].replace("0.0.0.0", "127.0.0.1"), lines
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def ask(address, text, headers=None, **fields):
    body = {"messages": [{"role": "user", "content": text}], **fields}
    return httpx.post(f"{address}/chat/completions", json=body, headers=headers, timeout=PATIENCE)


def test_it_serves_until_ctrl_c_and_prints_no_key_and_no_prompt(space_url):
    with running("--space", space_url, "--model", "72B", QWEN_SPACE_API_KEY=KEY) as (
        process,
        address,
        lines,
    ):
        assert ask(address, "echo: hello").status_code == 401
        key = {"authorization": f"Bearer {KEY}"}
        answer = ask(address, "echo: a private question", key, seed=1, temperature=0.5)
        assert answer.json()["choices"][0]["message"]["content"] == "a private question"
        assert answer.json()["model"] == "qwen2.5-72b-instruct"
        assert "seed" in answer.headers["x-qwen-space-warning"]
        assert "temperature" in answer.headers["x-qwen-space-warning"]
        ask(address, "fail: a private question", key, seed=1, temperature=0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    printed = []
    while not lines.empty():
        printed.append(lines.get())
    told = "".join(printed)
    assert told.count("seed") == 1, told
    assert told.count("temperature") == 1, told
    for secret in (KEY, "private", "Traceback"):
        assert secret not in told


def test_without_a_key_it_answers_for_hosts_that_are_allowed_or_this_machine(space_url):
    with running("--space", space_url, "--allow-host", "chat.example") as (_, address, _):
        asked = {
            host: httpx.get(f"{address}/models", headers={"host": host}, timeout=PATIENCE)
            for host in ("localhost", "chat.example", "evil.example")
        }
    assert [answer.status_code for answer in asked.values()] == [200, 200, 403]
    assert "evil.example" in asked["evil.example"].json()["error"]["message"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_answers_that_are_being_sent(space_url, stop):
    with running("--space", space_url) as (process, address, lines):
        body = {"messages": [{"role": "user", "content": "count to 100000"}], "stream": True}
        with httpx.stream(
            "POST", f"{address}/chat/completions", json=body, timeout=PATIENCE
        ) as answer:
            sent = answer.iter_lines()
            assert next(sent).startswith("data: ")
            process.send_signal(stop)
            *_, last = (line for line in sent if line)
        assert "The server is stopping." in last
        assert process.wait(PATIENCE) == 0
    printed = "".join(lines.get() for _ in range(lines.qsize()))
    assert "Traceback" not in printed
    assert "Stopped." in printed


def test_a_host_that_is_none_is_not_said_to_be_a_port_in_use():
    refused = api("--host", "nowhere.invalid")
    assert refused.exit_code == 2
    assert "Stop what uses" not in refused.stderr


def test_with_a_key_it_listens_on_all_addresses_and_serves_several_spaces(space_url):
    other = space_url.replace("127.0.0.1", "localhost")
    given = ("--host", "0.0.0.0", "--space", space_url, "--space", other, "--api-key", KEY)
    with running(*given) as (_, address, _lines):
        answer = ask(address, "echo: hello", {"authorization": f"Bearer {KEY}"})
        assert answer.json()["choices"][0]["message"]["content"] == "hello"


def api(*arguments: str, **environment: str):
    return CliRunner().invoke(app, ["api", "--port", "0", *arguments], env=environment)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_without_a_key_it_listens_on_loopback_only(host):
    refused = api("--host", host, QWEN_SPACE_API_KEY="")
    assert refused.exit_code == 2
    assert "QWEN_SPACE_API_KEY" in refused.stderr


def test_what_counts_is_the_address_that_a_name_stands_for(monkeypatch):
    """A name that ends in `.localhost` may be answered with any address."""
    import socket

    lookup = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: lookup("0.0.0.0", *rest, **more)
    )
    created = socket.create_server
    monkeypatch.setattr(
        "langchain_qwen_space.local.serving.socket.create_server",
        lambda address, **more: created(("0.0.0.0", address[1]), **more),
    )
    refused = api("--host", "api.localhost", QWEN_SPACE_API_KEY="")
    assert refused.exit_code == 2
    assert "accepts connections from other machines" in refused.stderr


def test_a_port_in_use_and_wrong_settings_are_usage_errors(space_url):
    taken = space_url.rpartition(":")[2].strip("/")
    refused = CliRunner().invoke(app, ["api", "--port", taken])
    assert refused.exit_code == 2
    assert taken in refused.stderr
    assert api("--space", "no space").exit_code == 2
    assert api("--auth", "nobody").exit_code == 2
