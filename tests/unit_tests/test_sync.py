"""The bridge from sync to async."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from langchain_qwen_space import _sync
from langchain_qwen_space.errors import SpaceTimeoutError

WAIT = 30.0  # seconds; only failures take as long


class Source:
    """An asynchronous generator that notes what becomes of it."""

    def __init__(self, count=3, error=None):
        self.count, self.error = count, error
        self.started, self.closed = 0, threading.Event()
        self.thread = None

    async def __call__(self):
        self.started += 1
        self.thread = threading.current_thread()
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                yield number
            if self.error is not None:
                raise self.error
        finally:
            await asyncio.sleep(0)
            self.closed.set()


async def double(number):
    await asyncio.sleep(0.001)
    return 2 * number


async def for_ever():
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0)


class MineError(Exception):
    pass


def test_a_coroutine_gives_its_result():
    assert _sync.run(double(21)) == 42


def test_a_generator_gives_its_items_in_order():
    source = Source(1000)
    assert list(_sync.iterate(source)) == list(range(1000))
    assert source.closed.is_set()
    assert list(_sync.iterate(Source(0))) == []


def test_items_come_as_they_are_yielded():
    go_on = threading.Event()

    async def source():
        yield 1
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        yield 2

    items = _sync.iterate(source)
    assert next(items) == 1
    go_on.set()
    assert list(items) == [2]


async def test_it_works_inside_a_running_loop():
    assert _sync.run(double(21)) == 42
    assert list(_sync.iterate(Source())) == [0, 1, 2]


def test_it_works_from_many_threads():
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda n: _sync.run(double(n)), range(100))) == [
            2 * n for n in range(100)
        ]
        sources = [Source(50) for _ in range(50)]
        answers = threads.map(lambda source: list(_sync.iterate(source)), sources)
        assert all(answer == list(range(50)) for answer in answers)
    assert len({source.thread for source in sources}) == 1


def test_nothing_runs_before_the_first_item_is_asked_for():
    source = Source()
    items = _sync.iterate(source)
    del items
    assert source.started == 0


@pytest.mark.parametrize("how", ["break", "close", "collected", "error"])
def test_leaving_early_closes_the_generator(how):
    source = Source(10**9)
    items = _sync.iterate(source)
    assert next(items) == 0
    if how == "break":
        for _ in items:
            break
        del items
    elif how == "close":
        items.close()
    elif how == "collected":
        del items
        gc.collect()
    else:
        with pytest.raises(MineError):
            items.throw(MineError)
    assert source.closed.wait(WAIT)


@pytest.mark.parametrize(
    "error", [MineError("x"), ValueError("x"), SpaceTimeoutError("x", partial="y")]
)
def test_an_error_comes_with_its_type_after_what_came_before_it(error):
    source = Source(2, error)
    items = _sync.iterate(source)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error
    assert list(items) == []
    assert source.closed.is_set()

    async def fails():
        raise error

    with pytest.raises(type(error)) as caught:
        _sync.run(fails())
    assert caught.value is error


def test_an_error_before_the_first_item_is_no_end():
    def source():
        raise MineError

    with pytest.raises(MineError):
        next(_sync.iterate(source))


def test_work_that_cancels_itself_ends_the_wait():
    async def cancels():
        raise asyncio.CancelledError

    with pytest.raises(CancelledError):
        _sync.run(cancels())
    assert _sync.run(double(1)) == 2


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no such signals here")
@pytest.mark.parametrize("call", ["run", "iterate"])
def test_an_interrupted_wait_ends_the_work(call):
    started, ended = threading.Event(), threading.Event()

    async def work():
        started.set()
        try:
            await asyncio.sleep(10 * WAIT)
        finally:
            ended.set()

    async def source():
        await work()
        yield 1

    def interrupt(*_):
        raise MineError

    def press():
        started.wait(WAIT)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(MineError):
            _sync.run(work()) if call == "run" else next(_sync.iterate(source))
    finally:
        presser.join()
        signal.signal(signal.SIGUSR1, before)
    assert ended.wait(WAIT)


def test_all_of_it_happens_in_one_thread_of_its_own():
    before = threading.active_count()
    sources = [Source(), Source()]
    for source in sources:
        list(_sync.iterate(source))
    (thread,) = {source.thread for source in sources}
    assert thread is not threading.current_thread()
    assert thread.daemon
    assert threading.active_count() <= before + 1


def script(body):
    """Run a program in a strict interpreter; returns what it prints. It must not complain."""
    head = (
        "import asyncio, atexit, gc, os, sys, threading\nfrom langchain_qwen_space import _sync\n"
    )
    helpers = """
