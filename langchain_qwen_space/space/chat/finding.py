"""`/config` -> which event of a page is its chat.

A *start* is the function that an event of the page calls first, or one of its API. Its *chain* is
the functions that follow it. A chain chats if it takes a question from a box and writes a chatbot,
or is the function of a `gr.ChatInterface`. `reading` reads a chain as a chat, `_rank` says which of
several chats is taken.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from langchain_qwen_space.errors import InvalidInputError, UnsupportedSpaceError
from langchain_qwen_space.space.chat.chatbot import Form
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.input_roles import ROLES
from langchain_qwen_space.space.chat.reading import read_chat
from langchain_qwen_space.space.chat.refusals import check_inputs, no_chat, no_function
from langchain_qwen_space.space.page.config import Dependency, SpaceConfig

logger = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """What the caller set.

    Attributes:
        start: The function that the page's event calls, by name or number.
        api_name: The function that answers, by its name on the Space's API page.
        inputs: Which input is what, as `input_roles.place` reads it.
    """

    start: str | int | None = None
    api_name: str | None = None
    inputs: Mapping[str, str | int] = {}


def find_endpoint(config: SpaceConfig, where: str, wanted: Wanted | None = None) -> Endpoint:
    """Find the event whose chain chats.

    Candidates take a question from a box and write a chatbot, or are the function of a
    `gr.ChatInterface`; a function that the caller names may write a text instead. That there was a
    choice is logged.

    Args:
        config: The Space's `/config`.
        where: The Space, for messages.
        wanted: What the caller set.

    Raises:
        UnsupportedSpaceError: The Space has no such function.
        InvalidInputError: What the caller named is not there.
    """
    wanted = wanted or Wanted()
    if unknown := wanted.inputs.keys() - set(ROLES):
        raise InvalidInputError(f"inputs={{…}}: there is no role {unknown}; the roles are {ROLES}.")
    starts = _starts(config, where, wanted)
    named = wanted.start is not None or wanted.api_name is not None
    found = [
        endpoint
        for start in starts
        if (endpoint := read_chat(config, start, wanted.inputs, named=named)) is not None
    ]
    if not found:
        check_inputs(config, starts, wanted.inputs, where)
        raise UnsupportedSpaceError(no_chat(config, where, named=named))
    best = max(found, key=_rank)
    # The page's own chain beside the function of a `gr.ChatInterface` is no other chat.
    others = [
        item for item in found if item.inputs != best.inputs and _rank(item)[0] == _rank(best)[0]
    ]
    if others:
        logger.info(
            "%s has several functions that chat. Using %s, not %s; name another with start=…",
            where,
            best.title,
            ", ".join(dict.fromkeys(item.title for item in others)),
        )
    for doubt in best.doubts:
        logger.info("%s: %s", where, doubt)
    if best.form is Form.REPLY and not best.turns:
        box = best.inputs[best.roles["query"]]
        chains = [item for item in found if item.turns and item.inputs[item.roles["query"]] == box]
        if chains:
            return replace(best, turns=True, with_turns=max(chains, key=_rank))
    return best


def _starts(config: SpaceConfig, where: str, wanted: Wanted) -> list[Dependency]:
    """The functions that may begin a chat.

    Raises:
        InvalidInputError: There is none of the name.
    """
    functions = config.dependencies
    if wanted.start is not None:
        name = wanted.start.removeprefix("/") if isinstance(wanted.start, str) else wanted.start
        functions = [item for item in functions if name in (item.api_name, item.id)]
        if not functions:
            raise InvalidInputError(no_function(config, where, wanted.start))
    first = [item for item in functions if item.trigger_after is None]
    if wanted.api_name is None:
        return first if wanted.start is None else functions
    name = wanted.api_name.removeprefix("/")
    starts = [item for item in functions if item.api_name == name]
    # A function in the midst of a chain is reached from the chain's start.
    starts += [
        start
        for start in first
        if start not in starts and any(step.api_name == name for step in config.chain(start))
    ]
    if not starts:
        raise InvalidInputError(no_function(config, where, wanted.api_name))
    return starts


def _rank(endpoint: Endpoint) -> tuple[int | bool, ...]:
    """How good a chat it is. The first figure in which two chats differ decides between them."""
    return (
        endpoint.form is Form.REPLY and len(endpoint.steps) == 1,  # gr.ChatInterface's own function
        endpoint.entered,  # Enter in the question's box, not a button for something else
        endpoint.streams,  # hands its answer out while it grows
        endpoint.turns,  # takes earlier turns as turns
        endpoint.public,  # stands on the app's API page
        len(endpoint.roles),  # takes more of what a caller may give
    )
