"""What a call was asked for: every wrong value is named before a queue is joined."""

import warnings
from contextlib import nullcontext, suppress

import httpx
import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import Tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from pydantic import SecretStr, ValidationError

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.options import FOREIGN, REFUSED, CallOptions, as_tools


def options(settings=None, stop=None, **keywords):
    return CallOptions.of(settings or {}, stop, keywords)


def weather(city: str) -> str:
    """Return the weather of a city."""
    return city


OFFERED = [weather]
NAMED = {"type": "function", "function": {"name": "weather"}}
NOWHERE = {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}}


@pytest.mark.parametrize(
    "keywords",
    [
        {"max_tokens": 0},
        {"max_tokens": -1},
        {"max_tokens": "many"},
        {"max_tokens": 1.5},
        {"max_tokens": True},
        {"thinking_budget": True},
        {"temperature": False},
        {"top_p": True},
        {"timeout": True},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 2},
        {"timeout": 0},
        {"stop": [""]},
        {"stop": 5},
        {"reasoning": "perhaps"},
        {"model": 7},
        {"model_kwargs": ["x"]},
        {"parallel_tool_calls": "perhaps"},
        {"response_format": {"type": "yaml"}},
        {"tools": [{"type": "web_search"}]},
        {"tools": [5]},
        {"tools": ["weather"]},
        {"tools": [float]},
        {"tool_choice": "any"},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "unheard_of"}, "tools": OFFERED},
        {"tool_choice": {"type": "function"}, "tools": OFFERED},
        {"tool_choice": "climate", "tools": OFFERED},
        {"tool_choice": 5, "tools": OFFERED},
        {"tool_choice": 1, "tools": OFFERED},
        {"tool_choice": {"type": ["any"]}, "tools": OFFERED},
        {"tools": 5},
        {"tools": "weather"},
        {"tools": {"name": "weather"}},
        {"tools": [{"type": ["x"], "name": "weather"}]},
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        {"tools": [{"name": 'a"b'}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": 5}}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": ...}}},
        {"response_format": NOWHERE},
        {"response_format": {"type": "object", "properties": {"a": {"enum": {1}}}}},
        {"response_format": {"type": "object", "$schema": []}},
        {"thinking": {"type": "bogus"}},
        {"thinking": {"type": ["enabled"]}},
        {"thinking": {}},
    ],
    ids=lambda keywords: ",".join(
        f"{name}={value!r}" for name, value in keywords.items() if value is not OFFERED
    ),
)
def test_a_wrong_value_is_named(keywords):
    name = next(iter(keywords))
    with pytest.raises(InvalidInputError, match=name):
        options(**keywords)
    with pytest.raises(InvalidInputError, match=name):  # and so by a call, which goes nowhere
        ChatQwenSpace(space="http://127.0.0.1:9").invoke("Why is the sky blue?", **keywords)


@pytest.mark.parametrize("tool", [{"type": "web_search"}, {"type": "function", "function": {}}])
def test_a_tool_that_only_its_provider_can_run_is_refused_when_it_is_bound(tool):
    with pytest.raises(InvalidInputError, match=r"tools\[0\]"):
        ChatQwenSpace().bind_tools([tool])


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        (None, None),
        (False, None),
        ("", None),
        ("auto", "auto"),
        ("none", "none"),
        ("any", "any"),
        ("required", "any"),
        (True, "any"),
        ("weather", NAMED),
        ({"type": "any"}, "any"),
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "required"}, "any"),
        ({"type": "tool", "name": "weather"}, NAMED),
        ({"type": "function", "name": "weather"}, NAMED),
        ({"name": "weather"}, NAMED),
        (NAMED, NAMED),
    ],
)
def test_every_form_of_a_tool_choice_is_read(choice, read):
    assert options(tools=OFFERED, tool_choice=choice).tool_choice == read


