"""Markdown for a terminal: nothing that the answer holds may be missing from what is shown."""

from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement, TableElement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_DEEPEST = 16  # levels; the parser leaves out what is below 20
_NARROW = 8  # cells; a table with narrower columns is shown row by row

# What these rules read would not be shown: tags of HTML, link definitions, the backslashes of
# formulas, the addresses of images.
_HIDING = ["html_block", "html_inline", "reference", "escape", "image"]


def _parser() -> MarkdownIt:
    return MarkdownIt().enable(["strikethrough", "table"]).disable(_HIDING)


def finished(text: str) -> int:
    """How many characters at the beginning will look the same whatever comes after `text`.

    Those are its blocks but the last, as whole lines only are looked at: the structure of Markdown
    is settled line by line, and a block that was followed by another one is closed (CommonMark 0.31,
    appendix "A parsing strategy").
    """
    lines = text[: text.rfind("\n") + 1].split("\n")
    starts = [
        token.map[0]
        for token in _parser().parse("\n".join(lines))
        if token.level == 0 and token.map is not None
    ]
    return sum(len(line) + 1 for line in lines[: starts[-1]]) if starts else 0


class _WholeTable(TableElement):
    """A table that cuts no cell off, however narrow the window is."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        head = self.header.row if self.header is not None else None
        headings = [cell.content for cell in head.cells] if head is not None else []
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        if rows and options.max_width // max(1, len(headings)) < _NARROW:
            yield from _told_row_by_row(headings, rows)
            return
        table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, collapse_padding=True)
        for heading in headings:
            table.add_column(heading, overflow="fold", header_style="markdown.table.header")
        for row in rows:
            table.add_row(*row)
        yield table


def _told_row_by_row(headings: list[Text], rows: list[list[Text]]) -> RenderResult:
    for row in rows:
        for heading, cell in zip(headings, row, strict=False):
            yield Text.assemble(heading, ": ", cell)
        yield Text()


class _Heading(Heading):
    """A heading at the left; in the middle of a wide window it would be lost."""

    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _Block(Markdown):
    """One block of an answer, as the parser read it."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "table_open": _WholeTable,
    }

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = tokens
        for token in tokens:
            for child in token.children or ():
                if child.type == "softbreak":  # the page of a Space shows it as a new line, too
                    child.type = "hardbreak"


def _block(tokens: list[Token], lines: list[str]) -> _Block | Text:
    """A block; one that is nested too deeply to have room is shown as it was written."""
    if max(token.level for token in tokens) < _DEEPEST:
        return _Block(tokens)
    begin, end = tokens[0].map or (0, len(lines))
    return Text("\n".join(lines[begin:end]))


class AnswerMarkdown:
    """An answer as Markdown; links show their addresses, and lines end where they end in the text.

    Blocks are set apart by one empty line each, so that an answer looks the same whether it is
    printed whole or block by block.

    Args:
        text: The answer, without control characters.
    """

    def __init__(self, text: str) -> None:
        tokens = _parser().parse(text)
        ends = [
            index
            for index, token in enumerate(tokens, 1)
            if token.level == 0 and token.nesting != 1
        ]
        lines = text.split("\n")
        self.blocks = [
            _block(tokens[start:end], lines) for start, end in zip([0, *ends], ends, strict=False)
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The rendered blocks."""
        apart = False
        for block in self.blocks:
            lines = console.render_lines(block, options, pad=False)
            written = [index for index, line in enumerate(lines) if not _is_blank(line)]
            if not written:
                continue
            if apart:
                yield Segment.line()
            apart = True
            for line in lines[written[0] : written[-1] + 1]:
                yield from line
                yield Segment.line()


def _is_blank(line: list[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)
