"""Uploads: what is sent byte by byte, redirects, and what each refusal of the Space means."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import (
    InvalidInputError,
    ProtocolError,
    QwenSpaceError,
    SpaceAuthenticationError,
)
from langchain_qwen_space.space.wire.access import Access
from langchain_qwen_space.space.wire.pool import current_pool
from langchain_qwen_space.space.wire.upload import Upload

FILE = Attachment('фото "1".png', "image/png", "messages[0] has a block", bytes(range(256)) * 2500)


@asynccontextmanager
async def serving(*answers, reads=True):
    """A server that gives these answers, one after another, and the requests that it got."""
    got, waiting = [], list(answers)

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        got.append((head, await reader.readexactly(length) if reads else b""))
        status, extra, body = waiting.pop(0)
        writer.write(
            b"HTTP/1.1 %d x\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, extra, len(body), body)
        )
        await writer.drain()
        if not reads:  # a server that closes at once resets the connection, its answer unread
            while await reader.read(65536):
                pass
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", got


async def upload(url, *files, **access):
    client = (await current_pool()).client(Access(space=url, **access))
    sending = Upload(client, URL(url) / "upload", files, 30)
    events = []
    while (event := await sending.progress()) is not None:
        events.append(event)
    return sending.paths, events


TAKEN = (200, b"", b'["/tmp/gradio/1/a.png"]')


async def test_a_form_with_one_file_is_sent_and_its_path_comes_back():
    async with serving(TAKEN) as (url, got):
        paths, events = await upload(url, FILE)
    assert paths == {FILE: "/tmp/gradio/1/a.png"}
    ((head, body),) = got
    assert head.startswith(b"POST /upload HTTP/1.1\r\n")
    boundary = re.search(rb"multipart/form-data; boundary=(\w+)", head)[1]
    before, _, rest = body.partition(b"\r\n\r\n")
    assert before.split(b"\r\n")[0] == b"--" + boundary
    assert 'name="files"; filename="фото %221%22.png"'.encode() in before
    assert rest == FILE.data + b"\r\n--" + boundary + b"--\r\n"
    assert [event.sent for event in events][:: len(events) - 1] == [0, len(FILE.data)]


async def test_files_are_sent_one_after_another():
    other = Attachment("b.png", "image/png", "", b"other")
    async with serving(TAKEN, (200, b"", b'["/tmp/b"]')) as (url, got):
        paths, _ = await upload(url, FILE, other)
    assert paths == {FILE: "/tmp/gradio/1/a.png", other: "/tmp/b"}
    assert [b"other" in body for _, body in got] == [False, True]


async def test_a_redirect_is_followed_with_the_whole_file():
    moved = (307, b"Location: /elsewhere/upload\r\n", b"")
    async with serving(moved, TAKEN) as (url, got):
        paths, _ = await upload(url, FILE)
    assert paths
    assert [FILE.data in body for _, body in got] == [True, True]


async def test_the_token_goes_to_the_space_and_neither_it_nor_the_file_elsewhere():
    token = {"token": "hf_secret", "token_is_explicit": True}
    async with serving(TAKEN) as (elsewhere, stolen):
        moved = (307, f"Location: {elsewhere}/upload\r\n".encode(), b"")
        async with serving(TAKEN, moved) as (url, got):
            await upload(url, FILE, **token)
            with pytest.raises(QwenSpaceError):
                await upload(url, FILE, **token)
            await upload(elsewhere, FILE, token="hf_secret")  # one from the environment
    assert [head.count(b"hf_secret") for head, _ in got] == [2, 2]  # in two headers
    assert [head.count(b"hf_secret") for head, _ in stolen] == [0]


@pytest.mark.parametrize("reads", [True, False])
async def test_a_file_that_is_too_large_is_named_by_its_block(reads):
    refusal = (413, b"", b"File size exceeded maximum allowed size")
    async with serving(refusal, reads=reads) as (url, _):
        with pytest.raises(
            InvalidInputError, match=r"^messages\[0\] .* is too large for .*: File size"
        ):
            await upload(url, FILE)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, b"", b'{"detail": "Not authenticated"}'), SpaceAuthenticationError),
        ((500, b"", b"Internal Server Error"), QwenSpaceError),
        ((302, b"Location: https://example.org/\r\n", b""), QwenSpaceError),
        ((200, b"", b"{}"), ProtocolError),
        ((200, b"", b'["a", "b"]'), ProtocolError),
        ((200, b"", b"[1]"), ProtocolError),
        ((200, b"", b'[""]'), ProtocolError),
        ((200, b"", b'{"path": "/tmp/a"}'), ProtocolError),
        ((200, b"", b'"a"'), ProtocolError),
        ((200, b"", b"<html>"), ProtocolError),
    ],
)
async def test_what_the_space_says_instead_of_a_path_is_an_error(answer, error):
    async with serving(answer) as (url, _):
        with pytest.raises(error):
            await upload(url, FILE)
