"""The web service: a page, and the conversations behind it as JSON and server-sent events."""

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
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field, StringConstraints

from .conversations import Conversations, Thread
from .memory import open_memory

STATIC = File(__file__).with_name("static")
NAME = r"^[A-Za-z0-9_-]{1,64}$"
YEAR = 365 * 24 * 3600
HEADERS = {
    # Nothing is loaded from elsewhere, whatever a model writes. (MathML has style attributes.)
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Question(BaseModel):
    """What the page posts. `id` is as in `Conversations.ask`."""

    text: str = Field(min_length=1, max_length=20_000)
    id: str | None = Field(None, pattern=NAME)


class Renaming(BaseModel):
    """Another title for a conversation."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def create_app(*, space: str, database_url: str, note: str | None = None) -> FastAPI:
    """The service. Its database is open while it runs.

    Args:
        space: Id or URL of the Space that answers.
        database_url: See `open_memory`.
        note: What the page says about who answers; by default that the Space's owner can read it all.

    Raises:
        ValueError: `database_url` names no database that this can use.
    """
    said = note or f"Answers come from {space}, whose owner can read what is asked."
    opening = open_memory(database_url)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with opening as memory:
            app.state.conversations = Conversations(space, memory)
            yield
            await app.state.conversations.close()

    app = FastAPI(title="Agent", lifespan=running)
    app.mount("/static", StaticFiles(directory=STATIC))

    @app.get("/")
    def page(request: Request) -> FileResponse:
        response = FileResponse(STATIC / "index.html", headers=HEADERS)
        if _known(request) is None:
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

    @app.get("/conversations")
    async def listing(user: Annotated[str, Depends(_user)]) -> dict[str, Any]:
        entries = await app.state.conversations.listing.of(user)
        return {"note": said, "conversations": [asdict(entry) for entry in entries]}

    @app.get("/conversations/{conversation}")
    async def history(thread: Annotated[Thread, Depends(_thread)]) -> list[dict[str, Any]]:
        return [asdict(event) for event in await app.state.conversations.history(thread)]

    @app.post("/conversations/{conversation}", response_class=EventSourceResponse)
    async def ask(
        thread: Annotated[Thread, Depends(_thread)], question: Question
    ) -> AsyncIterator[ServerSentEvent]:
        # When the client leaves, this generator is closed, and the call on the Space is cancelled.
        answering = app.state.conversations.ask(thread, question.text, question.id)
        async with aclosing(answering) as events:
            async for event in events:
                yield ServerSentEvent(event=event.kind, data=event.data)

    @app.patch("/conversations/{conversation}", status_code=204)
    async def rename(thread: Annotated[Thread, Depends(_thread)], given: Renaming) -> None:
        names = app.state.conversations.listing
        if not await names.rename(thread.user, thread.conversation, given.title):
            raise HTTPException(404, "There is no such conversation.")

    @app.delete("/conversations/{conversation}", status_code=204)
    async def delete(thread: Annotated[Thread, Depends(_thread)]) -> None:
        await app.state.conversations.delete(thread)

    return app


def _cookie(request: Request) -> str:
    """The cookie's name. It has the port in it, since browsers send cookies to every port."""
    url = request.url
    return f"agent_user_{url.port or (443 if url.scheme == 'https' else 80)}"


def _known(request: Request) -> str | None:
    """Who asks; None if the cookie is missing or was not set here."""
    name = request.cookies.get(_cookie(request), "")
    return name if re.fullmatch(NAME, name) else None


def _user(request: Request) -> str:
    user = _known(request)
    if user is None:
        raise HTTPException(401, "Reload the page: it sets a cookie that was missing.")
    return user


def _thread(
    user: Annotated[str, Depends(_user)], conversation: Annotated[str, Path(pattern=NAME)]
) -> Thread:
    return Thread(user, conversation)
