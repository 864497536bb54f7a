"""Pages with thousands of components are read in no time that a person would notice."""

import gc
import time

import orjson
from yarl import URL

from langchain_qwen_space.space.chat.finding import find_endpoint
from langchain_qwen_space.space.page.config import read_config


def page(size: int) -> bytes:
    """The `/config` of an app with a chat among components and functions of `size` bytes."""
    chat = [
        {"id": 1, "type": "chatbot", "props": {"type": "messages", "label": "Talk"}},
        {"id": 2, "type": "textbox", "props": {"label": "Message"}},
    ]
    submit = {"id": 0, "targets": [[2, "submit"]], "inputs": [2, 1], "outputs": [2, 1]}
    filler = {"type": "textbox", "props": {"label": "Note", "value": "x" * 1_500, "lines": 3}}
    count = size // 1_700
    components = chat + [{"id": 10 + n, **filler} for n in range(count)]
    functions = [submit] + [
        {"id": n, "targets": [[9 + n, "change"]], "inputs": [9 + n], "outputs": [9 + n]}
        for n in range(1, count)
    ]
    return orjson.dumps(
        {"version": "5.50.0", "protocol": "sse_v3", "components": components}
        | {"dependencies": functions}
    )


def test_two_megabytes_take_a_tenth_of_a_second():
    body = page(2_300_000)
    assert len(body) > 2_000_000
    times = []
    gc.disable()  # the garbage of other tests does not count
    for _ in range(5):
        began = time.process_time()  # other processes do not count
        config = read_config(orjson.loads(body), URL("http://space.test"), "a Space")
        endpoint = find_endpoint(config, "a Space")
        times.append(time.process_time() - began)
    gc.enable()
    assert endpoint.steps[0].id == 0
    assert min(times) < 0.1, times
