"""Space id -> host, and what the Hub API says of a Space that does not answer.

See "Finding the Space" in `docs/developers/protocol.md`. `HF_ENDPOINT` names another hub, as it does for
Hugging Face's own packages; a token goes to huggingface.co only.
"""

import os
import re

from yarl import URL

from langchain_qwen_space.errors import InvalidInputError, SpaceUnavailableError

_STARTING = {
    "SLEEPING": "is asleep",
    "BUILDING": "is being built",
    "RUNNING_BUILDING": "is being built",
    "APP_STARTING": "is starting",
    "RUNNING_APP_STARTING": "is starting",
}
_STOPPED = {
    "PAUSED": "is paused; only its owner can restart it. Duplicate it, or choose another Space.",
    "STOPPED": "is stopped; only its owner can restart it. Duplicate it, or choose another Space.",
    "DELETING": "is being deleted. Choose another Space.",
    "NO_APP_FILE": "holds no app. Check its id.",
    "CONFIG_ERROR": "is set up wrongly; its owner has to fix it. Choose another Space.",
    "BUILD_ERROR": "could not be built; its owner has to fix it. Choose another Space.",
    "RUNTIME_ERROR": "has crashed; its owner has to restart it. Choose another Space.",
}


class SpaceAsleepError(SpaceUnavailableError):
    """The Space will run in a while. `stage` is as in the Hub API."""

    def __init__(self, message: str, stage: str = "") -> None:
        super().__init__(message)
        self.stage = stage


def hub_url(space_id: str, question: str) -> URL:
    """Where the Hub API answers `question` ("host" or "runtime") about a Space.

    Raises:
        InvalidInputError: `HF_ENDPOINT` is not a URL.
    """
    named = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        hub = URL(named)
        if hub.scheme not in ("http", "https") or not hub.host:
            raise ValueError("it is not an http URL")
    except ValueError as error:
        shown = named.rpartition("@")[2]  # what stands before may be a password
        msg = f"HF_ENDPOINT={shown!r} cannot be used: {error}. Correct it or unset it."
        raise InvalidInputError(msg) from None
    return hub / "api" / "spaces" / space_id / question


def host_by_rule(space_id: str) -> URL:
    """The host of a Space by the Hub API's rule: `Qwen/Qwen2.5` -> `qwen-qwen2-5.hf.space`."""
    return URL(f"https://{re.sub(r'[^a-z0-9]+', '-', space_id.lower()).strip('-')}.hf.space")


def host_from(body: object, space_id: str) -> URL:
    """The host that the Hub API named, or the one by rule if it names none."""
    host = body.get("host") if isinstance(body, dict) else None
    try:
        url = URL(host) if isinstance(host, str) else URL()
        named = url.scheme == "https" and url.host
    except ValueError:
        named = None
    return url if named else host_by_rule(space_id)


def stage_error(body: object, where: str) -> SpaceUnavailableError | None:
    """Why a Space does not answer, according to the Hub API; None if it should."""
    stage = body.get("stage") if isinstance(body, dict) else None
    if not isinstance(stage, str):
        return None
    if stage in _STARTING:
        msg = (
            f"{where} {_STARTING[stage]} ({stage}). Try again in a minute, or raise wake_timeout=…"
        )
        return SpaceAsleepError(msg, stage)
    if stage in _STOPPED:
        return SpaceUnavailableError(f"{where} {_STOPPED[stage]} ({stage})", is_retryable=False)
    return None
