"""Opening a page: the chat on it, and the functions that are called before a question is asked."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson
from pydantic import ValidationError

from langchain_qwen_space.errors import (
    GenerationError,
    InvalidInputError,
    ProtocolError,
    QwenSpaceError,
    SpaceTimeoutError,
    StreamInterruptedError,
    UnsupportedSpaceError,
)
from langchain_qwen_space.space.chat.endpoint import Endpoint, Opening
from langchain_qwen_space.space.chat.finding import find_endpoint
from langchain_qwen_space.space.chat.reading import inputs_of
from langchain_qwen_space.space.page.config import Dependency, SpaceConfig
from langchain_qwen_space.space.page.values import new_values
from langchain_qwen_space.space.routing.options import SpaceOptions
from langchain_qwen_space.space.wire.client import SpaceClient
from langchain_qwen_space.space.wire.faults import from_output
from langchain_qwen_space.space.wire.function_run import FunctionRun
from langchain_qwen_space.space.wire.server_messages import parse
from langchain_qwen_space.space.wire.sse import SSEDecoder


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """A page after its `load` functions.

    Attributes:
        endpoint: The chat on it, which `gr.render` may only now have put there, or whose inputs a
            setting may have given other bounds and choices.
        values: What the functions gave, by the id of the component.
        notes: A sentence for each function that failed, where the page continues without it.
    """

    endpoint: Endpoint
    values: Mapping[int, Any]
    notes: Sequence[str] = ()


async def load_page(
    client: SpaceClient,
    options: SpaceOptions,
    endpoint: Endpoint,
    session_hash: str,
    openings: Sequence[Opening],
) -> OpenedPage:
    """Call the functions that come before a question, in its session.

    Raises:
        QwenSpaceError: One of them failed, or the Space cannot be reached.
    """
    config = endpoint.config
    values: dict[int, Any] = {}
    notes: list[str] = []
    for step, given, event_data in openings:
        known = {**values, **given}
        data = [known.get(number, config.component(number).initial) for number in step.inputs]
        try:
            output = await _run(client, options, config, step, session_hash, data, event_data)
        except GenerationError as error:
            if endpoint.rendered or step not in endpoint.loads or _is_needed(config, step):
                raise
            notes.append(f"did not fill its page when it was opened: {error}")
            continue
        values.update(new_values(config, step, output.get("data")))
        if endpoint.rendered:
            config = _with_rendered(client.where, config, output)
        elif any(step in control.steps for control in endpoint.controls.values()):
            config = config.with_loaded(step, output.get("data"))
    if endpoint.rendered:
        found = _rendered(client.where, config, endpoint.loads, options)
        endpoint = replace(found, habits=endpoint.habits)
    elif config is not endpoint.config:
        endpoint = replace(endpoint, config=config, inputs=inputs_of(config, endpoint.steps))
    return OpenedPage(endpoint, values, notes)


async def find_chat(client: SpaceClient, options: SpaceOptions, config: SpaceConfig) -> Endpoint:
    """The chat of a page.

    Where `/config` does not say enough, more is asked for: the names of the functions' parameters
    where inputs have no words of their own, and what the page's `load` functions put into it.

    Raises:
        QwenSpaceError: There is no chat, or the Space cannot be reached.
    """
    where, wanted = client.where, options.wanted
    try:
        found = find_endpoint(config, where, wanted)
    except UnsupportedSpaceError:
        rendered = await _find_rendered(client, options, config)
        if rendered is None:
            raise
        return rendered
    except InvalidInputError:  # an input may be named by its parameter
        config = await _with_parameters(client, options, config)
        found = find_endpoint(config, where, wanted)
    if found.has_nameless:
        config = await _with_parameters(client, options, config)
        found = find_endpoint(config, where, wanted)
    filled = {number for step in found.loads for number in step.outputs}
    own = [found.inputs[index].id for role, index in found.roles.items() if role != "history"]
    if filled & {*own} or (found.loads and any(item.filled_on_load for item in found.inputs)):
        session_hash = secrets.token_hex(8)
        for step in found.loads:
            data = [config.component(number).initial for number in step.inputs]
            with suppress(*([] if _is_needed(config, step) else [GenerationError])):
                output = await _run(client, options, config, step, session_hash, data)
                config = config.with_loaded(step, output.get("data"))
        found = find_endpoint(config, where, wanted)
    return found


def _is_needed(config: SpaceConfig, step: Dependency) -> bool:
    """Whether no question can be asked without what this function gives: a State, or choices."""
    filled = map(config.component, step.outputs)
    return any(item.type == "state" or item.filled_on_load for item in filled)


async def _with_parameters(
    client: SpaceClient, options: SpaceOptions, config: SpaceConfig
) -> SpaceConfig:
    """The page with the names that the app's API page has for inputs; as it was where it has none."""
    url, limit = config.api("info"), options.max_config_bytes
    try:
        status, _, body = await client.fetch("GET", url, limit, options.timeout)
        return config.with_parameters(orjson.loads(body)) if status == 200 else config
    except (QwenSpaceError, ValueError):
        return config


