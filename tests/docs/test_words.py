"""`scripts/check_words.py` finds words in what a person reads, and only there."""

import json

import pytest

from scripts.check_words import check


@pytest.mark.parametrize(
    "text",
    [
        "# it is made again\n",
        'def f():\n    """The call goes on."""\n',
        'raise ValueError("It is no number")\n',
        "def test_a_failure_is_told(): ...\n",
        "# a value is made\n# again later\n",
    ],
)
def test_a_word_in_a_comment_a_docstring_a_message_or_a_name_of_a_test_is_found(text):
    assert len(list(check("package/module.py", text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "goes_on = fragments(mend)\n",
        "# `join_fragments` is a name\n",
        "# a call that is not retried, and a value that is no longer used\n",
    ],
)
def test_names_in_code_and_plain_words_are_not(text):
    assert not list(check("package/module.py", text))


def test_a_page_and_the_cells_of_a_notebook_are_read():
    cells = [
        {"cell_type": "markdown", "source": ["The call ", "goes on."]},
        {"cell_type": "code", "source": ["%pip install x\n", "fragments = 1  # of yours\n"]},
    ]
    assert len(list(check("page.md", "A Space of yours\n"))) == 1
    found = list(check("notebooks/a.ipynb", json.dumps({"cells": cells})))
    assert [line.split(":")[1] for line in found] == ["1", "2"]


def test_the_line_is_that_of_the_word():
    assert next(check("page.md", "one\ntwo\nwhat was told\n")).startswith("page.md:3: ")
