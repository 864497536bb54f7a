"""The one bridge from sync to async: a private event loop in a thread of its own.

It works where no loop runs, inside a running loop (a notebook) and from many threads. No code of
the caller's runs in the thread, except a `transport`.
"""

import asyncio
import atexit
import ctypes
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()
_MANY = 8  # items that may wait to be taken
_FEW = 4  # items at which a waiting source continues
_STOP_WAIT = 5.0  # seconds that the interpreter's exit waits for the thread


class _Threads(ThreadPoolExecutor):
    """Runs each job in a thread of its own, until the interpreter exits.

    The standard executors refuse jobs as soon as the main thread has ended, when other threads of
    a script may still make calls: they look up hosts, and load the vocabulary.
    """

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()

        def work() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(function(*args, **kwargs))
                except BaseException as error:  # for what waits for the result
                    done.set_exception(error)

        threading.Thread(target=work, name="langchain-qwen-space", daemon=True).start()
        return done


class _LoopThread:
    """A thread that runs an event loop until the interpreter exits."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(_Threads())
        self._thread = threading.Thread(target=self._run, name="langchain-qwen-space", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            stopped = False
            while not stopped:
                with suppress(SystemExit, KeyboardInterrupt):  # of one task, whose caller gets it
                    self.loop.run_forever()
                    stopped = True
        finally:
            self.loop.run_until_complete(_cancel_all())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def stop(self) -> None:
        """End the loop and everything on it, and wait for that."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_STOP_WAIT)


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        if not task.cancelling():  # else it is about to end, and may be in its clean-up
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_thread: _LoopThread | None = None
_lock = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    global _thread
    with _lock:
        if _thread is None:
            _thread = _LoopThread()
            atexit.register(_thread.stop)
        return _thread.loop


def _after_fork() -> None:
    """A forked child has the parent's objects, but not its threads."""
    global _thread, _lock
    if _thread is not None:
        atexit.unregister(_thread.stop)
        # The parent's tasks continue in the parent. Destroyed in the child, when it exits, they would
        # complain and run their clean-up without a loop, so a reference is leaked on purpose.
        inherited = [_thread.loop, *asyncio.all_tasks(_thread.loop)]
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
    _thread = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def iterate(source: Callable[[], AsyncGenerator[T]]) -> Iterator[T]:
    """Run an asynchronous generator on the private loop and yield here what it yields.

    Leaving the iteration closes the generator.

    Args:
        source: Makes the asynchronous generator.
    """
    handover = _Handover()
    done = _submit(handover.fill(source))
    try:
        while (item := handover.take()) is not _END:
            yield item
        done.result()
    finally:
        done.cancel()


class _Handover:
    """Items on their way from the private loop to a thread that may be slow to take them.

    The buffer keeps both sides busy. When it is full, the source waits, and with it the sender.
    """

    def __init__(self) -> None:
        self._arrived: SimpleQueue[Any] = SimpleQueue()
        self._full = False  # the source waits for room
        self._room = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop

    def take(self) -> Any:
        """Wait for the next item; `_END` after the last."""
        item = self._arrived.get()
        if self._full and self._arrived.qsize() <= _FEW:
            self._full = False
            with suppress(RuntimeError):  # the loop has ended, and the source with it
                self._loop.call_soon_threadsafe(self._room.set)
        return item

    async def fill(self, source: Callable[[], AsyncGenerator[Any]]) -> None:
        """Hand over what `source` yields, and `_END`."""
        self._loop = asyncio.get_running_loop()
        arrived = self._arrived
        try:
            async with aclosing(source()) as items:
                async for item in items:
                    arrived.put(item)
                    if arrived.qsize() >= _MANY:
                        await self._until_there_is_room()
        finally:
            arrived.put(_END)

    async def _until_there_is_room(self) -> None:
        self._room.clear()
        self._full = True
        # The other thread may have taken all before it could see that the source waits.
        if self._arrived.qsize() > _FEW:
            await self._room.wait()
        self._full = False


async def in_thread(function: Callable[[], T]) -> T:
    """Run a function of the caller's in a thread.

    A future cannot hold a `StopIteration`, so what waits for it would wait forever: as in a
    coroutine, it becomes a `RuntimeError`.
    """

    def guarded() -> T:
        try:
            return function()
        except StopIteration as error:
            raise RuntimeError(f"{function!r} raised StopIteration.") from error

    return await asyncio.to_thread(guarded)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the private loop and return its result here."""
    done = _submit(work)
    try:
        return done.result()
    finally:
        done.cancel()


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that runs code of the caller's, on an event loop of its own.

    Leaving cancels it, and waits for its clean-up.
    """
    thread = _LoopThread()
    try:
        return asyncio.run_coroutine_threadsafe(work, thread.loop).result()
    finally:
        thread.stop()


def _submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    loop = _loop()
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # the interpreter is about to exit
        work.close()
        raise
    except BaseException:  # a signal, and the work may have begun
        loop.call_soon_threadsafe(_cancel, work)
        raise


def _cancel(work: Coroutine[Any, Any, Any]) -> None:
    for task in asyncio.all_tasks():
        if task.get_coro() is work:
            task.cancel()
            return
    work.close()
