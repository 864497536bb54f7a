# ruff: noqa: T201  it talks to whoever started it
"""Start the service: ``python -m examples.agent_backend``, then open the address it prints."""

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from langchain_qwen_space import QwenSpaceError
from langchain_qwen_space.local import LocalSpace

from .app import create_app

DATABASE_URL = f"sqlite:///{Path(__file__).with_name('agent.db')}"


def main() -> int:
    """Run until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(description="A page on which you talk with an agent.")
    parser.add_argument("--space", help="id or URL of a Space; by default one is started here")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        space = arguments.space
        try:
            if space is None:
                print("Starting a Space on this machine, where a script answers, no model ...")
                space = stack.enter_context(LocalSpace()).url
            database_url = os.environ.get("DATABASE_URL", DATABASE_URL)
            app = create_app(space=space, database_url=database_url)
        except (ImportError, ValueError, QwenSpaceError) as error:
            print(error, file=sys.stderr)
            return 1
        print(f"Open http://{arguments.host}:{arguments.port}/ (Ctrl-C ends it)", flush=True)
        # Answers that are still being written when it is to end do not hold it up for long.
        uvicorn.run(
            app,
            host=arguments.host,
            port=arguments.port,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
