"""`describe()` of a chat that takes several functions."""

from yarl import URL

from langchain_qwen_space.space.chat.description import describe_endpoint
from langchain_qwen_space.space.chat.finding import find_endpoint
from langchain_qwen_space.space.page.config import read_config

CONFIG = {
    "version": "5.50.0",
    "protocol": "sse_v3",
    "components": [
        {"id": 1, "type": "chatbot", "props": {"type": "messages"}},
        {"id": 2, "type": "textbox", "props": {"label": "Message"}},
    ],
    "dependencies": [
        {"id": 0, "targets": [[2, "submit"]], "inputs": [2, 1], "outputs": [2, 1]}
        | {"api_name": "user", "js": "(text, chat) => [text.trim(), chat]"},
        {"id": 1, "targets": [[None, "then"]], "inputs": [1], "outputs": [1]}
        | {"trigger_after": 0, "types": {"generator": True}},
    ],
}


def test_it_shows_chain_and_doubts():
    endpoint = find_endpoint(read_config(CONFIG, URL("http://space.test"), "a Space"), "a Space")
    description = describe_endpoint("a Space", endpoint)
    assert description.chain == ("/user", "function 1")
    assert "chain         /user, then function 1" in str(description)
    assert "doubtful      function 0 runs javascript" in str(description)


def test_a_long_role_stands_apart_from_its_input():
    slider = {"id": 3, "type": "slider", "props": {"label": "Thinking budget", "maximum": 38}}
    chat, then = CONFIG["dependencies"]
    config = {
        **CONFIG,
        "components": [*CONFIG["components"], slider],
        "dependencies": [chat, {**then, "inputs": [1, 3]}],
    }
    endpoint = find_endpoint(read_config(config, URL("http://space.test"), "a Space"), "a Space")
    assert "\n  thinking_budget 'Thinking budget'" in str(describe_endpoint("a Space", endpoint))
