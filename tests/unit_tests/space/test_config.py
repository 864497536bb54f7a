import copy
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from langchain_qwen_space.errors import ProtocolError, QwenSpaceError, UnsupportedSpaceError
from langchain_qwen_space.space.chat.description import describe_endpoint
from langchain_qwen_space.space.chat.finding import find_endpoint
from langchain_qwen_space.space.page.config import read_config
from tests import replay
from tests.unit_tests.space import pages
from tests.unit_tests.space.pages import Page

BASE = URL("https://owner-name.hf.space")


def read(config):
    return read_config(config, BASE, "Space Owner/Name")


@pytest.mark.parametrize("folder", replay.FOLDERS)
def test_a_recorded_config_is_read(folder):
    config = read(replay.config(folder))
    release = folder.split("-")[1]
    assert config.version == release
    assert config.release == tuple(map(int, release.split(".")))
    assert config.protocol == "sse_v3"
    assert config.api_prefix == ("" if release < "5" else "/gradio_api")
    assert len(config.components) == 30
    assert config.dependencies[3].api_name == "model_chat"
    assert config.dependencies[3].public


@pytest.mark.parametrize("protocol", ["sse_v1", "sse_v2", "sse_v2.1", "sse_v3"])
def test_protocols_since_4_9_are_read(protocol):
    page = pages.older_demo()
    page.config["protocol"] = protocol
    assert read(page.config).protocol == protocol


@pytest.mark.parametrize("protocol", ["ws", "sse", "sse_v9", None, 7, ["sse_v3"]])
def test_other_protocols_are_not_supported(protocol):
    page = Page("3.50.2", protocol=protocol)
    with pytest.raises(UnsupportedSpaceError, match=r"runs Gradio 3\.50\.2.*Gradio 4\.9 and later"):
        read(page.config)


def test_a_config_without_a_protocol_is_of_gradio_3():
    page = Page("3.50.2")
    del page.config["protocol"]
    with pytest.raises(UnsupportedSpaceError, match="protocol 'ws'"):
        read(page.config)


@pytest.mark.parametrize("body", [None, [], "x", 7, {}, {"dependencies": {}}, {"components": []}])
def test_what_is_no_config_is_no_gradio_app(body):
    with pytest.raises(UnsupportedSpaceError, match="is not a Gradio app"):
        read(body)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda config: config.pop("components"), "components"),
        (lambda config: config.update(components={}), "components"),
        (lambda config: config["components"].append("x"), r"components\.8"),
        (lambda config: config["components"][0].pop("type"), r"components\.0\.type"),
        (lambda config: config["components"][0].update(props=[]), r"components\.0\.props"),
        (lambda config: config["dependencies"].append(7), r"dependencies\.3"),
        (lambda config: config["dependencies"][0].update(inputs="x"), r"dependencies\.0\.inputs"),
        (lambda config: config["dependencies"][0].update(outputs=[None]), r"\.0\.outputs\.0"),
        (lambda config: config.update(api_prefix=7), "api_prefix"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_place(change, place):
    page = pages.coder_demo()
    change(page.config)
    with pytest.raises(
        ProtocolError, match=rf"/config of Space Owner/Name .* at .*{place}.*: "
    ) as e:
        read(page.config)
    assert not e.value.is_retryable


def test_a_function_without_an_id_is_known_by_its_place():
    page = pages.coder_demo()
    for dependency in page.config["dependencies"]:
        del dependency["id"]
    assert [item.id for item in read(page.config).dependencies] == [0, 1, 2]


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("4.44.1", (4, 44, 1)),
        ("6.0.0.dev1", (6, 0, 0)),
        ("5.0b3", (5, 0, 3)),
        ("", (0,)),
        ("none", (0,)),
        ("9" * 5000, (999999999,) * 3),
    ],
)
def test_a_version_is_read_as_numbers(version, release):
    assert read(Page(version).config).release == release


def component(**props):
    page = Page()
    page.config["components"] = [{"id": 0, "type": "radio", "props": props}]
    return read(page.config).components[0]


def test_what_a_component_says_of_itself():
    said = component(label=" Model ", value="b", choices=[["A", "a"], "b", ["c"]], visible="hidden")
    assert said.label == "Model"
    assert said.default == "b"
    assert said.choices == ["a", "b", ["c"]]
    assert not said.visible
    silent = component(label={"__type__": "translation_metadata"}, choices=None)
    assert silent.label == ""
    assert silent.default is None
    assert silent.choices == []
    assert silent.visible


def test_a_component_that_is_not_described_is_of_no_known_type():
    config = read(pages.coder_demo().config)
    assert config.component(1).label == "System"
    assert config.component(99).type == "unknown"
    assert config.component(99).id == 99