@pytest.mark.parametrize("name", ["auto", "none", "any", "required"])
def test_a_tool_may_have_the_name_of_a_choice(name):
    tools = [*OFFERED, {"name": name}]
    for named in ({"type": "function", "function": {"name": name}}, {"type": "tool", "name": name}):
        read = options(tools=tools, tool_choice=named)
        assert read.forced == name
        assert options(tools=tools, tool_choice=read.tool_choice) == read
        bound = ChatQwenSpace().bind_tools(tools, tool_choice=named)
        assert options(**bound.kwargs).forced == name
    chosen = options(tools=tools, tool_choice=name)
    assert chosen.forced == {"auto": None, "none": None}.get(name, "")
    assert chosen.tool_choice == {"required": "any"}.get(name, name)
    schema = {"title": name, "type": "object", "properties": {"a": {"type": "string"}}}
    llm = ChatQwenSpace().with_structured_output(schema).outcomes.first
    kwargs = {key: value for key, value in llm.kwargs.items() if not key.startswith("ls_")}
    assert options(**kwargs).forced == name


EMPTY = {"type": "object", "properties": {}}
CYCLE = {}
CYCLE["properties"] = CYCLE


@pytest.mark.parametrize("strict", [None, False, True])
@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "ping"}},
        {"type": "function", "function": {"name": "ping", "parameters": None}},
        {"type": "function", "function": {"name": "ping", "parameters": {}}},
        {"type": "function", "name": "ping"},
        {"type": "custom", "name": "ping", "input_schema": {}},
        {"name": "ping"},
        {"title": "ping"},
    ],
)
def test_a_function_without_parameters_is_one_that_takes_none(tool, strict):
    (offered,) = as_tools([tool], strict=strict)
    parameters = offered["function"]["parameters"]
    assert offered["function"]["name"] == "ping"
    assert {"additionalProperties": False, **parameters} == {**EMPTY, "additionalProperties": False}


def test_a_schema_with_a_title_keeps_all_that_it_says():
    union = {"title": "Pet", "description": "A pet", "oneOf": [EMPTY, {"required": ["a"]}]}
    (offered,) = as_tools([union])
    assert offered["function"]["description"] == "A pet"
    assert offered["function"]["parameters"]["oneOf"] == union["oneOf"]


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        (5, "not an object"),
        ([], "not an object"),
        ({"type": "array"}, "'array'"),
        ({"properties": 5}, r"\['properties'\]"),
        ({"properties": {"a": {"type": "text"}}}, r"\['a'\].*'text'"),
        ({"properties": {"a": {"type": "number", "multipleOf": 0}}}, "multipleOf"),
        ({"properties": {"a": {"multipleOf": float("nan")}}}, "multipleOf is nan"),
        ({"properties": {"a": {"maximum": float("inf")}}}, "maximum is inf"),
        ({"properties": {"a": {"enum": {1, 2}}}}, "JSON"),
        ({"properties": {"a": ...}}, "JSON"),
        (CYCLE, "JSON"),
        ({"$schema": 5}, "schema"),
        ({"$schema": []}, "schema"),
        (NOWHERE, "missing"),
        ({"properties": {"a": {"$ref": "https://example.com/a"}}}, "example.com"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "endlessly"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, "endlessly"),
        ({"dependentSchemas": {"a": {"$ref": "#"}}}, "endlessly"),
        ({"properties": {"a": {"$ref": "#/extra/0"}}, "extra": [5]}, "5"),
        ({"properties": {"a": {"$ref": "#/extra"}}, "extra": {"type": "text"}}, "'text'"),
        ({"$id": "http://[", "properties": {"a": {"$ref": "b"}}}, "resolved"),
    ],
    ids=str,
)
def test_parameters_that_are_no_schema_are_refused_when_the_tool_is_bound(parameters, what):
    tool = {"type": "function", "function": {"name": "add", "parameters": parameters}}
    for bind in (ChatQwenSpace().bind_tools, lambda tools: options(tools=tools)):
        with pytest.raises(ValueError, match=rf"tools\[1\] \(add\).*{what}") as caught:
            bind([*OFFERED, tool])
        assert isinstance(caught.value, InvalidInputError)


