"""Writes the tables of the reference that describe code: settings and events.

    python scripts/make_reference.py

Replaces what is between `<!-- made by scripts/make_reference.py -->` and `<!-- end -->` in
`docs/reference/settings.md` and `docs/reference/events.md`. The descriptions are the docstrings of
the fields of `ChatQwenSpace` and of the event classes.
"""

import ast
import inspect
import re
import textwrap
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from langchain_qwen_space import ChatQwenSpace, events
from langchain_qwen_space.options import SYNONYMS, CallOptions

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
BEGIN, END = "<!-- made by scripts/make_reference.py -->", "<!-- end -->"
FROM_THE_ENVIRONMENT = {
    "space": "`QWEN_SPACE`, else `Qwen/Qwen2.5`",
    "hf_token": "`HF_TOKEN`, else as in [Environment variables](environment.md)",
    "proxy": "`QWEN_SPACE_PROXY`",
}


def settings() -> str:
    """The table of the fields of `ChatQwenSpace`."""
    described = _docstrings(ChatQwenSpace)
    rows = ["| setting | default | per call | description |", "| --- | --- | --- | --- |"]
    for name, field in ChatQwenSpace.model_fields.items():
        if name in BaseChatModel.model_fields:
            continue
        default = FROM_THE_ENVIRONMENT.get(
            name, f"`{field.get_default(call_default_factory=True)!r}`"
        )
        per_call = "yes" if name in CallOptions.model_fields else ""
        text = described[name] + _other_names(name)
        rows.append(f"| `{name}` | {default} | {per_call} | {text} |")
    return "\n".join(rows)


def call_settings() -> str:
    """The table of the keywords that only a call has."""
    described = _attributes(CallOptions)
    rows = ["| keyword | description |", "| --- | --- |"]
    rows += [
        f"| `{name}` | {described[name]}{_other_names(name)} |"
        for name in CallOptions.model_fields
        if name not in ChatQwenSpace.model_fields and name != "ignored"
    ]
    return "\n".join(rows)


def _other_names(name: str) -> str:
    """A sentence that names a setting as other chat models do; "" if none does."""
    others = [f"`{other}`" for other, own in SYNONYMS.items() if own == name]
    return f" Also {', '.join(others)}." if others else ""


def event_classes() -> str:
    """The table of the events of a call."""
    rows = [
        "| class | name of the custom event | fields | description |",
        "| --- | --- | --- | --- |",
    ]
    for kind in vars(events).values():
        if not (isinstance(kind, type) and issubclass(kind, events.SpaceEvent)):
            continue
        if kind is events.SpaceEvent:
            continue
        names = ", ".join(f"`{field.name}`" for field in fields(kind)) or "none"
        first = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
        rows.append(f"| `{kind.__name__}` | `{kind.name}` | {names} | {_line(first)} |")
    return "\n".join(rows)


def page(name: str) -> str:
    """The text of a page with its tables as they are in the code."""
    tables = {"settings.md": [settings(), call_settings()], "events.md": [event_classes()]}[name]
    text = (REFERENCE / name).read_text(encoding="utf-8")
    remaining = iter(tables)
    return re.sub(
        f"{BEGIN}.*?{END}",
        lambda _: f"{BEGIN}\n\n{next(remaining)}\n\n{END}",
        text,
        flags=re.DOTALL,
    )


def _docstrings(kind: type) -> dict[str, str]:
    """The docstrings below the fields of a class, each on one line."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    assert isinstance(tree.body[0], ast.ClassDef)
    body = tree.body[0].body
    return {
        field.target.id: _line(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _attributes(kind: type) -> dict[str, str]:
    """The entries of the section "Attributes" of a class's docstring, each on one line."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
    return {name: _line(text) for name, text in zip(entries[::2], entries[1::2], strict=True)}


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip().replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    for name in ("settings.md", "events.md"):
        text = page(name)
        (REFERENCE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
