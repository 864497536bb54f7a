"""The fenced blocks of the README and of the pages under `docs/`, read as CommonMark."""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"))
)
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")


@dataclass(frozen=True)
class Snippet:
    """A fenced block."""

    page: str
    line: int
    """The number of its first line of text, counted from 1."""
    language: str
    text: str
    not_run: str | None
    """Why it is not run: what the comment `<!-- not run: … -->` right before it says."""
    output: str | None
    """What it prints: the `text` block right after it."""

    @property
    def place(self) -> str:
        """Where it stands, "docs/reference/errors.md:12"."""
        return f"{self.page}:{self.line}"


def snippets(page: str) -> list[Snippet]:
    """The blocks of a page, in its order."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    return [
        _snippet(page, before, token, after)
        for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False)
        if token.type == "fence" and not token.info.startswith("{")  # one of Sphinx's directives
    ]


def _snippet(page: str, before: Token | None, token: Token, after: Token | None) -> Snippet:
    assert token.map is not None
    reason = (
        _NOT_RUN.fullmatch(before.content.strip())
        if before and before.type == "html_block"
        else None
    )
    shows_output = after is not None and after.type == "fence" and after.info == "text"
    return Snippet(
        page=page,
        line=token.map[0] + 2,
        language=token.info.strip(),
        text=token.content,
        not_run=reason[1] if reason else None,
        output=after.content if after is not None and shows_output else None,
    )
