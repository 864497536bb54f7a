"""Where the `qwen-space` command begins."""

import sys

_PARTS = ("typer", "rich", "prompt_toolkit")  # what the extra `cli` installs


def main() -> None:
    """Run the command that the arguments name, and exit.

    The exit status is 0 if it went well, 1 if the work failed, 2 if the arguments are wrong, 130 if
    it was interrupted.
    """
    try:
        from langchain_qwen_space.cli.app import app

        app()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PARTS:
            raise
        sys.exit(f"qwen-space needs {missing}: pip install 'langchain-qwen-space[cli]'")
