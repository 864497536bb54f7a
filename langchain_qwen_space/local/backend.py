"""What can answer on your own Space: the demo, weights on this machine, another server.

One description serves twice: `Backend.load` makes what answers here, and `Backend.source` is the
Python that makes it in an exported Space.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local.answers import Answerer
from langchain_qwen_space.qwen import models

FILE_KINDS = ("image", "audio", "video", "pdf")
"""What `openai` can pass on."""


@dataclass(frozen=True)
class Backend:
    """What answers.

    Attributes:
        name: What people call it.
        module: The module of this package that holds it.
        maker: The name in that module: a class, or, without arguments, what answers itself.
        arguments: What the class is made with.
        needs: The modules of this package that `module` imports.
        requirements: The packages that it needs besides Gradio, as pip takes them.
        extra: The extra of this project that installs them.
        model: The model's name, for the page.
        concurrency: How many answers at a time suit it.
        pace: Seconds to wait between two chunks.
    """

    name: str
    module: str
    maker: str
    arguments: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    extra: str = "local"
    model: str | None = None
    concurrency: int = 5
    pace: float = 0.0

    @property
    def source(self) -> str:
        """The Python that makes what answers, once `maker` is imported."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.maker}({given})" if given else self.maker

    def load(self) -> Answerer:
        """Make what answers, which may take minutes.

        Raises:
            ImportError: What it needs is not installed; the message says how to install it.
            InvalidInputError: There is no such model, or it cannot chat.
        """
        try:
            module = importlib.import_module(f"{__package__}.{self.module}")
        except ModuleNotFoundError as error:
            raise ImportError(
                f"The backend {self.name} needs {error.name}, which is not installed. "
                f'Install it: pip install "langchain-qwen-space[{self.extra}]"'
            ) from None
        made = getattr(module, self.maker)
        if not self.arguments:
            return cast("Answerer", made)
        try:
            return cast("Answerer", made(**self.arguments))
        except (OSError, ValueError) as error:  # transformers' words for all that can be wrong
            raise InvalidInputError(f"{self.model} cannot be loaded: {error}") from error


def demo() -> Backend:
    """The demo, which is not a language model. It measures files that are attached."""
    from langchain_qwen_space.local.demo import PACE

    return Backend(
        "demo",
        module="demo_files",
        maker="demo_with_files",
        needs=("demo", "demo_tools"),
        pace=PACE,
    )


def transformers(model: str, max_tokens: int | None = None) -> Backend:
    """Weights on this machine, through transformers. A model that sees is shown pictures."""
    return Backend(
        "transformers",
        module="weights",
        maker="Weights",
        arguments={"model": model} | ({} if max_tokens is None else {"max_tokens": max_tokens}),
        needs=("answers",),
        requirements=("torch>=2.6", "torchvision>=0.21", "transformers>=5,<6"),
        extra="local,transformers",
        model=model,
        # Each answer takes the whole machine; two at a time take twice as long.
        concurrency=1,
    )


def openai(
    base_url: str,
    model: str,
    key_env: str = "OPENAI_API_KEY",
    max_tokens: int | None = None,
    files: Sequence[str] | None = None,
) -> Backend:
    """An OpenAI-compatible server.

    Args:
        base_url: Where its API begins.
        model: The name that the server has for the model.
        key_env: The environment variable with the server's key.
        max_tokens: The most tokens of an answer.
        files: The kinds of files that the model reads (`FILE_KINDS`); by default pictures, if its name
            is that of a model that sees.

    Raises:
        InvalidInputError: `base_url` is no URL, or holds a password, or a kind of files is unknown.
    """
    if files is None:
        files = ["image"] if models.sees(model) else []
    if unknown := [kind for kind in files if kind not in FILE_KINDS]:
        raise InvalidInputError(
            f"{unknown[0]!r} is not a supported kind of file. The kinds are "
            f"{', '.join(FILE_KINDS)}."
        )
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInputError(
            f"The base URL of an OpenAI-compatible server must begin with http:// or https://, and "
            f"usually ends with /v1, such as http://localhost:11434/v1, not {base_url!r}."
        )
    if parts.password:
        raise InvalidInputError(
            "The base URL contains a password. Put the server's key into an environment variable."
        )
    more: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    more |= {"files": list(files)} if files else {}
    return Backend(
        "openai",
        module="relay",
        maker="Relay",
        arguments={"base_url": base_url, "model": model, "key_env": key_env, **more},
        needs=("answers", "media_types"),
        requirements=("openai>=2",),
        extra="local,openai",
        model=model,
    )
