"""The web service: a page, and the conversations behind it as server-sent events."""

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from pathlib import Path as File
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from .conversations import Conversations, Thread
from .memory import open_memory

PAGE = File(__file__).with_name("index.html")
NAME = r"^[A-Za-z0-9_-]{1,64}$"
YEAR = 365 * 24 * 3600


class Question(BaseModel):
    """What the page posts."""

    text: str = Field(min_length=1, max_length=20_000)


def create_app(*, space: str, database_url: str) -> FastAPI:
    """The service. Its database is open while it runs.

    Args:
        space: Id or URL of the Space that answers.
        database_url: See `open_memory`.

    Raises:
        ValueError: `database_url` names no database that this can use.
    """
    opening = open_memory(database_url)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with opening as memory:
            app.state.conversations = Conversations(space, memory)
            yield
            await app.state.conversations.close()

    app = FastAPI(title="Agent", lifespan=running)

    @app.get("/")
    def page(request: Request) -> FileResponse:
        response = FileResponse(PAGE)
        if _user(request) is None:
            # This name identifies the user. Put your own login here.
            response.set_cookie(
                _cookie(request),
                secrets.token_urlsafe(16),
                max_age=YEAR,
                httponly=True,
                # Not "strict": who follows a link to this page is still the same user.
                samesite="lax",
                secure=request.url.scheme == "https",
            )
        return response

    @app.get("/conversations/{conversation}")
    async def history(thread: Annotated[Thread, Depends(_thread)]) -> list[dict[str, Any]]:
        return [asdict(event) for event in await app.state.conversations.history(thread)]

    @app.post("/conversations/{conversation}", response_class=EventSourceResponse)
    async def ask(
        thread: Annotated[Thread, Depends(_thread)], question: Question
    ) -> AsyncIterator[ServerSentEvent]:
        # When the client goes, this generator is closed, and the call on the Space is ended.
        async with aclosing(app.state.conversations.ask(thread, question.text)) as events:
            async for event in events:
                yield ServerSentEvent(event=event.kind, data=event.data)
        yield ServerSentEvent(event="done", data={})

    return app


def _cookie(request: Request) -> str:
    """The cookie's name. It has the port in it, since browsers send cookies to every port."""
    url = request.url
    return f"agent_user_{url.port or (443 if url.scheme == 'https' else 80)}"


def _user(request: Request) -> str | None:
    """Who asks; None if the cookie is missing or was not set here."""
    name = request.cookies.get(_cookie(request), "")
    return name if re.fullmatch(NAME, name) else None


def _thread(request: Request, conversation: Annotated[str, Path(pattern=NAME)]) -> Thread:
    user = _user(request)
    if user is None:
        raise HTTPException(401, "Open the page first: it gives you a cookie.")
    return Thread(user, conversation)
