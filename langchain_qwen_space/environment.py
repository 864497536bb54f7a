"""Where `ChatQwenSpace` finds what it was not given: the environment and the saved login."""

import os
from pathlib import Path

from pydantic import SecretStr

DEFAULT_SPACE = "Qwen/Qwen2.5"
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
PROXY_VARIABLE = "QWEN_SPACE_PROXY"
_TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads its switches


class EnvironmentSecret(SecretStr):
    """A secret that was found rather than given; it is shown to fewer hosts than one given."""


def space_from_environment() -> str | list[str]:
    """`QWEN_SPACE`, else the public Space; several are separated by commas."""
    spaces = [part.strip() for part in os.environ.get("QWEN_SPACE", "").split(",") if part.strip()]
    return spaces if len(spaces) > 1 else spaces[0] if spaces else DEFAULT_SPACE


def token_from_environment() -> EnvironmentSecret | None:
    """The Hugging Face token of the environment, else the one that `hf auth login` saved.

    None where `HF_HUB_DISABLE_IMPLICIT_TOKEN` says that a token is to be given explicitly.
    """
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").strip().upper() in _TRUE:
        return None
    for name in TOKEN_VARIABLES:
        if token := os.environ.get(name, "").strip():
            return EnvironmentSecret(token)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface")
    path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    try:
        token = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError):  # the last is for a user without a home
        return None
    return EnvironmentSecret(token) if token else None


def proxy_from_environment() -> SecretStr | None:
    """`QWEN_SPACE_PROXY`; the general proxy variables are looked at for each request."""
    proxy = os.environ.get(PROXY_VARIABLE)
    return SecretStr(proxy) if proxy else None
