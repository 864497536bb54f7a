import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.wire.access import Access, is_loopback, parse_proxy, parse_space

SHOWN = {"Authorization": "Bearer hf_x", "x-hf-authorization": "Bearer hf_x"}
HUB = {"Authorization": "Bearer hf_x"}
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def headers(url, *, space="Owner/Name", token="hf_x", explicit=False):
    access = Access(space, token=token, token_is_explicit=explicit)
    return access.token_headers(URL(url))


class TestToken:
    """Who is shown the token."""

    @pytest.mark.parametrize("explicit", [True, False])
    def test_the_hub_api_and_spaces_are(self, explicit):
        assert headers("https://huggingface.co/api/spaces/x/host", explicit=explicit) == HUB
        for host in ("owner-name.hf.space", "OWNER-NAME.HF.SPACE", "a.b.hf.space"):
            assert headers(f"https://{host}/config", explicit=explicit) == SHOWN

    @pytest.mark.parametrize("explicit", [True, False])
    @pytest.mark.parametrize(
        "host",
        [
            *("evil-hf.space", "hf.space.evil.com", "hf.space", "evilhf.space", "x.hf.space.evil"),
            *("huggingface.co.evil.com", "evil-huggingface.co", "sub.huggingface.co", "hf.co"),
            *("x.hf.space.", "owner-name.hf.space%2eevil.com", "127.0.0.1", "localhost"),
        ],
    )
    def test_others_are_not(self, host, explicit):
        assert headers(f"https://{host}/config", explicit=explicit) == {}
        assert headers(f"http://{host}/config", explicit=explicit) == {}

    def test_a_user_in_the_url_makes_no_host(self):
        assert headers("https://x.hf.space@evil.example/") == {}
        assert headers("https://huggingface.co:443@evil.example/") == {}

    def test_the_url_given_is_shown_an_explicit_token_only(self):
        url = "https://chat.example/app"
        assert headers(f"{url}/config", space=url, explicit=True) == SHOWN
        assert headers(f"{url}/config", space=url) == {}

    @pytest.mark.parametrize(
        "url",
        ["https://chat.example:8443/", "http://chat.example/", "https://other.example/"],
    )
    def test_another_origin_than_the_one_given_is_not(self, url):
        assert headers(url, space="https://chat.example", explicit=True) == {}

    def test_a_port_that_is_the_usual_one_makes_no_other_origin(self):
        space = "https://chat.example"
        assert headers("https://chat.example:443/config", space=space, explicit=True) == SHOWN

    @pytest.mark.parametrize(
        "host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "127.9.9.9"]
    )
    def test_this_machine_is_shown_it_without_encryption(self, host):
        url = f"http://{host}"
        assert headers(f"{url}/config", space=url, explicit=True) == SHOWN
        assert headers(f"{url}/config", space=url) == {}

    @pytest.mark.parametrize(
        "url", ["http://chat.example", "http://192.168.1.7:7860", "http://x.hf.space"]
    )
    def test_it_never_crosses_the_network_unencrypted(self, url):
        with pytest.raises(InvalidInputError, match=r"not sent to http://.*unencrypted") as caught:
            headers(f"{url}/config", space=url, explicit=True)
        assert "hf_x" not in str(caught.value)

    def test_there_may_be_none(self):
        assert headers("https://x.hf.space", token=None) == {}

    @pytest.mark.parametrize("token", ["hf_x\r\nX-Evil: 1", "hf x", "hf_é", "hf_x\n", ""])
    def test_a_token_that_would_break_a_header_is_refused(self, token):
        with pytest.raises(InvalidInputError, match="token contains characters") as caught:
            headers("https://x.hf.space", token=token)
        assert "hf" not in str(caught.value)


