"""The ASGI application: routes, keys, limits."""

import asyncio
import hmac
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from yarl import URL

from langchain_qwen_space.api.answers import as_json
from langchain_qwen_space.api.completions import CompletionResponse
from langchain_qwen_space.api.problems import Problem, problem_of
from langchain_qwen_space.api.requests import check_schemas, read_request
from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.qwen.models import canonical_name, family_of_space, match_model
from langchain_qwen_space.space.wire.access import is_loopback


def app(
    model: ChatQwenSpace,
    *,
    api_key: str | Sequence[str] | None = None,
    cors: Sequence[str] = (),
    hosts: Sequence[str] = (),
    max_body_bytes: int = 64 * 2**20,
    heartbeat: float = 5.0,
) -> Starlette:
    """Returns an ASGI application that answers OpenAI's chat completions API with a Space.

    ```python
    from fastapi import FastAPI
    from langchain_qwen_space import ChatQwenSpace
    from langchain_qwen_space.api import app

    own = FastAPI()
    own.mount("/qwen", app(ChatQwenSpace(), api_key="…"))  # base_url: …/qwen/v1
    ```

    Routes: `POST /v1/chat/completions`, `GET /v1/models`, `GET /v1/models/{model}`, `GET /health`
    (which needs no key and does not call the Space). Each request is a separate call of `model`, so
    conversations do not mix.

    Args:
        model: What answers. A request's `model` and settings replace its own for that request; its
            Space, token and limits stay.
        api_key: The key, or keys, one of which a request has to send as `Authorization: Bearer …`.
            With None, anyone who can reach the server may use it, except web pages: a request with
            an `Origin` that is not in `cors` is then refused.
        cors: Origins of web pages that may use the API, such as "https://chat.example".
        hosts: Names by which clients reach the server, such as "chat.example" where a proxy keeps
            the `Host` header; "*" is any. On a loopback address and without a key, a request for
            any other name but loopback ones is refused: it comes from a web page whose owner made
            the page's name lead to this machine (DNS rebinding).
        max_body_bytes: Largest size of a request's body, in bytes; larger ones get a 413.
        heartbeat: Longest silence of an event stream, in seconds; after that, a comment is sent. An
            error before the first byte of the stream has an HTTP status.

    Raises:
        InvalidInputError: A key is empty, one of `hosts` is not a name, or `heartbeat` or
            `max_body_bytes` is not positive.
    """
    keys = [api_key] if isinstance(api_key, str) else list(api_key or ())
    if api_key is not None and not (keys and all(keys)):
        raise InvalidInputError("api_key is empty: pass a key of at least one character, or None.")
    if not heartbeat > 0 or max_body_bytes < 1:
        raise InvalidInputError("heartbeat and max_body_bytes must be positive.")
    encoded = [key.encode() for key in keys]
    origins = [origin.lower().removesuffix("/") for origin in cors]  # as browsers write them
    allowed = {_host_name(host) for host in hosts}
    if None in allowed:
        raise InvalidInputError(
            f"hosts={list(hosts)!r:.200} must be names, such as 'chat.example', without 'https://' "
            "and path."
        )
    logged: set[str] = set()

    def check_caller(request: Request) -> None:
        if encoded:
            scheme, _, sent = request.headers.get("authorization", "").partition(" ")
            # All keys are compared, each in constant time. Starlette decodes headers as latin-1.
            matches = [hmac.compare_digest(sent.strip().encode("latin-1"), key) for key in encoded]
            if scheme.lower() != "bearer" or not any(matches):
                raise Problem(
                    401,
                    "The API key is missing or wrong. Send it as 'Authorization: Bearer KEY'.",
                    code="invalid_api_key",
                    headers={"www-authenticate": "Bearer"},
                )
        elif (origin := request.headers.get("origin")) and {origin, "*"}.isdisjoint(origins):
            raise Problem(403, "Pages of this origin may not use this server.")
        elif is_loopback((request.scope.get("server") or ("",))[0]):
            sent_host = request.headers.get("host") or "localhost"
            name = _host_name(sent_host)
            if name is None or (not is_loopback(name) and not {name, "*"} & allowed):
                msg = (
                    f"This server is not for the host {sent_host!r:.100}. Use localhost or "
                    "127.0.0.1, set a key, or allow the name."
                )
                raise Problem(403, msg)

    own_names = {model.space} if isinstance(model.space, str) else {*model.space}

    async def offered() -> tuple[dict[str, str], str | None]:
        """The names that the Space's choices are listed by, and the family of short names (`32B`)."""
        choices = await model.alist_models()
        family = family_of_space(model.space if isinstance(model.space, str) else "", choices)
        names = {}
        for choice in choices:
            name = canonical_name(choice, family)
            # Two owners may offer a model of one name, which then means neither.
            names[choice] = name if match_model(name, choices, family) == choice else choice
        return names, family

    async def create_completion(request: Request) -> Response:
        check_caller(request)
        wanted = read_request(await _body(request, max_body_bytes))
        if wanted.keywords.keys() & {"tools", "response_format"}:
            await asyncio.to_thread(check_schemas, wanted.keywords)  # seconds, for the longest
        if wanted.keywords.get("model") in own_names:  # how a Space without a choice is listed
            del wanted.keywords["model"]
        # Thoughts have a field of their own here.
        reasoning = True if model.reasoning is None else model.reasoning
        wanted.keywords["reasoning"] = reasoning
        return CompletionResponse(model, wanted, heartbeat, logged)

    async def list_models(request: Request) -> Response:
        check_caller(request)
        names, _ = await offered()
        listed = [_model(name) for name in names.values() or sorted(own_names)]
        return _json({"object": "list", "data": listed})

    async def retrieve_model(request: Request) -> Response:
        check_caller(request)
        name = request.path_params["name"]
        names, family = await offered()
        if not names and name in own_names:
            return _json(_model(name))
        if (choice := match_model(name, list(names), family)) is None:
            raise Problem(404, f"The model {name!r:.100} does not exist.", code="model_not_found")
        return _json(_model(names[choice]))

    async def health(_: Request) -> Response:
        return _json({"status": "ok"})

    async def report(_: Request, error: Exception) -> Response:
        return problem_of(error).response

    async def report_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        message = str(error.detail)
        if error.status_code == 404:
            message = (
                f"Invalid URL ({request.method} {request.url.path:.200}). This server has "
                "/v1/chat/completions, /v1/models and /health."
            )
        return Problem(error.status_code, message, headers=dict(error.headers or {})).response

    for_pages = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["retry-after", "x-qwen-space-warning", "x-request-id"],
    )
    application = Starlette(
        routes=[
            Route("/v1/chat/completions", create_completion, methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/v1/models/{name:path}", retrieve_model),
            Route("/health", health),
        ],
        middleware=[for_pages] if origins else [],
        exception_handlers={Problem: report, QwenSpaceError: report, HTTPException: report_http},
    )
    application.router.redirect_slashes = False  # to where the caller's Host header says
    return application


async def _body(request: Request, limit: int) -> bytes:
    """The body of a request; JSON only, which no page in a browser can send unasked."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind.strip().lower() != "application/json":
        raise Problem(415, "The body has to be JSON, with 'Content-Type: application/json'.")
    encoding = request.headers.get("content-encoding", "")
    if encoding.strip().lower() not in ("", "identity"):
        raise Problem(415, "The body is compressed: send it without a 'Content-Encoding'.")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise Problem(413, f"The body is longer than {limit:,} bytes.")
    except ClientDisconnect:
        raise Problem(400, "The body broke off.") from None
    return bytes(body)


def _host_name(host: str) -> str | None:
    """The name in a `Host` header, in one spelling and without the port; None if there is none."""
    try:
        url = URL(f"http://{host}")
        alone = url == url.origin()
    except ValueError:
        return None
    return url.raw_host.removesuffix(".") if alone and url.raw_host else None


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "qwen-space"}


def _json(value: Any) -> Response:
    return Response(as_json(value), media_type="application/json")
