#!/usr/bin/env python3
"""Install a wheel into an empty environment and use it there: `try_wheel.py dist/NAME.whl`.

First by itself, then with its extras. Nothing of this repository can be imported meanwhile, and no
Space but those on this machine is asked.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

BY_ITSELF = """
import importlib.metadata, importlib.resources, importlib.util, sys
import langchain_qwen_space
from langchain_qwen_space import ChatQwenSpace, QueueProgressCallbackHandler, QwenSpaceError, SpaceEvent
from langchain_qwen_space.errors import SpaceConnectionError
from langchain_qwen_space.local import LocalSpace

assert langchain_qwen_space.__file__.startswith(sys.prefix), langchain_qwen_space.__file__
assert importlib.resources.files(langchain_qwen_space).joinpath("py.typed").is_file()
assert importlib.util.find_spec("gradio") is None, "the environment is not empty"
try:
    ChatQwenSpace(space="http://127.0.0.1:9", max_retries=0).invoke("Is anybody there?")
except SpaceConnectionError as error:
    print("by itself:", error)
else:
    sys.exit("a call to nobody succeeded")
try:
    LocalSpace().start()
except ImportError as error:
    print("by itself:", error)
else:
    sys.exit("a local Space started without Gradio")
"""
WITH_EXTRAS = """
import subprocess, sys
from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.local import LocalSpace

if __name__ == "__main__":
    with LocalSpace() as space:
        answer = ChatQwenSpace(space=space.url).invoke("echo: It works.").content
        command = [sys.prefix + "/bin/qwen-space", "chat", "echo: So does this.", "--space", space.url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert answer == "It works.", answer
    assert said.strip() == "So does this.", said
    print("with [cli,local]:", answer, said.strip())
"""


def main() -> None:
    """Try the wheel that the command line names."""
    wheel = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }

        def run(*arguments: str) -> None:
            subprocess.run([python, *arguments], cwd=folder, env=environment, check=True)

        run("-m", "pip", "install", "--quiet", str(wheel))
        run("-c", BY_ITSELF)
        run("-m", "pip", "install", "--quiet", f"{wheel}[cli,local]")
        run("-c", WITH_EXTRAS)


if __name__ == "__main__":
    main()