def test_a_tool_of_one_string_has_that_as_its_parameter():
    (offered,) = as_tools([Tool(name="search", func=str.upper, description="Search.")])
    assert offered == convert_to_openai_tool(Tool(name="search", func=str, description="Search."))
    assert offered["function"]["parameters"]["properties"].keys() == {"__arg1"}


def test_a_pattern_of_another_language_is_the_tools_own():
    parameters = {"type": "object", "properties": {"a": {"pattern": r"^\p{L}+$"}}}
    (offered,) = as_tools([{"name": "add", "parameters": parameters}])
    assert offered["function"]["parameters"] == parameters


def test_a_default_that_is_infinite_is_a_default():
    def add(limit: float = float("inf")) -> None:
        """Add."""

    assert as_tools([add])


def test_a_function_that_langchain_cannot_read_is_named():
    def add(a: "Missing") -> None:  # noqa: F821
        """Add."""

    with pytest.raises(InvalidInputError, match=r"tools\[0\].*Missing"):
        ChatQwenSpace().bind_tools([add])


def test_a_keyword_replaces_the_setting_and_none_takes_it_away():
    settings = {"max_tokens": 5, "temperature": 1.0, "stop": ["x"], "model": "72B"}
    assert options(settings) == options(**settings)
    assert options(settings, max_tokens=7).max_tokens == 7
    assert options(settings, max_tokens=None).max_tokens is None
    assert options(settings, ["y"]).stop == ("y",)
    assert options(settings, "y").stop == ("y",)


@pytest.mark.parametrize(
    ("synonym", "name", "value"),
    [
        ("model_name", "model", "7B"),
        ("max_completion_tokens", "max_tokens", 5),
        ("stop_sequences", "stop", ("x",)),
        ("request_timeout", "timeout", 3.0),
        ("num_predict", "max_tokens", 5),
    ],
)
def test_other_chat_models_names_are_taken_in_calls_and_by_the_class(synonym, name, value):
    assert getattr(options(**{synonym: value}), name) == value
    made = ChatQwenSpace(**{synonym: list(value) if name == "stop" else value})
    assert getattr(made, name) == (list(value) if name == "stop" else value)
    with pytest.raises(InvalidInputError, match=name):
        options(**{synonym: value, name: value})
    with pytest.raises(ValueError, match=name):
        ChatQwenSpace(**{synonym: value, name: value})


def test_the_model_is_read_under_the_name_that_other_chat_models_have_for_it():
    assert ChatQwenSpace(model="7B").model_name == "7B"
    assert ChatQwenSpace().model_name is None


def test_settings_of_other_chat_models_are_ignored_by_name_and_others_refused():
    read = options(seed=1, n=None, stream_usage=True, reasoning={"effort": "low"}, stream=True)
    assert read.ignored == ("reasoning.effort", "seed")
    with pytest.raises(InvalidInputError, match="temprature.*Did you mean temperature"):  # noqa: RUF043
        options(temprature=1)


def test_the_class_takes_them_too_and_warns_at_the_callers_line():
    asked = {"stream_usage": True, "n": None, "temperature": 0, "metadata": {"who": "me"}}
    assert ChatQwenSpace(**asked).metadata["who"] == "me"
    with pytest.warns(UserWarning, match="no input for reasoning.effort, seed,") as caught:
        model = ChatQwenSpace(seed=1, reasoning={"effort": "low"})
    assert [one.filename for one in caught] == [__file__]
    assert model.reasoning is None
    assert ChatQwenSpace(thinking={"type": "enabled", "budget_tokens": 9}).thinking_budget == 9
    assert ChatQwenSpace(**dict(model)) == model  # as configurable_fields does, without a word
    with pytest.raises(ValueError, match="temprature"):
        ChatQwenSpace(temprature=1)


OTHERS = sorted(
    {
        name
        for other in (ChatOpenAI, ChatOllama)
        for field, info in other.model_fields.items()
        for name in (field, info.alias)
        if name and field not in BaseChatModel.model_fields
    }
)
"""Every argument that ChatOpenAI and ChatOllama have of their own, under both of its names."""

