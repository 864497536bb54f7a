"""Files that are fetched here: from public addresses only, with limits, each refusal with its block."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address

import pytest

from langchain_qwen_space import content_blocks, fetching
from langchain_qwen_space.errors import InvalidInputError
from tests.pictures import RED


def picture(url, kind="image"):
    return content_blocks.read({"type": kind, "url": url}, "messages[0] has a content block")


async def fetch(url, kind="image"):
    ((file,),) = await fetching.fetched(((picture(url, kind),),))
    return file


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1"),
        *("::127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1", "::ffff:0:127.0.0.1", "192.0.0.8"),
    ],
)
def test_only_public_addresses_are_connected_to(address):
    assert not fetching._is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are(address):
    assert fetching._is_public(ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_refused_by_name_and_by_address(host):
    async with serving() as (port, asked):
        with pytest.raises(InvalidInputError, match=r"^messages\[0\].*not a public address"):
            await fetch(f"http://{host}:{port}/a.png")
    assert not asked


@pytest.mark.parametrize(
    "host", ["2130706433", "127.1", "0177.0.0.1", "0", "0x7f000001", "0x7f.1", "localhost."]
)
async def test_this_machine_is_refused_in_every_spelling(host):
    async with serving() as (port, asked):
        with pytest.raises(InvalidInputError, match=r"^messages\[0\].*cannot be fetched"):
            await fetch(f"http://{host}:{port}/a.png")
    assert not asked


@pytest.fixture
def names(monkeypatch):
    """A name server: the addresses that each further question about a host is answered with."""
    answers = {}

    async def getaddrinfo(self, host, port, **_):
        addresses = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in addresses.split()
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return answers


@pytest.fixture
def connected(monkeypatch):
    """The addresses that are connected to; those of other machines are not reached."""
    seen = []
    connect = asyncio.selector_events.BaseSelectorEventLoop.sock_connect

    async def noted(self, sock, address):
        seen.append(address[0])
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError(111, "refused")
        await connect(self, sock, address)

    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", noted)
    return seen


PUBLIC, PRIVATE = "93.184.216.34", "127.0.0.1"


async def test_a_name_that_turns_into_this_machine_after_it_was_checked_leads_nowhere(
    names, connected
):
    names["rebinding.example"] = [PUBLIC, PRIVATE]
    async with serving({"/a.png": (200, {}, RED)}) as (port, asked):
        url = f"http://rebinding.example:{port}/a.png"
        with pytest.raises(InvalidInputError, match=r"cannot be fetched.*refused"):
            await fetch(url)
        assert connected == [PUBLIC]
        with pytest.raises(InvalidInputError, match=r"127\.0\.0\.1 is not a public address"):
            await fetch(url)  # the name now leads here
    assert connected == [PUBLIC]
    assert not asked


async def test_of_several_addresses_only_public_ones_are_connected_to(names, connected):
    names["mixed.example"] = [f"{PRIVATE} {PUBLIC} 10.0.0.1"]
    async with serving() as (port, asked):
        with pytest.raises(InvalidInputError, match=r"cannot be fetched"):
            await fetch(f"http://mixed.example:{port}/a.png")
    assert {*connected} == {PUBLIC}
    assert not asked


@pytest.mark.usefixtures("this_machine_is_public")
async def test_a_redirect_to_a_name_of_a_private_address_is_refused(names, connected):
    names["public.example"], names["inside.example"] = [PRIVATE], ["10.0.0.1"]
    answers = {"/a.png": (302, {"Location": "http://inside.example/a.png"}, b"")}
    async with serving(answers) as (port, asked):
        with pytest.raises(InvalidInputError, match=r"10\.0\.0\.1 is not a public address"):
            await fetch(f"http://public.example:{port}/a.png")
    assert connected == ["127.0.0.1"]
    assert asked == ["/a.png"]


@pytest.mark.usefixtures("this_machine_is_public")
@pytest.mark.parametrize("path", ["/silent", "/slow", "/round"])
async def test_a_file_that_takes_too_long_is_given_up(monkeypatch, path):
    monkeypatch.setattr(fetching, "_LONGEST", 0.3)
    monkeypatch.setattr(fetching, "_MOST_REDIRECTS", 10**6)
    closed = asyncio.Event()

    async def serve(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while path in (await reader.readuntil(b"\r\n\r\n")).decode():
                if path == "/round":
                    writer.write(b"HTTP/1.1 302 x\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n")
                    continue
                if path == "/slow":
                    writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n")
                while path == "/slow" and not (writer.is_closing() or reader.at_eof()):
                    writer.write(b"x")
                    await asyncio.sleep(0.01)
        closed.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(InvalidInputError, match="cannot be fetched: it took too long"):
            await fetch(f"http://127.0.0.1:{port}{path}")
        await asyncio.wait_for(closed.wait(), 10)


@asynccontextmanager
async def serving(answers=None):
    """A server on this machine, and the paths that it was asked for."""
    asked = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        asked.append(path)
        status, headers, body = (answers or {}).get(path, (404, {}, b""))
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1], asked


@pytest.fixture
def this_machine_is_public(monkeypatch):
    """As if the server on this machine were anywhere; others that are not public stay refused."""
    is_public = fetching._is_public
    monkeypatch.setattr(fetching, "_is_public", lambda ip: str(ip) == "127.0.0.1" or is_public(ip))


IMAGE = {"Content-Type": "image/png"}
PAGE = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.usefixtures("this_machine_is_public")
@pytest.mark.parametrize(
    ("path", "kind", "name", "mime_type"),
    [
        ("/a.png", "image", "a.png", "image/png"),
        ("/a.jpg", "image", "a.jpg", "image/png"),  # the bytes know better
        ("/picture", "image", "picture.png", "image/png"),
        ("/moved", "image", "moved.png", "image/png"),
        ("/a", "file", "a.csv", "text/csv"),
        ("/odd", "file", "odd", "application/octet-stream"),
    ],
)
async def test_a_file_is_fetched_with_its_type(path, kind, name, mime_type):
    answers = {
        **dict.fromkeys(("/a.png", "/a.jpg", "/picture"), (200, IMAGE, RED)),
        "/moved": (302, {"Location": "/a.png"}, b""),
        "/a": (200, {"Content-Type": "text/csv"}, b"a,b"),
        "/odd": (200, {"Content-Type": 'text/"odd\x01'}, b"a,b"),
    }
    async with serving(answers) as (port, _):
        file = await fetch(f"http://localhost:{port}{path}", kind)
    assert (file.name, file.mime_type) == (name, mime_type)
    assert file.data == (b"a,b" if kind == "file" else RED)


@pytest.mark.usefixtures("this_machine_is_public")
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/missing.png", "status 404"),
        ("/round", "too many redirects"),
        ("/inside", "169.254.169.254 is not a public address"),
        ("/file", "a URL that is not http or https"),
        ("/page.png", "labelled image/png, but its bytes are not"),
        ("/page", "labelled image, but it is text/html"),
        ("/packed.png", "compressed"),
        ("/large.png", "larger than 1,000 bytes"),
        ("/empty.png", "is empty"),
    ],
)
async def test_what_is_no_file_is_refused_with_its_block(monkeypatch, path, why):
    monkeypatch.setattr(fetching, "_MOST", 1000)
    answers = {
        "/round": (302, {"Location": "/round"}, b""),
        "/inside": (302, {"Location": "http://169.254.169.254/latest"}, b""),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
        "/page.png": (200, PAGE, b"<html>"),
        "/page": (200, PAGE, b"<html>"),
        "/packed.png": (200, {**IMAGE, "Content-Encoding": "gzip"}, b"x"),
        "/large.png": (200, IMAGE, RED + bytes(1000)),
        "/empty.png": (200, IMAGE, b""),
    }
    async with serving(answers) as (port, _):
        with pytest.raises(InvalidInputError, match=rf"^messages\[0\] has a content block.*{why}"):
            await fetch(f"http://127.0.0.1:{port}{path}")


async def test_the_assistants_files_are_left_to_the_space():
    file = picture("http://127.0.0.1:9/a.png")
    assert await fetching.fetched(((), (file,), ())) == ((), (file,), ())
