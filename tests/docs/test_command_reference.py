"""The reference of the command is what the command says."""

from scripts.make_command_reference import PAGE, page


def test_the_page_is_current():
    """If it is not: python scripts/make_command_reference.py."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_option_and_command_is_there_with_a_meaning():
    text = page()
    for part in (
        "## qwen-space log",
        "| `-m`, `--model NAME` | The model;",
        "`--json`",
        "[PROMPT]",
    ):
        assert part in text
    assert "|  |" not in text