VALUES = {
    "reasoning": {"effort": "low"},
    **dict.fromkeys(("base_url", "openai_api_base"), "https://host.example"),
    **dict.fromkeys(("api_key", "openai_api_key"), "hf_given"),
    "openai_proxy": "http://proxy:1",
    "streaming": True,
    "format": "json",
    "n": 2,
    "model_kwargs": {"seed": 1},
    **dict.fromkeys(("model", "model_name"), "7B"),
    **dict.fromkeys(("stop", "stop_sequences"), "x"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_setting_of_chat_openai_and_ollama_is_honoured_or_reported_or_refused(name):
    value = VALUES.get(name, 1)
    if name in REFUSED:
        with pytest.raises(
            ValidationError, match=f"does not support {name}. .*(transport=|bind_tools)"
        ):
            ChatQwenSpace(**{name: value})
    elif name in FOREIGN or name == "reasoning":
        with pytest.warns(UserWarning, match=f"no input for {name}(.effort)?, which"):
            assert ChatQwenSpace(**{name: value}) == ChatQwenSpace()
    else:
        made = ChatQwenSpace(**{name: value})  # without a warning
        assert name == "stream_usage" or made != ChatQwenSpace()
    for nothing in (None, False, {}):  # what a program passes on from its own settings
        with suppress(ValueError), warnings.catch_warnings(action="error"):
            ChatQwenSpace(**{name: nothing})


def test_settings_of_other_models_mean_what_they_mean_there():
    read = ChatQwenSpace(openai_api_base="https://x.hf.space", openai_api_key="hf_x")
    assert (read.space, read.hf_token.get_secret_value()) == ("https://x.hf.space", "hf_x")
    assert ChatQwenSpace(openai_proxy="http://p:1").proxy.get_secret_value() == "http://p:1"
    for timeout, seconds in [
        ((3, 5), 5),
        ([3, 5], 5),
        (httpx.Timeout(5, connect=3), 5),
        (httpx.Timeout(None), None),
        (None, None),
        (7, 7),
    ]:
        assert ChatQwenSpace(timeout=timeout).timeout == seconds
        assert options(timeout=timeout).timeout == seconds
    assert ChatQwenSpace(max_retries=None).max_retries == 2
    assert ChatQwenSpace(num_predict=-1).max_tokens is None
    assert options(num_predict=-2).max_tokens is None
    with pytest.warns(UserWarning, match="reasoning.effort"):
        assert ChatQwenSpace(reasoning="high").reasoning is True
    assert ChatQwenSpace(reasoning=True).reasoning is True
    assert ChatQwenSpace(n=1, presence_penalty=0, logprobs=False, logit_bias={}, http_client=None)


@pytest.mark.parametrize(
    "given",
    [
        {"response_format": {"type": "json_object"}},
        {"model_kwargs": {"response_format": {"type": "json_object"}}},
        {"format": "json"},
    ],
)
def test_a_format_of_answers_is_one_of_every_call(given):
    model = ChatQwenSpace(**given)
    assert _options_of_a_call(model).response_format == {}
    assert _options_of_a_call(model).model_kwargs == {}
    assert _options_of_a_call(model, response_format=None).response_format is None
    assert options(**given).response_format == {}
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "title": "A"}
    assert options(format=schema).response_format["properties"] == schema["properties"]
    assert options(format="").response_format is None


def _options_of_a_call(model, **keywords):
    return model._model_call([], None, keywords, None, whole=False)._options


@pytest.mark.parametrize("key", ["sk-proj-1", SecretStr("sk-proj-1")])
def test_a_key_of_openai_is_not_sent_as_a_token(key, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_found")
    for name in ("api_key", "openai_api_key"):
        with pytest.warns(UserWarning, match="not a Hugging Face token, and is not sent") as caught:
            model = ChatQwenSpace(**{name: key})
        assert "proj" not in str(caught[0].message)
        assert model.hf_token.get_secret_value() == "hf_found"
    assert ChatQwenSpace(hf_token="sk-proj-1").hf_token.get_secret_value() == "sk-proj-1"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("max_retry", "max_retries"),
        ("openai_api_keys", "openai_api_key"),
        ("model_nam", "model_name"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_one_that_may_be_meant(name, meant):
    with pytest.raises(ValidationError, match=f"no setting {name}. Did you mean {meant}"):
        ChatQwenSpace(**{name: 1})
    with pytest.raises(InvalidInputError, match=f"no setting {name}. Did you mean {meant}"):
        ChatQwenSpace().model_copy(update={name: 1})


def test_what_a_call_alone_takes_is_refused_with_its_place():
    for given in ({"tools": OFFERED}, {"tool_choice": "any"}):
        with pytest.raises(ValidationError, match="bind_tools"):
            ChatQwenSpace(**given)
    for given in ({"functions": [{"name": "x"}]}, {"function_call": "auto"}):
        with pytest.raises(InvalidInputError, match=r"bind_tools.*message\.tool_calls"):
            options(**given)


def test_copies_and_configurable_fields_know_the_other_names_too():
    model = ChatQwenSpace(model="Math-7B")
    copied = model.model_copy(update={"model_name": "72B", "max_completion_tokens": 5})
    assert (copied.model, copied.max_tokens) == ("72B", 5)
    assert copied.profile["max_input_tokens"] == 131_072
    flexible = model.configurable_fields(model_name=ConfigurableField(id="llm"))
    built, _ = flexible.prepare({"configurable": {"llm": "7B"}})
    assert built.model == "7B"


class StrictTools(ChatQwenSpace):
    def bind_tools(self, tools, **kwargs):
        return super().bind_tools(tools, **{**kwargs, "strict": True})


def test_a_subclass_binds_to_its_configurable_fields_as_it_binds_to_itself():
    model = StrictTools(space="https://chat.example")
    flexible = model.configurable_fields(model=ConfigurableField(id="llm"))
    bound = flexible.bind_tools(OFFERED)
    assert bound.bound is flexible
    assert bound.kwargs == model.bind_tools(OFFERED).kwargs
    assert bound.kwargs["tools"][0]["function"]["strict"] is True
    objects = flexible.with_structured_output({"title": "T", "type": "object", "properties": {}})
    assert objects.outcomes.first.bound is flexible
    assert objects.outcomes.first.kwargs["tools"][0]["function"]["strict"] is True
    assert model.bind_tools(OFFERED).bound is model


def test_model_kwargs_of_a_call_are_added_to_the_objects():
    settings = {"model_kwargs": {"Top-k": 5, "Mode": "fast"}}
    assert options(settings, model_kwargs={"Mode": "slow"}).model_kwargs == {
        "Top-k": 5,
        "Mode": "slow",
    }


def test_the_timeout_of_a_call_reaches_the_space():
    model = ChatQwenSpace(timeout=60)
    call = model._model_call([], None, {"timeout": 5}, None, whole=False)
    assert [target.options.timeout for target in call._targets] == [5]


class TestProfile:
    def test_it_follows_the_model(self):
        model = ChatQwenSpace(model="Math-7B")
        assert model.profile["max_input_tokens"] == 4_096
        for other in (
            model.model_copy(update={"model": "72B"}),
            ChatQwenSpace(**{**dict(model), "model": "72B"}),  # as configurable_fields does
        ):
            assert other.profile["max_input_tokens"] == 131_072

    def test_one_that_the_caller_gave_stays(self):
        mine = {"max_input_tokens": 10}
        model = ChatQwenSpace(model="7B", profile=mine)
        assert model.model_copy(update={"model": "72B"}).profile == mine
        assert ChatQwenSpace(**{**dict(model), "model": "72B"}).profile == mine

    def test_the_public_spaces_default_model_has_one(self, monkeypatch):
        monkeypatch.delenv("QWEN_SPACE", raising=False)
        assert ChatQwenSpace().profile["name"] == "qwen2.5-72b-instruct"
        assert ChatQwenSpace(space="Owner/Other").profile is None


def test_what_langchain_injects_into_a_tool_is_not_offered():
    from langchain.tools import ToolRuntime, tool

    @tool
    def save(text: str, runtime: ToolRuntime) -> str:
        """Save a text."""
        return text

    (offered,) = as_tools([save])
    assert offered["function"]["parameters"]["properties"].keys() == {"text"}


def test_an_ollama_format_that_is_neither_json_nor_a_schema_is_refused():
    with pytest.raises(InvalidInputError, match="format='yaml'"):
        options(format="yaml")
    assert options(format="").response_format is None


def test_a_response_format_wins_over_that_in_model_kwargs_which_have_to_be_a_mapping():
    schema = {"title": "a", "type": "object", "properties": {}}
    model = ChatQwenSpace(response_format=schema, model_kwargs={"response_format": {}, "top": 1})
    assert model.model_kwargs == {"response_format": schema, "top": 1}
    with pytest.raises(ValidationError, match="model_kwargs"):
        ChatQwenSpace(response_format=schema, model_kwargs="x")


def test_a_copy_takes_settings_as_the_class_does():
    model = ChatQwenSpace()
    with pytest.warns(UserWarning, match="sk-"):
        assert model.model_copy(update={"api_key": "sk-1"}).hf_token == model.hf_token
    assert model.model_copy(update={"api_key": "hf_1"}).hf_token.get_secret_value() == "hf_1"
    assert model.model_copy(update={"num_predict": -1}).max_tokens is None
    kwargs = model.model_copy(update={"format": "json"}).model_kwargs
    assert kwargs == {"response_format": {"type": "json_object"}}


@pytest.mark.parametrize("name", ["\x00", "f\x00", "\x1ff"])
def test_a_tools_name_holds_no_control_character(name):
    with pytest.raises(InvalidInputError, match="has the name"):
        options(tools=[{"name": name}])


NUMBERS = [
    name
    for name, field in ChatQwenSpace.model_fields.items()
    if name not in BaseChatModel.model_fields
    and any(kind in str(field.annotation) for kind in ("int", "float"))
]


@pytest.mark.parametrize("name", NUMBERS)
def test_true_is_not_a_number(name):
    assert len(NUMBERS) >= 14
    given = {"query": True} if name == "inputs" else True
    with pytest.raises(ValidationError, match="should not be True or False"):
        ChatQwenSpace(space="https://chat.example", **{name: given})


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "n", "seed"])
def test_a_number_of_numpy_is_a_number(name):
    """As in a loop over `np.linspace`; one has no truth value when it is compared with a list."""
    number = np.float64(1)
    ignored = {"seed"} if name == "seed" else set()
    read = options(**{name: number})
    assert getattr(read, name, 1) == 1
    assert set(read.ignored) == ignored
    with pytest.warns(UserWarning, match="seed") if ignored else nullcontext():
        assert getattr(ChatQwenSpace(space="https://chat.example", **{name: number}), name, 1) == 1


@pytest.mark.parametrize("strict", [None, True])
def test_two_tools_of_one_name_are_refused_before_a_call(strict):
    tools = [Tool("a", str, "x"), Tool("weather", str, "x"), weather]
    bound = ChatQwenSpace(space="https://chat.example").bind_tools(tools, strict=strict)
    with pytest.raises(ValueError, match=r"tools\[2\] has the same name as tools\[1\], 'weather'"):
        bound.invoke("Well?")
    with pytest.raises(ValueError, match=r"tools\[2\] has the same name as tools\[1\], 'weather'"):
        next(bound.stream("Well?"))


@pytest.mark.parametrize("name", ["api_key", "hf_token", "openai_api_key"])
def test_a_function_for_a_key_is_refused_in_words(name):
    model = ChatQwenSpace(space="https://chat.example")
    with pytest.raises(ValidationError, match="pass what the function returns"):
        ChatQwenSpace(space="https://chat.example", **{name: lambda: "hf_x"})
    with pytest.raises(InvalidInputError, match="pass what the function returns"):
        model.model_copy(update={name: lambda: "hf_x"})


def test_a_setting_that_is_not_of_calls_is_not_taken_for_another():
    with pytest.raises(InvalidInputError, match=r"not take hf_token in a call\. It takes"):
        options(hf_token="hf_x")
