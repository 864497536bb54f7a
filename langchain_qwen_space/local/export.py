"""`export`: the folder that a person pushes to Hugging Face to get a Space of their own.

The folder needs this package neither there nor here: it holds copies of the few modules that
`LocalSpace` and `qwen-space serve` run themselves, and an `app.py` that puts them together.
The header of its README is described on https://huggingface.co/docs/hub/spaces-config-reference.
"""

import importlib.metadata
import importlib.resources
import sys
from pathlib import Path

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local.backend import Backend
from langchain_qwen_space.local.serving import MAX_FILE_SIZE

_APP = '''\
"""A Space that chats. What answers: {title}."""

import os

from qwen_space.{module} import {maker}
from qwen_space.chat_page import build

# A secret of the Space: "user:password". Without it, everybody who sees the Space can use it.
login = os.environ.get("QWEN_SPACE_AUTH")

page = build(
    {source},
    model={model!r},
    concurrency={concurrency},
    pace={pace},
)
page.queue(max_size={max_queue!r})

if __name__ == "__main__":
    page.launch(
        auth=tuple(login.split(":", 1)) if login else None,
        max_file_size={max_file_size!r},  # bytes
        max_threads=page.max_threads,
    )
'''

_README = """\
---
title: {title}
emoji: 💬
colorFrom: purple
colorTo: indigo
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
pinned: false
license: mit
{models}---

# {title}

A chat. Open it in a browser, or use it in Python:

```python
from langchain_qwen_space import ChatQwenSpace

print(ChatQwenSpace(space="your-name/your-space").invoke("Hello!").content)
```

`python app.py` runs it on your own machine, after `pip install -r requirements.txt`.

| variable or secret | what it is |
| --- | --- |
| `QWEN_SPACE_AUTH` | `user:password` of a login; without it, everybody who sees the Space can use it |
{variables}"""

_PACKAGE = '''\
"""Copied from langchain-qwen-space {version}, which is under the MIT license.

Copyright (c) The langchain-qwen-space developers
"""
'''


def export(
    folder: Path,
    backend: Backend,
    *,
    concurrency: int | None = None,
    max_queue: int | None = None,
    max_file_size: int | None = MAX_FILE_SIZE,
) -> list[Path]:
    """Write a Space into `folder`, which is made where it is missing.

    Args:
        folder: Where to write.
        backend: What is to answer.
        concurrency: How many answers may be written at a time; by default what suits `backend`.
        max_queue: How many callers may wait; by default any number.
        max_file_size: How many bytes an attached file may have; None is any number.

    Returns:
        The files that were written.

    Raises:
        InvalidInputError: One of the files is there already, and nothing was written. Or the folder
            cannot be written to, or the model is a folder on this machine.
        ImportError: Gradio, whose version goes into the folder, is not installed.
    """
    if backend.name == "transformers" and Path(str(backend.model)).exists():
        raise InvalidInputError(
            f"{backend.model} is a folder on this machine, which an exported Space cannot read. Upload "
            f"it (hf upload your-name/your-model {backend.model}), and export --model "
            "your-name/your-model."
        )
    try:
        gradio = importlib.metadata.version("gradio")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(
            "An exported Space pins the installed version of Gradio, and none is installed. "
            'Install it: pip install "langchain-qwen-space[local]"'
        ) from None
    files = {
        folder / "app.py": _APP.format(
            title=_title(backend),
            module=backend.module,
            maker=backend.maker,
            source=backend.source,
            model=backend.model,
            concurrency=concurrency or backend.concurrency,
            pace=backend.pace,
            max_queue=max_queue,
            max_file_size=max_file_size,
        ),
        folder / "requirements.txt": "\n".join([f"gradio=={gradio}", *backend.requirements, ""]),
        folder / "README.md": _readme(backend, gradio),
        folder / "qwen_space" / "__init__.py": _PACKAGE.format(
            version=importlib.metadata.version("langchain-qwen-space")
        ),
    }
    for module in dict.fromkeys(("chat_page", "answers", backend.module, *backend.needs)):
        files[folder / "qwen_space" / f"{module}.py"] = _source(module)
    if there := [str(path) for path in files if path.exists() or path.is_symlink()]:
        raise InvalidInputError(
            f"Nothing was written, because these files already exist: {', '.join(there)}. "
            "Choose a new folder, or move them away."
        )
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise InvalidInputError(
                f"{path} cannot be written: {error.strerror}. Choose another folder."
            ) from error
    return list(files)


def _source(module: str) -> str:
    """What a module of this folder, or of the one above it, is beside all others."""
    name = f"{module}.py"
    here = importlib.resources.files(__package__)
    above = importlib.resources.files(__package__.rpartition(".")[0])
    found = here / name if (here / name).is_file() else above / name
    return found.read_text("utf-8").replace(f"from {above.name}.", "from .")


def _readme(backend: Backend, gradio: str) -> str:
    models = variables = ""
    if backend.name == "transformers":
        models = f"models:\n- {backend.model}\n"
    if "key_env" in backend.arguments:
        variables = f"| `{backend.arguments['key_env']}` | the API key of the server behind it |\n"
    return _README.format(
        title="Your own chat",
        gradio=gradio,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        models=models,
        variables=variables,
    )


def _title(backend: Backend) -> str:
    return (
        "a demo, not a language model"
        if backend.model is None
        else f"{backend.model} ({backend.name})"
    )
