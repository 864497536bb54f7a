"""The server's process: its start, what can go wrong with it, and that it always ends."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from langchain_qwen_space.errors import InvalidInputError, SpaceUnavailableError
from langchain_qwen_space.local import LocalSpace, server_process

from .local_answers import scripted
from .local_wire import reply, soon

PARENT = """
import os, signal, sys, time, urllib.request, warnings
from langchain_qwen_space.local import LocalSpace

space = LocalSpace().start()
assert "gradio" not in sys.modules
print(space.url.rpartition(":")[2], flush=True)

def fork():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some Pythons warn of forks where there are threads
        return os.fork()
"""

KILLED = """
child = fork()
if child == 0:
    time.sleep(60)  # and holds all pipes open
    os._exit(0)
print(child, flush=True)
time.sleep(60)
"""

LEFT_RUNNING = """
if fork() == 0:
    with space:
        sys.exit()  # which must not stop the server of another process
assert os.wait()[1] == 0
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.killpg(0, signal.SIGINT)  # as Ctrl-C does
time.sleep(0.2)
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
with urllib.request.urlopen(space.url + "/config") as answer:
    answer.read()
"""


def strict_python(code: str) -> "subprocess.Popen[str]":
    """A Python of its own, in a process group of its own, to which warnings are errors."""
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_a_killed_parent_leaves_no_server_though_a_fork_of_it_lives_on():
    with strict_python(PARENT + KILLED) as parent:
        port, fork = int(parent.stdout.readline()), int(parent.stdout.readline())
        try:
            assert is_listening(port)
            parent.kill()
            assert await soon(lambda: not is_listening(port))
            os.kill(fork, 0)  # which is an error where there is no such process
        finally:
            os.kill(fork, signal.SIGKILL)


def test_a_strict_python_that_forgets_to_stop_a_space_leaves_no_server_and_prints_nothing():
    with strict_python(PARENT + LEFT_RUNNING) as parent:
        printed, errors = parent.communicate(timeout=100)
    assert errors == ""
    assert parent.returncode == 0
    port = int(printed)
    assert not is_listening(port)


async def test_a_start_that_is_cancelled_leaves_no_server(monkeypatch):
    ports, cancelled = [], threading.Event()
    get_config = server_process._get_config

    def get_config_then(port: int) -> None:
        ports.append(port)
        cancelled.wait(60)
        get_config(port)

    monkeypatch.setattr(server_process, "_get_config", get_config_then)
    starting = asyncio.create_task(LocalSpace().__aenter__())
    assert await soon(lambda: bool(ports))
    assert is_listening(ports[0])
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    cancelled.set()
    assert await soon(lambda: not is_listening(ports[0]))


def test_a_port_in_use_is_an_error_that_names_the_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InvalidInputError, match=f"port {port} .* in use.*another"):
            LocalSpace(port=port).start()


def test_without_gradio_the_error_says_what_to_install(tmp_path, monkeypatch):
    # A module of that name that is not a package, found before the real one, stands for its absence.
    absent = "raise ModuleNotFoundError('No module named gradio', name='gradio')"
    (tmp_path / "gradio.py").write_text(absent)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r'pip install "langchain-qwen-space\[local\]"'):
        LocalSpace().start()


@pytest.mark.parametrize("answer", ["no colon", 7, None])
def test_what_is_no_function_cannot_answer(answer):
    with pytest.raises(InvalidInputError, match="must be a function"):
        LocalSpace(answer)


@pytest.mark.parametrize("answer", ["no_such_module:f", f"{scripted.__module__}:no_such"])
def test_a_name_that_cannot_be_imported_is_an_error_that_quotes_the_reason(answer):
    with pytest.raises(InvalidInputError, match="no_such"):
        LocalSpace(answer).start()


def test_a_function_that_holds_what_cannot_be_carried_over_is_an_error():
    held = socket.socket()
    with held, pytest.raises(InvalidInputError, match="cannot be sent"):
        LocalSpace(lambda *_: iter([str(held)]))


def test_without_cloudpickle_a_lambda_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(
        InvalidInputError, match=r"top level of an importable module, or install cloudpickle"
    ):
        LocalSpace(lambda *_: iter([]))


def test_a_process_that_dies_while_it_starts_is_an_error_that_quotes_its_last_words(
    tmp_path, monkeypatch
):
    (tmp_path / "deadly.py").write_text("import os; print('last words'); os._exit(7)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SpaceUnavailableError, match=r"exit code 7\)(.|\n)*last words"):
        LocalSpace("deadly:answer").start()


def test_a_process_that_never_reads_its_settings_is_an_error_too(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    more_than_a_pipe_holds = "x" * 1_000_000
    with pytest.raises(SpaceUnavailableError, match="exit code 1"):
        LocalSpace(auth=("ada", more_than_a_pipe_holds)).start()


def test_a_start_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time; print('still here'); time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    began = time.monotonic()
    with pytest.raises(SpaceUnavailableError, match=r"within 2 seconds(.|\n)*still here"):
        LocalSpace("slow:answer", start_timeout=2).start()
    assert time.monotonic() - began < 30


async def test_a_function_written_where_it_is_needed_answers():
    words = ["made", "here"]
    with LocalSpace(lambda system, history, query, model: iter([" ".join(words)])) as space:
        assert await reply(space.url, "hi") == "made here"
