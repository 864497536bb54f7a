"""Where a Space is and what may be shown to it: URL, token, proxy, login.

Every word of a Space that leaves the package (errors, events, logs, metadata, `describe()`) goes
through `Access.redacted`, since a Space may repeat what was shown to it.
"""

import base64
import html
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.transport import Transport

T = TypeVar("T")

HUB = URL("https://huggingface.co")
_SALT = secrets.token_bytes(16)
_SHORTEST = 4  # characters of a secret that is redacted; shorter ones stand in any text


@dataclass(frozen=True, slots=True)
class Access:
    """How one Space is reached. Equal ones share connections, cookies and the endpoint.

    Attributes:
        space: The Space's id (`Owner/Name`) or the URL of its app, as the caller gave it.
        token: Hugging Face token.
        token_is_explicit: Whether the caller gave the token, rather than the environment.
        proxy: URL of an HTTP proxy for every request; None leaves it to the environment.
        auth: User and password of a Space with a login.
        transport: What answers the requests instead of the network.
    """

    space: str
    token: str | None = field(default=None, repr=False)
    token_is_explicit: bool = False
    proxy: str | None = field(default=None, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    transport: Transport | None = field(default=None, repr=False)

    @property
    def is_url(self) -> bool:
        """Whether `space` is a URL rather than an id."""
        return "://" in self.space

    @property
    def where(self) -> str:
        """The Space, as messages call it."""
        return f"Space {self.space}"

    @property
    def key(self) -> str:
        """The same for equal ones, and without secrets, so that it may outlive a call.

        What is kept by it keeps the access too, since ids of objects that are gone come again.
        """
        transport = None if self.transport is None else id(self.transport)
        shown = repr(
            (self.token, self.token_is_explicit, self.proxy, self.auth, transport)
        ).encode()
        return f"{self.space} {blake2b(shown, key=_SALT, digest_size=16).hexdigest()}"

    def redacted(self, value: T) -> T:
        """`value` without secrets: a text, or what holds texts, an error also.

        A token or password is taken out in each spelling that JSON, URLs, HTML, Python's `repr`
        and basic authentication have for it.
        """
        spellings = self._spellings()
        return _redacted(value, spellings) if spellings else value

    def _spellings(self) -> list[str]:
        proxy = URL(self.proxy) if self.proxy and "://" in self.proxy else URL()
        user, password = self.auth or ("", None)
        found: set[str] = set()
        for secret in (self.token, password, proxy.password):
            if secret and len(secret) >= _SHORTEST:
                found.update(_written(secret))
        for name, word in ((user, password), (proxy.user, proxy.password)):
            if word:
                found.add(base64.b64encode(f"{name}:{word}".encode()).decode())
        return sorted(found, key=len, reverse=True)

    def token_headers(self, url: URL) -> dict[str, str]:
        """The headers that show the token to `url`, or none where it must not go.

        A token from the environment goes to huggingface.co and *.hf.space only, one that the
        caller gave also to the URL that the caller gave. Gradio's clients of 5.x and 6.x send
        `x-hf-authorization` to a Space, older ones `Authorization`; the Hub API the latter.

        Raises:
            InvalidInputError: It would go over plain http to another machine, or it is no token.
        """
        host = url.host or ""
        ours = host == HUB.host or host.endswith(".hf.space")
        given = self.token_is_explicit and self.is_url and _origin(URL(self.space)) == _origin(url)
        if self.token is None or not (ours or given):
            return {}
        if not re.fullmatch(r"[!-~]+", self.token):
            raise InvalidInputError(
                "The Hugging Face token contains characters that a token cannot have."
            )
        self.check_encrypted(url, "The Hugging Face token")
        headers = {"Authorization": f"Bearer {self.token}"}
        if host != HUB.host:
            headers["x-hf-authorization"] = headers["Authorization"]
        return headers

    def check_encrypted(self, url: URL, secret: str) -> None:
        """Refuse to send a secret unencrypted to another machine.

        Raises:
            InvalidInputError: It would be.
        """
        if url.scheme != "https" and not is_loopback(url.host or ""):
            msg = (
                f"{secret} is not sent to {url.origin()}: the connection is unencrypted. "
                "Use an https URL, or leave it out."
            )
            raise InvalidInputError(msg)

    def proxy_for(self, url: URL) -> URL | None:
        """The proxy for requests to `url`.

        One that the caller gave is always used. Else the environment decides, as everywhere
        (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`); for this machine's own addresses
        none is used, nor with a transport.

        Raises:
            InvalidInputError: It is not an HTTP proxy.
        """
        proxy = self.proxy
        if proxy is None:
            if self.transport is not None:
                return None
            host = url.host or ""
            if is_loopback(host) or proxy_bypass(f"{host}:{url.port}"):
                return None
            known = getproxies()
            proxy = known.get(url.scheme) or known.get("all")
            if not proxy:
                return None
        return parse_proxy(proxy)


def _written(secret: str) -> Iterator[str]:
    """How a secret is written in a text, in JSON, in a URL, in HTML and by `repr`."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield html.escape(secret)


def _redacted(value: Any, spellings: list[str]) -> Any:
    if isinstance(value, str):
        for spelling in spellings:
            value = value.replace(spelling, "…")
        return value
    if isinstance(value, BaseException):
        chain: list[BaseException] = [value]
        for error in chain:
            error.args = _redacted(error.args, spellings)
            linked = (error.__cause__, error.__context__)
            chain += [item for item in linked if item is not None and item not in chain]
        return value
    if isinstance(value, dict):
        return {_redacted(k, spellings): _redacted(v, spellings) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_redacted(item, spellings) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _redacted(getattr(value, f.name), spellings) for f in fields(value)}
        return replace(value, **changed)
    return value


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


def parse_proxy(proxy: str) -> URL:
    """The proxy's URL; `host:port` counts as http.

    Raises:
        InvalidInputError: It is a SOCKS proxy, or no URL of a proxy at all.
    """
    try:
        url = URL(proxy if "://" in proxy else f"http://{proxy}")
        host = url.host  # decoded here, which not every text can be
    except ValueError:
        url, host = URL(), None
    if url.scheme.startswith("socks"):
        msg = (
            f"A SOCKS proxy ({url.scheme}://…) cannot be used; give the URL of an HTTP proxy "
            "(http://host:port), or put one in front of it."
        )
        raise InvalidInputError(msg)
    if url.scheme not in ("http", "https") or not host:
        raise InvalidInputError("The proxy must be a URL like http://user:password@host:port.")
    return url


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    # Python before 3.13 does not look into `::ffff:127.0.0.1`.
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


def parse_space(space: str) -> str:
    """`space` in one spelling: an id, or a URL without query and trailing slash.

    The page of a Space on huggingface.co (https://huggingface.co/spaces/Owner/Name) counts as its id.

    Raises:
        InvalidInputError: It is neither.
    """
    text = space.strip()
    shown = repr("…@" + text.rpartition("@")[2] if "@" in text else text)
    if "://" not in text:
        if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text):
            return text
        msg = (
            f"space={shown} is neither the id of a Space (like 'Qwen/Qwen2.5') nor the URL of its "
            "app (like 'https://qwen-qwen2-5.hf.space' or 'http://127.0.0.1:7860')."
        )
        raise InvalidInputError(msg)
    try:
        # Twice, for what is outside ASCII is encoded first, and what is in it in lower case after that.
        url = URL(str(URL(text).with_query(None).with_fragment(None)))
        host, port = url.host, url.port
    except ValueError as error:
        raise InvalidInputError(f"space={shown} is not a URL: {error}.") from None
    if url.scheme not in ("http", "https") or not host or port is None:
        raise InvalidInputError(
            f"space={shown}: the URL of a Space starts with http:// or https://."
        )
    if url.user or url.password:
        msg = (
            "The URL of the Space contains a user or password; pass them as auth=(user, password)."
        )
        raise InvalidInputError(msg)
    if host == HUB.host and len(url.parts) >= 4 and url.parts[1] == "spaces":
        return "/".join(url.parts[2:4])
    return str(url).rstrip("/")
