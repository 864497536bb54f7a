"""Values as text: what JSONL, CSV and text columns hold."""

import base64
import json
from typing import Any


def as_json(value: Any) -> str:
    """One line of strict JSON (RFC 8259).

    NaN and the infinities, which JSON does not have, become null; dates become text in ISO 8601, bytes
    Base64. Characters that UTF-8 cannot hold are escaped.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        with_constants = json.dumps(value, default=_plain)
        value = json.loads(with_constants, parse_constant=lambda _: None)
        text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value, allow_nan=False, default=_plain)
    return text


def as_text(value: Any) -> str:
    """Text as it is, None as nothing, everything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else as_json(value)


def encodable(value: Any) -> Any:
    r"""The value with every lone surrogate in its text escaped, as `\ud800`."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {encodable(name): encodable(each) for name, each in value.items()}
    return [encodable(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any) -> str:
    """What Parquet files hold and JSON does not know."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)
