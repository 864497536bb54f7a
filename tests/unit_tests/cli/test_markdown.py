import io
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from langchain_qwen_space.cli.common import console
from langchain_qwen_space.cli.markdown import AnswerMarkdown, finished

LINES = [
    "text",
    "more *text*",
    "",
    "",
    "- one",
    "  - two",
    "1. first",
    "2. second",
    "10) tenth",
    "# head",
    "===",
    "---",
    "```python",
    "```",
    "~~~",
    "    indented",
    "> said",
    "| a | b |",
    "|---|---|",
    "[1]: http://example.org",
    "<div>",
    "\tx",
]
documents = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


def shown(text: str, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(AnswerMarkdown(text))
    return console.file.getvalue()


def blocks(text: str) -> list[tuple[str, str]]:
    return [
        (token.type, token.content)
        for block in AnswerMarkdown(text).blocks
        for token in block.parsed
    ]


@settings(max_examples=300, deadline=None)
@given(documents, documents)
def test_what_is_finished_means_the_same_whatever_follows(begin, end):
    text = begin + end
    size = finished(begin)
    assert blocks(begin[:size]) + blocks(text[size:]) == blocks(text)


def test_a_block_is_finished_once_another_one_has_begun():
    assert finished("one\n\ntwo") == 0  # two may still become "two\n===", or a list
    assert finished("one\n\ntwo\n") == len("one\n\n")
    assert finished("```\none\n\ntwo\n") == 0
    assert finished("") == 0


@pytest.mark.parametrize(
    "text",
    [
        "<think>so</think>",
        "<div>\nhello\n</div>",
        r"\(x_1 + x_2\) and \[\frac{a}{b}\]",
        "[1]: http://example.org",
        "![a picture](http://example.org/picture)",
        "[a link](http://example.org/link)",
        "[x] & [bold]red[/bold] :smile:",
    ],
)
def test_nothing_is_hidden(text):
    told = shown(text)
    for word in filter(None, text.replace("(", " ").replace(")", " ").replace("[a", "").split()):
        assert word.strip("![]") in told


def test_lines_end_where_they_end_in_the_text():
    assert [line.rstrip() for line in shown("one\ntwo").splitlines()] == ["one", "two"]


TABLE = """\
| planet | number of moons | somethinglongerthanitscolumn |
| --- | ---: | --- |
| Earth | 1 | incomprehensibilities |
| Mars | 2 | x |
"""


@pytest.mark.parametrize("width", [80, 40, 24, 12, 5])
def test_no_cell_of_a_table_is_cut_off_however_narrow_the_window_is(width):
    told = shown(TABLE, width)
    assert all(len(line) <= width for line in told.splitlines())
    letters = Counter(letter for letter in TABLE if letter.isalnum())
    assert letters <= Counter(told)
    assert "…" not in told


def test_a_table_in_a_narrow_window_is_shown_row_by_row():
    assert "planet: Earth" in shown(TABLE, 22)


def test_a_table_without_rows_is_its_headings():
    assert "planet" in shown("| planet |\n| --- |\n")


@settings(max_examples=200, deadline=None)
@given(st.text("ab  \n\n\n*_#>-+.)([]<!\\:`~", max_size=60))
def test_every_letter_of_any_text_is_shown(text):
    fences = re.findall(r"(?:```|~~~)[^\n]*", text)  # these name a language, which is not shown
    told = Counter(shown(text, 20))
    for letter in "ab":
        hidden = sum(fence.count(letter) for fence in fences)
        assert told[letter] >= text.count(letter) - hidden


def test_any_number_of_nested_quotations_is_shown():
    assert "deep" in shown("> " * 30 + "deep")


def test_headings_are_at_the_left():
    lines = shown("# First\n\n## Second\n\nText", 200).split("\n")
    assert [line.rstrip() for line in lines] == [
        "First",
        "",
        "Second",
        "",
        "Text",
        "",
    ]


def test_no_color_of_text_is_hard_to_see_on_a_light_or_a_dark_terminal(monkeypatch):
    """Yellow and cyan are faint on white, blue is on black; with a background they are not."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    out = console()
    everything = [
        *(f"{'#' * level} head" for level in range(1, 7)),
        "1. one\n- two",
        "| a |\n| - |\n| b |",
        "***",
        "> quoted",
        "[link](https://example.org/) `code` **b** *i* ~~s~~",
    ]
    faint = [
        segment.text
        for segment in out.render(AnswerMarkdown("\n\n".join(everything)))
        if segment.style and segment.style.color and not segment.style.bgcolor
        if segment.style.color.name in ("yellow", "cyan", "blue", "bright_blue", "bright_yellow")
    ]
    assert faint == []