class TestProxy:
    """Which proxy a request goes through."""

    @staticmethod
    def proxy(url, given=None):
        found = Access("Owner/Name", proxy=given).proxy_for(URL(url))
        return None if found is None else str(found)

    def test_one_that_is_given_is_always_used(self, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
        monkeypatch.setenv("NO_PROXY", "*")
        for url in ("https://x.hf.space", "http://127.0.0.1:7860", "http://localhost"):
            assert self.proxy(url, "http://user:pw@proxy:3128") == "http://user:pw@proxy:3128"
        assert self.proxy("https://x.hf.space", "proxy:3128") == "http://proxy:3128"

    @pytest.mark.parametrize("upper", [True, False])
    def test_the_environment_decides_else(self, monkeypatch, upper):
        for name in PROXIES[:3]:
            monkeypatch.setenv(name.upper() if upper else name, f"http://{name}:1")
        assert self.proxy("https://x.hf.space/config") == "http://https_proxy:1"
        assert self.proxy("http://x.example/config") == "http://http_proxy:1"
        monkeypatch.delenv("HTTPS_PROXY" if upper else "https_proxy")
        assert self.proxy("https://x.hf.space/config") == "http://all_proxy:1"

    def test_without_one_none_is_used(self):
        assert self.proxy("https://x.hf.space") is None

    @pytest.mark.parametrize(
        ("no_proxy", "used"),
        [
            ("x.hf.space", False),
            (".hf.space", False),
            ("hf.space", False),
            ("*", False),
            ("other.example, hf.space", False),
            ("x.hf.space:443", False),
            ("x.hf.space:8443", True),
            ("f.space", True),
            ("other.example", True),
            ("", True),
        ],
    )
    def test_no_proxy_is_honoured(self, monkeypatch, no_proxy, used):
        monkeypatch.setenv("https_proxy", "http://proxy:1")
        monkeypatch.setenv("no_proxy", no_proxy)
        assert (self.proxy("https://x.hf.space/config") is not None) is used

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "app.localhost", "[::1]"])
    def test_this_machine_is_reached_without(self, monkeypatch, host):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        assert self.proxy(f"http://{host}:7860") is None

    @pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h", "SOCKS5"])
    def test_socks_is_refused_clearly(self, monkeypatch, scheme):
        proxy = f"{scheme}://user:hunter2@proxy:1080"
        with pytest.raises(InvalidInputError, match=r"SOCKS proxy .* cannot be used") as caught:
            parse_proxy(proxy)
        assert "hunter2" not in str(caught.value)
        monkeypatch.setenv("all_proxy", proxy)
        with pytest.raises(InvalidInputError, match="SOCKS"):
            self.proxy("https://x.hf.space")

    @pytest.mark.parametrize(
        "proxy",
        [
            *("ftp://user:hunter2@proxy", "http://", "http://user:hunter2@proxy:bad", "", "://"),
            *("http://user:hunter2@[::1", "http://proxy:99999", "http:///hunter2"),
        ],
    )
    def test_what_is_no_proxy_is_refused_without_telling_it(self, proxy):
        with pytest.raises(InvalidInputError, match="must be a URL like") as caught:
            parse_proxy(proxy)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("localhost", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:7f00:1", True),
        ("::ffff:128.0.0.1", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("::2", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host, is_it):
    assert is_loopback(host) is is_it


@pytest.mark.parametrize(
    ("space", "parsed"),
    [
        ("Qwen/Qwen2.5", "Qwen/Qwen2.5"),
        (" Qwen/Qwen2.5 ", "Qwen/Qwen2.5"),
        ("a_b/c.d-e", "a_b/c.d-e"),
        ("https://huggingface.co/spaces/Qwen/Qwen2.5", "Qwen/Qwen2.5"),
        ("https://huggingface.co/spaces/Qwen/Qwen2.5/tree/main?x=1#y", "Qwen/Qwen2.5"),
        ("https://qwen-qwen2-5.hf.space", "https://qwen-qwen2-5.hf.space"),
        ("https://qwen-qwen2-5.hf.space/", "https://qwen-qwen2-5.hf.space"),
        ("HTTPS://Qwen-Qwen2-5.HF.space/?__theme=dark#x", "https://qwen-qwen2-5.hf.space"),
        ("http://127.0.0.1:7860/", "http://127.0.0.1:7860"),
        ("http://[::1]:7860", "http://[::1]:7860"),
        ("https://host.example/path/to/app/", "https://host.example/path/to/app"),
        ("https://host.example:443", "https://host.example"),
    ],
)
def test_a_space_in_one_spelling(space, parsed):
    assert parse_space(space) == parsed
    assert parse_space(parsed) == parsed
    assert Access(parsed).is_url is ("://" in parsed)


@pytest.mark.parametrize(
    "space",
    [
        *("", "Qwen", "Qwen/", "/Qwen", "a/b/c", "localhost:7860", "Qwen Qwen/x", "../..", "./x"),
        *("huggingface.co/spaces/Qwen/Qwen2.5", "ftp://host/x", "https://", "http://host:bad"),
        *("http://host:99999", "http://[::1", "file:///etc/passwd", "://x"),
    ],
)
def test_what_names_no_space_is_refused(space):
    with pytest.raises(InvalidInputError, match="space="):
        parse_space(space)


@pytest.mark.parametrize(
    "space",
    [
        *("https://user:hunter2@host.example", "https://hunter2@host.example/x"),
        *("https://user:hunter2@host:bad", "https://user:hunt/hunter2@host", "user:hunter2@host/x"),
        *("ftp://user:hunter2@host", "https://a@user:hunter2@[::1"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_told(space):
    with pytest.raises(InvalidInputError) as caught:
        parse_space(space)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


UNDECODABLE = "\u00b4\u2024"  # as a host it becomes "xn-- -.", which IDNA cannot decode


@example(UNDECODABLE, "http://")
@example("A.\u00b6", "http://")  # as a host it becomes "A.xn--tba", and that "a.xn--tba"
@given(st.text(max_size=20), st.sampled_from(["", "http://", "https://", "https://h/", "http://["]))
def test_any_text_is_parsed_once_and_for_all_or_refused(text, start):
    try:
        parsed = parse_space(start + text)
    except InvalidInputError:
        return
    assert parse_space(parsed) == parsed


@example(UNDECODABLE, "")
@given(st.text(max_size=20), st.sampled_from(["", "http://", "https://u:p@h:"]))
def test_any_text_is_a_proxy_or_refused(text, start):
    try:
        proxy = parse_proxy(start + text)
    except InvalidInputError:
        return
    assert proxy.scheme in ("http", "https")
    assert proxy.host


def test_no_secret_is_shown():
    access = Access("Owner/Name", "hf_x", proxy="http://u:hunter2@proxy", auth=("joe", "hunter3"))
    assert not any(secret in repr(access) for secret in ("hf_x", "hunter2", "hunter3", "joe"))


def test_equal_accesses_share_what_is_kept_for_them():
    assert Access("A/b", "x") == Access("A/b", "x")
    assert hash(Access("A/b", "x")) == hash(Access("A/b", "x"))
    others = [Access("A/c", "x"), Access("A/b", "y"), Access("A/b", "x", token_is_explicit=True)]
    others += [Access("A/b", "x", proxy="p"), Access("A/b", "x", auth=("u", "p"))]
    assert all(other != Access("A/b", "x") for other in others)