class TestApi:
    """Where the routes of the app's queue are."""

    @staticmethod
    def url(*, base="https://host.example", root="", api_prefix=""):
        config = Page(root=root, api_prefix=api_prefix).config
        return str(read_config(config, URL(base), "X").api("queue/join"))

    def test_the_prefix_stands_before_the_route(self):
        assert self.url() == "https://host.example/queue/join"
        for prefix in ("/gradio_api", "gradio_api/"):
            assert self.url(api_prefix=prefix) == "https://host.example/gradio_api/queue/join"

    def test_the_app_may_be_mounted_under_a_path(self):
        base = "https://host.example/chat"
        assert self.url(base=base, api_prefix="/api") == f"{base}/api/queue/join"

    def test_a_root_names_a_replica_of_the_same_host(self):
        root = "https://host.example/--replicas/abc12"
        assert self.url(root=root, api_prefix="/api") == f"{root}/api/queue/join"

    @pytest.mark.parametrize(
        ("root", "expected"),
        [
            # Of a web server that strips the path, the app says where it would be without it.
            ("https://host.example", "https://host.example/app"),
            ("https://host.example/", "https://host.example/app"),
            ("https://host.example/other", "https://host.example/app"),
            ("https://host.example/application", "https://host.example/app"),
            ("https://host.example/app/", "https://host.example/app"),
            ("https://host.example/app/--replicas/abc", "https://host.example/app/--replicas/abc"),
        ],
    )
    def test_a_root_counts_where_it_extends_the_path_that_was_given(self, root, expected):
        assert self.url(base="https://host.example/app", root=root) == expected + "/queue/join"

    @pytest.mark.parametrize(
        "root", ["https://other.example/x", "http://127.0.0.1:7860", "/x", "http://[", "x:y"]
    )
    def test_a_root_elsewhere_is_ignored(self, root):
        assert self.url(root=root) == "https://host.example/queue/join"

    @given(st.text(max_size=8), st.text(max_size=8))
    def test_nothing_leads_to_another_host(self, root, prefix):
        for before in ("", "https://host.example/", "https://host.example", "//", "https://"):
            url = URL(self.url(root=before + root, api_prefix=before + prefix))
            assert url.origin() == URL("https://host.example")


CONFIGS = [
    *(replay.config(folder) for folder in replay.FOLDERS),
    pages.coder_demo().config,
    pages.renamed().config,
    pages.chat_interface("4.44.1").config,
    pages.chat_interface("6.31.0").config,
]
JUNK = st.sampled_from(
    [None, True, False, 0, 1, -1, 7, 2**63, 1.5, 1e308, "", "x", "textbox", "chatbot", "state"]
) | st.sampled_from([[], [[]], {}, [None], ["x", "x"], [0, "submit"], {"value": 1}, "x" * 5000])


def mutate(data, config):
    """Delete, replace or copy something at a place that hypothesis chooses."""
    node = config
    while True:
        if not node:
            return
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        child = node[key]
        if isinstance(child, dict | list) and child and data.draw(st.integers(0, 3)):
            node = child
            continue
        action = data.draw(st.sampled_from(["delete", "replace", "move"]))
        if action == "delete":
            del node[key]
        elif action == "replace":
            node[key] = copy.deepcopy(data.draw(JUNK))
        else:
            other = data.draw(st.sampled_from(keys))
            node[key] = copy.deepcopy(node[other])
        return


@given(st.data())
def test_a_config_in_disorder_is_read_or_refused(data):
    config = copy.deepcopy(data.draw(st.sampled_from(CONFIGS)))
    for _ in range(data.draw(st.integers(1, 6))):
        mutate(data, config)
    given_values = {"system": "s", "temperature": 0.5, "top_p": 1, "max_tokens": 600}
    try:
        endpoint = find_endpoint(read(config), "X")
        endpoint.lay_out(query="q", history=[("a", "b")], given=given_values, extra={})
    except QwenSpaceError as error:
        assert len(str(error)) < 2000  # noqa: PT017  (it may as well be no error)
    else:
        assert str(describe_endpoint("X", endpoint))
        assert endpoint.config.api("queue/join").host == BASE.host
        assert endpoint.default_model is None or isinstance(endpoint.default_model, str)


@pytest.mark.parametrize("key", ["version", "protocol", "root", "dependencies", "components"])
@pytest.mark.parametrize("prop", ["label", "choices", "visible", "value", "minimum", "type"])
def test_a_config_that_is_nested_without_end_is_read_or_refused(key, prop):
    nested = []
    for _ in range(1000):
        nested = [nested]
    config = pages.coder_demo().config
    for component in config["components"]:
        component["props"][prop] = nested
    with pytest.raises(QwenSpaceError):
        find_endpoint(read(config | {key: nested}), "X")
    assert find_endpoint(read(config), "X").steps[0].id == 0


def large(page, count):
    """Many boxes and functions, each of which may chat."""
    chatbots = [page.add("chatbot", "max" * 60) for _ in range(count // 2)]
    boxes = [page.add("textbox", "token length " * 9, "you are " * 9) for _ in range(count // 2)]
    for chatbot, box in zip(chatbots, boxes, strict=True):
        page.call("chat", [chatbot, box, *boxes[:20]], [chatbot, box], on=(box, "submit"))
    return page.config


def test_a_very_large_page_is_read_in_bounded_time():
    start = time.process_time()
    assert find_endpoint(read(large(Page(), 1000)), "X").steps[0].id == 0
    assert time.process_time() - start < 10


def test_a_page_larger_than_any_is_refused():
    config = Page().config | {"components": [{"id": 0, "type": "x"}] * 20_001}
    with pytest.raises(ProtocolError, match="at components"):
        read(config)
    config = Page().config | {"dependencies": [{}] * 20_001}
    with pytest.raises(ProtocolError, match="at dependencies"):
        read(config)
