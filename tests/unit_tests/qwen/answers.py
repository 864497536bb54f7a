"""Answers with calls in them, and what LangChain makes of what the parser gives out for them."""

import functools
import itertools

from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from langchain_qwen_space.qwen.dialects.hermes import render_tool_calls
from langchain_qwen_space.qwen.tool_calls import ToolCallParser

TAGS = ["<tool_call>", "</tool_call>"]


def written(name="f", **arguments):
    """A call as Qwen writes it."""
    return render_tool_calls("", [{"name": name, "args": arguments}])


def parse(*fragments, **options):
    parser = ToolCallParser(**options)
    pieces = [piece for fragment in fragments for piece in parser.feed(fragment)]
    return pieces + parser.finish()


def as_chunk(piece):
    if isinstance(piece, str):
        return AIMessageChunk(piece)
    chunk = {"index": piece.index, "id": piece.id, "name": piece.name, "args": piece.args}
    return AIMessageChunk("", tool_call_chunks=[{**chunk, "type": "tool_call_chunk"}])


def add_up(pieces) -> AIMessage:
    """The message that LangChain makes of the pieces, the same in whatever order it adds."""
    chunks = [AIMessageChunk(""), *map(as_chunk, pieces), AIMessageChunk("", chunk_position="last")]
    one_by_one = functools.reduce(lambda left, right: left + right, chunks)
    at_once = chunks[0] + chunks[1:]
    in_pairs = chunks
    while len(in_pairs) > 1:
        in_pairs = [
            functools.reduce(lambda left, right: left + right, in_pairs[start : start + 2])
            for start in range(0, len(in_pairs), 2)
        ]
    without_last = functools.reduce(lambda left, right: left + right, chunks[:-1])
    message = message_chunk_to_message(one_by_one)
    for other in (at_once, in_pairs[0], without_last):
        assert message_chunk_to_message(other) == message
    assert isinstance(message, AIMessage)
    return message


def read(text, **options):
    """Text, valid calls and invalid calls: the same, whether the text comes at once or in bits."""
    message = add_up(parse(text, **options))
    in_bits = add_up(parse(*text, **options))
    found = (
        message.content,
        [(call["name"], call["args"]) for call in message.tool_calls],
        [(call["name"], call["args"]) for call in message.invalid_tool_calls],
    )
    assert found == (
        in_bits.content,
        [(call["name"], call["args"]) for call in in_bits.tool_calls],
        [(call["name"], call["args"]) for call in in_bits.invalid_tool_calls],
    )
    ids = [call["id"] for call in [*message.tool_calls, *message.invalid_tool_calls]]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    return found


def splits(text, places):
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(bounds)]


# Bodies that stand for one and the same call

REPAIRED = {
    "a JSON string": '{"name": "f", "arguments": "{\\"a\\": \\"<\\/tool_call>}\\"}"}',
    "a JSON string of Python": '{"name": "f", "arguments": "{\'a\': \'</tool_call>}\'}"}',
    "single quotes": "{'name': 'f', 'arguments': {'a': '</tool_call>}'}}",
    "single quotes from the arguments on": '{"name": "f", "arguments": {\'a\': "</tool_call>}"}}',
    "parameters": '{"name": "f", "parameters": {"a": "</tool_call>}"}}',
    "arguments first": '{"arguments": {"a": "</tool_call>}"}, "name": "f"}',
    "a fence": '```json\n{"name": "f", "arguments": {"a": "</tool_call>}"}}\n```',
    "a fence without a language": '```\n{"name": "f", "arguments": {"a": "</tool_call>}"}}```',
    "a list": '[{"name": "f", "arguments": {"a": "</tool_call>}"}}]',
    "a name in escapes": '{"name": "\\u0066", "arguments": {"a": "</tool_call>}"}}',
}
SOUND = ("f", {"a": "</tool_call>}"})


# Strategies

arguments = st.dictionaries(
    st.text(max_size=6),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from(TAGS),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=5,
    ),
    max_size=3,
)
calls = st.builds(
    lambda name, args: {"name": name, "args": args},
    st.text(min_size=1, max_size=8),
    arguments,
)
places = st.lists(st.integers(0, 10_000), max_size=12)
