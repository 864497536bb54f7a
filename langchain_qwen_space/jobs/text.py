"""Values as text: what JSONL, CSV and text columns hold."""

import base64
import json
from typing import Any


def as_json(value: Any) -> str:
    """One line of JSON. Characters that UTF-8 cannot hold are escaped; dates become text."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(value, default=_plain)
    return text


def as_text(value: Any) -> str:
    """Text as it is, None as nothing, everything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else as_json(value)


def _plain(value: Any) -> str:
    """What Parquet files hold and JSON does not know."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)
