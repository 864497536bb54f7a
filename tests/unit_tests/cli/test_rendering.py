from contextlib import suppress

import pytest
from rich.console import Console

from langchain_qwen_space.cli.rendering import AnswerDisplay
from langchain_qwen_space.local.demo import MARKDOWN
from tests.unit_tests.cli.screen import Screen


def display_on(screen: Screen) -> AnswerDisplay:
    console = Console(
        file=screen,
        force_terminal=True,
        width=screen.columns,
        height=screen.rows,
        color_system=None,
        markup=False,
    )
    display = AnswerDisplay(console)
    display._live.auto_refresh = False
    return display


def stream(display: AnswerDisplay, text: str, final: str | None = None) -> None:
    with display:
        for size in range(0, len(text), 7):
            display.add(text[size : size + 7])
            display._next_look = display._next_drawing = 0.0  # no drawing is left out
            display._live.refresh()
        display.finish(text if final is None else final)


def written(text: str, columns: int = 60) -> list[str]:
    """What a person sees of an answer in the end."""
    screen = Screen(columns)
    stream(display_on(screen), text)
    return screen.lines


def test_an_answer_is_seen_while_it_grows():
    screen = Screen()
    with display_on(screen) as display:
        display.add("Hel")
        display._live.refresh()
        assert screen.window[0] == "Hel"
        display.add("lo")
        display._next_drawing = 0.0
        display._live.refresh()
        assert screen.window[0] == "Hello"
        display.finish("Hello")
    assert screen.lines == ["Hello"]


@pytest.mark.parametrize("columns", [60, 12])
@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(str, range(1, 30))),
        "\n\n".join(f"paragraph {number}" for number in range(1, 20)),
        "```python\n" + "\n".join(f"x = {number}" for number in range(1, 30)) + "\n```\nend",
        "\n".join(f"- item {number}" for number in range(1, 30)),
        MARKDOWN,
        "你好，世界。" * 20,
    ],
    ids=["lines", "paragraphs", "code", "list", "markdown", "chinese"],
)
def test_the_scrollback_holds_each_line_once_however_long_the_answer_is(text, columns):
    high = Screen(columns, 300)  # where nothing scrolls
    with display_on(high) as display:
        display.add(text)
    low = Screen(columns, 8)
    stream(display_on(low), text)
    assert low.lines == high.lines


def test_a_terminal_that_finds_an_emoji_wider_than_we_do_shows_no_line_twice():
    thumb = "\N{THUMBS UP SIGN}"
    text = f"{thumb}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}" * 20  # two cells here, four there
    screen = Screen(50, 8)
    stream(display_on(screen), text)
    assert "".join(screen.lines).count(thumb) == 20


def test_what_is_waited_for_is_reported_until_the_answer_begins():
    screen = Screen()
    with display_on(screen) as display:
        display.wait("3 before you, about 9 s")
        display._live.refresh()
        assert "3 before you, about 9 s" in screen.window[0]
        display.add("Hello")
        display._live.refresh()
        assert "before you" not in screen.window[0]
    assert screen.lines == ["Hello"]


def test_nothing_stays_where_nothing_came():
    screen = Screen()
    with display_on(screen) as display:
        display.wait("Looking")
        display._live.refresh()
    assert screen.lines == [""]


def test_what_came_stays_when_the_answer_breaks_off():
    screen = Screen()
    with suppress(RuntimeError), display_on(screen) as display:
        display.add("one\n\ntwo\n\nthr")
        raise RuntimeError
    assert screen.lines == ["one", "", "two", "", "thr"]


def test_a_remark_stands_above_the_answer():
    screen = Screen()
    with display_on(screen) as display:
        display.add("Hello")
        display._live.refresh()
        display.note("The app says: \x1b[31mcare")
    assert screen.lines == ["The app says: [31mcare", "Hello"]


def test_no_answer_steers_the_terminal():
    hostile = "a\x1b]0;title\x07b\x9b2Jc\x08d\r\nlast"
    assert written(hostile) == ["a]0;titleb2Jcd", "last"]


def test_a_space_that_changed_its_mind_before_a_block_was_printed_is_shown_as_it_ended():
    screen = Screen()
    stream(display_on(screen), "- a\n- b", final="- a\n  - b")
    assert screen.lines == [" • a", "    • b"]


def test_a_space_that_changed_what_is_printed_has_its_answer_printed_again():
    screen = Screen()
    stream(display_on(screen), "- a\n- b\n\nend\n", final="- a\n  - b\n\nend")
    assert screen.lines[-3:] == ["    • b", "", "end"]
    assert "The whole answer again" in " ".join(screen.lines)


def test_a_change_that_nobody_would_see_is_not_told():
    screen = Screen()
    stream(display_on(screen), "one  \n\ntwo\n", final="one\n\ntwo")
    assert screen.lines == ["one", "", "two"]
