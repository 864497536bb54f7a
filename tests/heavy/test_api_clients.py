"""Clients that people use, unchanged, before the API server in front of a real Space."""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
from typing import get_type_hints

import httpx
import pytest
from pydantic import BaseModel

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.api import app, requests
from langchain_qwen_space.local import LocalSpace
from tests.docs.snippets import ROOT
from tests.integration_tests.answers import answer
from tests.integration_tests.api.test_api import served

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # the clients' own
]
KEY = "a-key-for-tests"
LINES = "\n".join(map(str, range(1, 51)))


@pytest.fixture(scope="module")
def base_url():
    with (
        LocalSpace(answer, pace=0) as space,
        served(app(ChatQwenSpace(space=space.url, model="72B"), api_key=KEY)) as url,
    ):
        yield f"{url}/v1"
    gc.collect()  # what the clients left open is collected here, where it does not count


def get_weather(city: str) -> str:
    """The weather of a city"""
    return f"18 degrees in {city}"


class City(BaseModel):
    name: str


def run(*command, **environment):
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_field_of_openais_python_client_is_known_or_refused():
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase

    known = requests._PASSED_ON.keys() | requests._IGNORED | requests._NOT_HONOURED.keys()
    known |= {"messages", "stream", "stream_options", "n"}
    refused = {"audio", "functions", "function_call", "moderation"}
    assert set(get_type_hints(CompletionCreateParamsBase)) <= known | refused


# curl


def curl(base_url, body, *more):
    headers = ("-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json")
    url = f"{base_url}/chat/completions"
    return run("curl", "-sS", *more, url, *headers, "-d", json.dumps(body))


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(base_url):
    body = {"messages": [{"role": "user", "content": "count to 50"}]}
    whole = json.loads(curl(base_url, body))
    assert whole["choices"][0]["message"]["content"] == LINES
    streamed = curl(base_url, {**body, "stream": True}, "-N")
    *events, done = [line.removeprefix("data: ") for line in streamed.splitlines() if line]
    assert done == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content") or "" for delta in deltas) == LINES


# Node's `openai`