who = "closed"
async def double(number):
    await asyncio.sleep(0.001)
    return 2 * number

async def source():
    try:
        for number in range(10**9):
            yield number
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0.01)
        print(who, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", head + helpers + body],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # Debug mode reports steps that took long, which on a busy machine any may.
    assert not [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert done.returncode == 0
    return done.stdout.split()


class TestExit:
    """The interpreter ends while something is running."""

    def test_a_thread_that_outlives_the_main_thread_may_still_call(self):
        body = """
import concurrent.futures.thread, time

def late():
    while not concurrent.futures.thread._shutdown:
        time.sleep(0.001)
    print(_sync.run(_sync.in_thread(lambda: 42)), flush=True)
    print(_sync.run(looked_up()), flush=True)

async def looked_up():
    return len(await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)) > 0

threading.Thread(target=late).start()
"""
        assert script(body) == ["42", "True"]

    def test_nothing_is_left_of_work_that_is_done(self):
        assert script("print(_sync.run(double(21)))") == ["42"]

    def test_an_iteration_that_was_not_finished_is_closed(self):
        assert script("items = _sync.iterate(source)\nprint(next(items))") == ["0", "closed"]

    def test_an_error_that_nobody_catches_leaves_nothing_either(self):
        body = "items = _sync.iterate(source)\nnext(items)\nsys.exit(0)"
        assert script(body) == ["closed"]

    def test_threads_that_wait_do_not_hold_it_up(self):
        body = """
started = threading.Event()

async def for_ever():
    started.set()
    try:
        await asyncio.sleep(1000)
    finally:
        print("ended", flush=True)

def wait():
    try:
        _sync.run(for_ever())
    except BaseException as error:
        print(type(error).__name__, flush=True)

threading.Thread(target=wait, daemon=True).start()
started.wait()
"""
        assert script(body)[0] == "ended"

    def test_work_that_begins_while_it_ends_fails_and_says_nothing_more(self):
        body = """
def late():
    try:
        print(_sync.run(double(21)))
    except RuntimeError as error:
        print("refused")
    try:
        print(next(_sync.iterate(source)))
    except RuntimeError as error:
        print("refused")

atexit.register(late)
print(_sync.run(double(1)))
"""
        assert script(body) == ["2", "refused", "refused"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
class TestFork:
    """A child has its parent's objects, but not its threads."""

    @pytest.mark.parametrize(
        ("end", "closed"), [("os._exit(0)", ["parent"]), ("sys.exit(0)", ["child", "parent"])]
    )
    def test_a_child_works_beside_its_parent(self, end, closed):
        body = f"""
who = "parent"
items = _sync.iterate(source)
assert next(items) == 0
child = os.fork()
if not child:
    who = "child"
    gc.collect()
    assert _sync.run(double(21)) == 42
    own = _sync.iterate(source)
    assert next(own) == 0
    {end}
assert os.waitpid(child, 0)[1] == 0
assert next(items) == 1
assert _sync.run(double(4)) == 8
"""
        assert script(body) == closed

    def test_a_child_that_does_nothing_leaves_nothing(self):
        body = """
_sync.run(double(21))
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
gc.collect()
print("end", flush=True)
"""
        assert script(body) == ["end", "end"]

    def test_a_child_may_let_go_of_its_parents_iteration(self):
        body = """
items = _sync.iterate(source)
next(items)
child = os.fork()
if not child:
    items.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert next(items) == 1
items.close()
"""
        assert script(body) == ["closed"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MineError(), SystemExit])
def test_what_would_end_a_process_reaches_the_caller_and_the_next_call_works(error):
    with pytest.raises(type(error) if isinstance(error, BaseException) else error):
        list(_sync.iterate(Source(error=error)))

    async def raise_it():
        raise error

    with pytest.raises(type(error) if isinstance(error, BaseException) else error):
        _sync.run(raise_it())
    assert _sync.run(double(21)) == 42


@pytest.mark.parametrize("error", [StopIteration("over"), SystemExit(3), MineError()])
def test_an_error_in_a_thread_is_no_endless_wait(error):
    def fail():
        raise error

    async def limited():
        async with asyncio.timeout(WAIT):
            await _sync.in_thread(fail)

    wanted = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(wanted):
        _sync.run(limited())
    assert _sync.run(double(21)) == 42
