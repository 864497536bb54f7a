"""Files that messages name by URL, fetched here (`fetch_files=True`): from public addresses, with limits."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import aiohttp
from yarl import URL

from langchain_qwen_space import content_blocks
from langchain_qwen_space.attachments import Attachment, Files
from langchain_qwen_space.errors import InvalidInputError

_MOST = 64 * 2**20  # bytes of one file
_MOST_REDIRECTS = 4
_LONGEST = 120  # seconds for one file, its redirects included
_TIME = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=30)
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "langchain-qwen-space"}
_WRAPPING = IPv6Network("64:ff9b::/96")  # IPv4 addresses, for networks that have IPv6 only
_UNICAST = IPv6Network("2000::/3")  # all of IPv6 that is routed between networks
_SPECIAL = IPv4Network("192.0.0.0/24")  # of protocols; `is_global` knows a part of it only


async def fetched(files: Files) -> Files:
    """The files with the bytes of those that are named by URL, the assistant's left as they are.

    Args:
        files: The files of each turn, the user's first.

    Raises:
        InvalidInputError: One cannot be fetched; the error names its block, and why.
    """
    found = []
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=_socket),
        timeout=_TIME,
        headers=_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        for number, turn in enumerate(files):
            if number % 2 == 0:  # the user's
                turn = tuple([await _with_bytes(session, file) for file in turn])
            found.append(turn)
    return tuple(found)


def _socket(target: tuple[Any, ...]) -> socket.socket:
    """The socket for a connection, whose address is that of the connection and no other.

    Raises:
        OSError: A stranger's URL must not lead there.
    """
    family, kind, protocol, _, (address, *_) = target
    ip = ip_address(address.partition("%")[0])
    if not _is_public(ip):
        raise OSError(f"{ip} is not a public address")
    return socket.socket(family, kind, protocol)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address):
        if ip in _WRAPPING:
            return _is_public(IPv4Address(int(ip) & 0xFFFF_FFFF))
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            return _is_public(inner)
        return ip.is_global and ip in _UNICAST
    return ip.is_global and not ip.is_multicast and ip not in _SPECIAL


async def _with_bytes(session: aiohttp.ClientSession, file: Attachment) -> Attachment:
    if file.data is not None or file.url is None:
        return file
    try:
        async with asyncio.timeout(_LONGEST):
            data, mime_type = await _get(session, URL(file.url))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        cause = getattr(error, "os_error", None) or error
        why = "it took too long" if isinstance(error, TimeoutError) else str(cause)
        raise InvalidInputError(f"{file.origin} whose URL cannot be fetched: {why}.") from error
    return content_blocks.with_data(file, data, mime_type)


async def _get(session: aiohttp.ClientSession, url: URL) -> tuple[bytes, str]:
    """What is at a URL, and its type by the server's word."""
    for _ in range(_MOST_REDIRECTS + 1):
        if url.scheme not in ("http", "https") or not url.host:
            raise OSError("it redirects to a URL that is not http or https")
        async with session.get(url, allow_redirects=False) as response:
            if response.status in (301, 302, 303, 307, 308):
                url = url.join(URL(response.headers.get("Location", "")))
            elif response.status == 200:
                return await _body(response), response.content_type
            else:
                raise OSError(f"status {response.status}")
    raise OSError("too many redirects")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise OSError("it is compressed, which was not requested")
    body = bytearray()
    while part := await response.content.readany():
        body += part
        if len(body) > _MOST:
            raise OSError(f"it is larger than {_MOST:,} bytes")
    return bytes(body)
