"""The database: what was said in each conversation, and what tools keep for each user."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

ALL = 1_000_000  # for a store's search, which has to be given a limit


@dataclass(frozen=True)
class Memory:
    """Where an agent keeps things: what was said, and what is kept for each user."""

    conversations: BaseCheckpointSaver[Any]
    store: BaseStore


def open_memory(url: str) -> AbstractAsyncContextManager[Memory]:
    """The database; it opens with `async with`, and makes its tables where they are missing.

    Args:
        url: "postgresql://user:password@host/database", or "sqlite:///" and the path of a file.

    Raises:
        ValueError: It is neither.
    """
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url)
    if url.startswith("sqlite:///"):
        return _sqlite(url.removeprefix("sqlite:///"))
    raise ValueError("DATABASE_URL must begin with postgresql:// or sqlite:///")


@asynccontextmanager
async def _sqlite(path: str) -> AsyncIterator[Memory]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.store.sqlite.aio import AsyncSqliteStore

    async with (
        AsyncSqliteSaver.from_conn_string(path) as conversations,
        AsyncSqliteStore.from_conn_string(path) as store,
    ):
        await conversations.setup()
        await store.setup()
        yield Memory(conversations, store)


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Memory]:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from langgraph.store.postgres.aio import AsyncPostgresStore
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow, dict_row
    from psycopg_pool import AsyncConnectionPool

    # A pool, so that users do not wait for each other, and lost connections are replaced.
    async with AsyncConnectionPool[AsyncConnection[DictRow]](
        url,
        open=False,
        min_size=1,
        max_size=10,
        check=AsyncConnectionPool.check_connection,
        # As LangGraph asks for. It prepares no statements, so a PgBouncer may stand in between.
        kwargs={"autocommit": True, "prepare_threshold": None, "row_factory": dict_row},
    ) as pool:
        await pool.wait()
        conversations, store = AsyncPostgresSaver(pool), AsyncPostgresStore(pool)
        await conversations.setup()
        await store.setup()
        yield Memory(conversations, store)