_NODE = """
import OpenAI from "openai";
import { z } from "zod";
import { zodResponseFormat } from "openai/helpers/zod";

const client = new OpenAI({ baseURL: process.env.BASE, apiKey: process.env.KEY, maxRetries: 0 });
const model = "72B";
const ask = (content) => [{ role: "user", content }];
const tool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
    },
    parse: JSON.parse,
    function: ({ city }) => `18 degrees in ${city}`,
  },
};
const out = {};

const whole = await client.chat.completions.create({ model, messages: ask("count to 50") });
out.whole = whole.choices[0].message.content;
out.tokens = whole.usage.total_tokens;

out.streamed = "";
const stream = await client.chat.completions.create({
  model, messages: ask("count to 50"), stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  out.streamed += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) out.streamedTokens = chunk.usage.total_tokens;
}

const runner = client.chat.completions.runTools({
  model, messages: ask("What is the weather in Paris?"), tools: [tool],
});
out.tools = await runner.finalContent();

const streaming = client.chat.completions.runTools({
  model, messages: ask("What is the weather in Paris?"), tools: [tool], stream: true,
});
out.streamedTools = await streaming.finalContent();

const parsed = await client.chat.completions.parse({
  model, messages: ask("Paris"), response_format: zodResponseFormat(z.object({ name: z.string() }), "city"),
});
out.parsed = parsed.choices[0].message.parsed;

const helper = client.chat.completions.stream({
  model, messages: ask("Paris"), response_format: zodResponseFormat(z.object({ name: z.string() }), "city"),
});
out.streamedParsed = (await helper.finalChatCompletion()).choices[0].message.parsed;

const left = await client.chat.completions.create({ model, messages: ask("count to 100000"), stream: true });
for await (const chunk of left) break;

const failure = async (settings) => {
  try {
    await client.chat.completions.create({ model, messages: ask("hello"), ...settings });
  } catch (error) {
    return [error.constructor.name, error.status, error.code];
  }
};
out.unknown = await failure({ model: "gpt-nothing" });
out.wrong = await failure({ n: 2 });
out.unknownStreamed = await failure({ model: "gpt-nothing", stream: true });
out.models = (await client.models.list()).data.map((one) => one.id);
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    if shutil.which("npm") is None:
        pytest.skip("needs Node and npm")
    folder = tmp_path_factory.mktemp("node")
    run("npm", "install", "--prefix", str(folder), "--silent", "openai@6", "zod@4")
    (folder / "ask.mjs").write_text(_NODE)
    return folder / "ask.mjs"


def test_nodes_openai(base_url, node):
    said = json.loads(run("node", str(node), BASE=base_url, KEY=KEY))
    assert said["whole"] == said["streamed"] == LINES
    assert said["tokens"] == said["streamedTokens"] > 0
    assert "18 degrees in Paris" in said["tools"]
    assert said["streamedTools"] == said["tools"]
    assert isinstance(said["parsed"]["name"], str)
    assert said["parsed"] == said["streamedParsed"]
    assert said["unknown"] == said["unknownStreamed"] == ["NotFoundError", 404, "model_not_found"]
    assert said["wrong"][:2] == ["BadRequestError", 400]
    assert "qwen2.5-72b-instruct" in said["models"]


# litellm


@pytest.fixture(scope="module")
def litellm():
    module = pytest.importorskip("litellm")
    yield module
    module.in_memory_llm_clients_cache.flush_cache()


def ask_litellm(litellm, base_url, text, **fields):
    fields = {"api_key": KEY, "model": "openai/72B", "num_retries": 0, **fields}
    messages = [{"role": "user", "content": text}]
    return litellm.completion(messages=messages, api_base=base_url, **fields)


def test_litellm_whole_and_streamed(litellm, base_url):
    whole = ask_litellm(litellm, base_url, "count to 50")
    assert whole.choices[0].message.content == LINES
    assert whole.usage.total_tokens > 0
    chunks = list(
        ask_litellm(
            litellm, base_url, "count to 50", stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == LINES
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    thinking = ask_litellm(litellm, base_url, "echo: <think>Hm.</think>Yes.").choices[0].message
    assert (thinking.reasoning_content, thinking.content) == ("Hm.", "Yes.")


@pytest.mark.parametrize("stream", [False, True])
def test_litellm_tools_and_schemas(litellm, base_url, stream):
    properties = {"city": {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    function = {"name": "get_weather", "description": "The weather", "parameters": parameters}
    fields = {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    got = ask_litellm(litellm, base_url, "The weather in Paris?", stream=stream, **fields)
    if stream:
        got = litellm.stream_chunk_builder(list(got))
    (call,) = got.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    got = ask_litellm(litellm, base_url, "Paris", stream=stream, response_format=City)
    if stream:
        got = litellm.stream_chunk_builder(list(got))
    assert City.model_validate_json(got.choices[0].message.content)


def test_litellm_knows_the_errors(litellm, base_url):
    with pytest.raises(litellm.NotFoundError):
        ask_litellm(litellm, base_url, "hello", model="openai/gpt-nothing")
    with pytest.raises(litellm.AuthenticationError):
        ask_litellm(litellm, base_url, "hello", api_key="wrong")
    with pytest.raises(litellm.BadRequestError):
        ask_litellm(litellm, base_url, "hello", n=2)


# llm


@pytest.fixture
def llm(base_url, tmp_path):
    pytest.importorskip("llm")
    page = (ROOT / "docs/how-to/api-server.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(- model_id: .*?)```", page, re.DOTALL)
    settings = block.replace("http://127.0.0.1:8000/v1", base_url) + "  api_key_name: qwen-space\n"
    (tmp_path / "extra-openai-models.yaml").write_text(settings)
    (tmp_path / "keys.json").write_text(json.dumps({"qwen-space": KEY}))

    def ask(*arguments):
        command = (sys.executable, "-m", "llm", "-m", "qwen-space", *arguments)
        return run(*command, LLM_USER_PATH=str(tmp_path)).strip()

    return ask


def test_llm(llm):
    assert llm("count to 50") == llm("count to 50", "--no-stream") == LINES
    assert json.loads(llm("tell", "-c"))[1] == [["count to 50", LINES]]
    assert json.loads(llm("tell", "-s", "Be brief."))[0] == "Be brief."
    assert "name" in json.loads(llm("Paris", "--schema", "name str"))


@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_llm_with_a_tool(llm, how):
    code = 'def get_weather(city: str) -> str:\n  "The weather of a city"\n  return "18 in " + city'
    said = llm("What is the weather in Paris?", "--functions", code, *how)
    assert "18 in Paris" in said


# pydantic-ai


@pytest.fixture
async def agent(base_url):
    ai = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async with httpx.AsyncClient(timeout=60) as client:
        provider = OpenAIProvider(base_url=base_url, api_key=KEY, http_client=client)
        model = OpenAIChatModel("72B", provider=provider)
        yield lambda **settings: ai.Agent(model, **settings)


async def test_pydantic_ai_whole_and_streamed(agent):
    assert (await agent().run("count to 50")).output == LINES
    async with agent().run_stream("count to 50") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == LINES


async def test_pydantic_ai_calls_tools_whole_and_streamed(agent):
    clerk = agent(tools=[get_weather])
    question = "What is the weather in Paris?"
    assert "18 degrees in Paris" in (await clerk.run(question)).output
    async with clerk.run_stream(question) as result:
        assert "18 degrees in Paris" in await result.get_output()


async def test_pydantic_ai_gives_objects(agent):
    from pydantic_ai import NativeOutput, ToolOutput

    for kind in (NativeOutput(City), ToolOutput(City)):
        result = await agent(output_type=kind).run("Paris")
        assert isinstance(result.output, City)
