import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def prompts(tmp_path) -> Callable[..., Path]:
    """Writes a JSONL file of rows; plain prompts become rows with an `n`."""

    def write(*rows: Any, name: str = "prompts.jsonl") -> Path:
        path = tmp_path / name
        whole = [
            {"prompt": row, "n": n} if isinstance(row, str) else row for n, row in enumerate(rows)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in whole), encoding="utf-8")
        return path

    return write
