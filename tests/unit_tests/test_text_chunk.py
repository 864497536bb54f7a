"""Chunks that are copied from a prototype are as good as validated ones."""

import copy
import pickle

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks
from pydantic import BaseModel

from langchain_qwen_space.chunks import text_chunk

TEXTS = ["", "word", "天🙂\u2028"]


def validated(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


def changeable(model: BaseModel) -> dict[str, object]:
    """Everything of a model that can be changed in place."""
    values = {**vars(model), "extra": model.__pydantic_extra__, "set": model.model_fields_set}
    return {
        name: value for name, value in values.items() if isinstance(value, dict | list | set)
    } | {"fields": vars(model)}


@pytest.mark.parametrize("text", TEXTS)
def test_a_copied_chunk_equals_a_validated_one(text):
    chunk, model = text_chunk(text), validated(text)
    assert chunk == model
    assert chunk.text == text
    assert vars(chunk).keys() == vars(model).keys()
    assert vars(chunk.message) == vars(model.message)
    assert chunk.model_fields_set == model.model_fields_set
    assert chunk.message.model_fields_set == model.message.model_fields_set
    assert repr(chunk) == repr(model)


def test_two_chunks_share_nothing_that_can_be_changed():
    one, two = text_chunk("a"), text_chunk("b")
    for mine, other in ((one, two), (one.message, two.message)):
        assert mine is not other
        assert changeable(mine).keys() == changeable(other).keys()
        for name, value in changeable(mine).items():
            assert value is not changeable(other)[name], name


def test_what_is_done_to_a_chunk_does_not_reach_the_next_one():
    chunk = text_chunk("a")
    chunk.message.id = "7"
    chunk.message.response_metadata["key"] = 1
    chunk.message.additional_kwargs["key"] = 1
    chunk.message.tool_calls.append({"name": "f", "args": {}, "id": "1"})
    chunk.message.tool_call_chunks.append({"name": "f", "args": "", "id": "1", "index": 0})
    chunk.generation_info = {"key": 1}
    assert text_chunk("a") == validated("a")
    assert vars(text_chunk("a").message) == vars(validated("a").message)


def test_chunks_add_up_as_validated_ones_do():
    whole = merge_chat_generation_chunks([text_chunk(text) for text in TEXTS])
    assert whole == merge_chat_generation_chunks([validated(text) for text in TEXTS])
    assert text_chunk("a") + validated("b") == validated("ab")
    assert text_chunk("a").message + text_chunk("b").message == validated("ab").message


@pytest.mark.parametrize("text", TEXTS)
def test_a_chunk_is_saved_as_a_validated_one_is(text):
    chunk, model = text_chunk(text), validated(text)
    assert pickle.loads(pickle.dumps(chunk)) == model
    assert copy.deepcopy(chunk) == model
    assert chunk.model_dump() == model.model_dump()
    assert chunk.model_dump_json() == model.model_dump_json()
    assert chunk.message.model_dump(exclude_unset=True) == model.message.model_dump(
        exclude_unset=True
    )
    assert dumps(chunk.message) == dumps(model.message)
