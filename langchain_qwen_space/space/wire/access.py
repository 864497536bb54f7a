"""Where a Space is and what may be shown to it: URL, token, proxy, login."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from langchain_qwen_space.errors import InvalidInputError

HUB = URL("https://huggingface.co")


@dataclass(frozen=True, slots=True)
class Access:
    """How one Space is reached. Equal ones share connections, cookies and the endpoint.

    Attributes:
        space: The Space's id (`Owner/Name`) or the URL of its app, as the caller gave it.
        token: Hugging Face token.
        token_is_explicit: Whether the caller gave the token, rather than the environment.
        proxy: URL of an HTTP proxy for every request; None leaves it to the environment.
        auth: User and password of a Space with a login.
    """

    space: str
    token: str | None = field(default=None, repr=False)
    token_is_explicit: bool = False
    proxy: str | None = field(default=None, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def is_url(self) -> bool:
        """Whether `space` is a URL rather than an id."""
        return "://" in self.space

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
            raise InvalidInputError("The Hugging Face token holds blanks or letters that none has.")
        if url.scheme != "https" and not is_loopback(host):
            msg = (
                f"The Hugging Face token is not sent to {url.origin()}: it would cross the network "
                "unencrypted. Use an https URL, or give no token."
            )
            raise InvalidInputError(msg)
        headers = {"Authorization": f"Bearer {self.token}"}
        if host != HUB.host:
            headers["x-hf-authorization"] = headers["Authorization"]
        return headers

    def proxy_for(self, url: URL) -> URL | None:
        """The proxy for requests to `url`.

        One that the caller gave is always used. Else the environment decides, as everywhere
        (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`); for this machine's own addresses
        none is used.

        Raises:
            InvalidInputError: It is not an HTTP proxy.
        """
        proxy = self.proxy
        if proxy is None:
            host = url.host or ""
            if is_loopback(host) or proxy_bypass(f"{host}:{url.port}"):
                return None
            known = getproxies()
            proxy = known.get(url.scheme) or known.get("all")
            if not proxy:
                return None
        return parse_proxy(proxy)


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


def parse_proxy(proxy: str) -> URL:
    """The proxy's URL; `host:port` counts as http.

    Raises:
        InvalidInputError: It is a SOCKS proxy, or no URL of a proxy at all.
    """
    try:
        url = URL(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError:
        url = URL()
    if url.scheme.startswith("socks"):
        msg = (
            f"A SOCKS proxy ({url.scheme}://…) cannot be used; give the URL of an HTTP proxy "
            "(http://host:port), or put one in front of it."
        )
        raise InvalidInputError(msg)
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInputError("The proxy must be a URL like http://user:password@host:port.")
    return url


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


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
        url = URL(text).with_query(None).with_fragment(None)
        port_is_valid = url.port is not None
    except ValueError as error:
        raise InvalidInputError(f"space={shown} is no URL: {error}.") from None
    if url.scheme not in ("http", "https") or not url.host or not port_is_valid:
        raise InvalidInputError(
            f"space={shown}: the URL of a Space starts with http:// or https://."
        )
    if url.user or url.password:
        msg = "The URL of the Space holds a user or password; give them as auth=(user, password)."
        raise InvalidInputError(msg)
    if url.host == HUB.host and len(url.parts) >= 4 and url.parts[1] == "spaces":
        return "/".join(url.parts[2:4])
    return str(url).rstrip("/")