async def _find_rendered(
    client: SpaceClient, options: SpaceOptions, config: SpaceConfig
) -> Endpoint | None:
    """The chat that `gr.render` puts on a page when it is opened, or None.

    Raises:
        QwenSpaceError: What is put there is no chat, or the Space cannot be reached.
    """
    loads = config.on_load
    if not loads:
        return None
    session_hash, page = secrets.token_hex(8), config
    for step in loads:
        data = [page.component(number).initial for number in step.inputs]
        output = await _run(client, options, config, step, session_hash, data)
        page = _with_rendered(client.where, page, output)
    return None if page is config else _rendered(client.where, page, loads, options)


def _with_rendered(where: str, config: SpaceConfig, output: Any) -> SpaceConfig:
    rendered = output.get("render_config")
    if rendered is None:
        return config
    try:
        return config.with_rendered(rendered)
    except ValidationError:
        msg = f"What {where} renders when its page is opened cannot be read."
        raise ProtocolError(msg, is_retryable=False) from None


def _rendered(
    where: str, config: SpaceConfig, loads: tuple[Dependency, ...], options: SpaceOptions
) -> Endpoint:
    found = find_endpoint(config, where, options.wanted)
    return replace(found.with_history(options.history), loads=loads, rendered=True)


def run_of(
    client: SpaceClient,
    options: SpaceOptions,
    config: SpaceConfig,
    step: Dependency,
    session_hash: str,
    event_data: Any = None,
) -> FunctionRun:
    """What calls a function of a page."""
    return FunctionRun(
        client,
        config.api,
        step.id,
        session_hash,
        options.timeout,
        trigger_id=config.trigger_of(step),
        event_data=event_data,
        closing_is_enough=config.release < (5,) and step.types.generator,
    )


async def _run(
    client: SpaceClient,
    options: SpaceOptions,
    config: SpaceConfig,
    step: Dependency,
    session_hash: str,
    data: list[Any],
    event_data: Any = None,
) -> dict[str, Any]:
    """Call a function and return the `output` of its last event."""
    where = client.where
    run = run_of(client, options, config, step, session_hash, event_data)
    decoder = SSEDecoder(options.max_config_bytes)
    try:
        async with asyncio.timeout(options.timeout):
            await run.open(data)
            assert run.stream is not None  # noqa: S101
            while chunk := await run.stream.content.readany():
                for event in map(parse, decoder.feed(chunk)):
                    if event.msg != "process_completed":
                        continue
                    run.done = True
                    output = event.body.get("output")
                    if not event.body.get("success", True) or not isinstance(output, dict):
                        quoted = config.release < (5, 2)
                        raise from_output(output, event.body.get("title"), where, "", quoted=quoted)
                    await run.drain()
                    return output
    except QwenSpaceError:
        raise
    except TimeoutError:
        msg = (
            f"The page of {where} did not open within {options.timeout} seconds (function "
            f"{step.id}). Raise timeout=… or try later."
        )
        raise SpaceTimeoutError(msg) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise StreamInterruptedError(_broke_off(where, step)) from error
    finally:
        run.end()
    raise StreamInterruptedError(_broke_off(where, step))


def _broke_off(where: str, step: Dependency) -> str:
    return f"The page of {where} could not be opened: function {step.id} broke off."
