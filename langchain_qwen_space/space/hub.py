"""Space id -> host. See "Finding the Space" in `docs/protocol.md`."""

import re

from yarl import URL


def host_by_rule(space_id: str) -> URL:
    """The host of a Space by the hub's own rule: `Qwen/Qwen2.5` -> `qwen-qwen2-5.hf.space`."""
    return URL(f"https://{re.sub(r'[^a-z0-9]+', '-', space_id.lower()).strip('-')}.hf.space")
