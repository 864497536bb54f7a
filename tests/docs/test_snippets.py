"""Every snippet of the README and the pages works: the ones in Python run, the others are read.

Python blocks of a page run in their order and share their names. `ChatQwenSpace()` asks a Space on
this machine, since `QWEN_SPACE` names it here. A `text` block right after one is what it prints,
where `...` stands for anything. A block that cannot run here bears its reason in a comment,
`<!-- not run: … -->`; pytest lists these as skipped.
"""

import ast
import asyncio
import doctest
import inspect
import io
import json
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout

import pytest
import yaml

from tests.docs import shell
from tests.docs.snippets import PAGES, ROOT, Snippet, snippets

ALL = [snippet for page in PAGES for snippet in snippets(page)]
NOT_RUN = [snippet for snippet in ALL if snippet.not_run]
WITH_PYTHON = sorted({snippet.page for snippet in ALL if snippet.language == "python"})
READ = {
    "sh": shell.check,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "text": str,
}


@pytest.fixture(scope="module")
def _local_space_by_default() -> Iterator[None]:
    command = [sys.executable, "-m", "tests.docs.answers", "0"]  # as the first tutorial says
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as served,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            assert served.stdout is not None
            said = served.stdout.readline()
            patch.setenv("QWEN_SPACE", re.findall(r"http://127\.0\.0\.1:\d+", said)[0])
            yield
        finally:
            served.send_signal(signal.SIGINT)
    assert served.returncode == 0


def run(snippet: Snippet, names: dict[str, object]) -> str:
    """Runs a block and gives what it printed, and one newline after it.

    `await` at its top is that of a notebook.
    """
    place = "\n" * (snippet.line - 1) + snippet.text  # a traceback names the line of the page
    code = compile(place, snippet.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with redirect_stdout(printed):
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return printed.getvalue().rstrip("\n") + "\n"


@pytest.mark.timeout(300)  # some pages start servers of their own
@pytest.mark.parametrize("page", WITH_PYTHON)
@pytest.mark.usefixtures("_local_space_by_default")
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")  # of loads
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a snippet may write files
    names: dict[str, object] = {"__name__": "__main__"}
    for snippet in snippets(page):
        if snippet.language != "python" or snippet.not_run:
            continue
        printed = run(snippet, names)
        assert ("print(" in snippet.text) == bool(printed.strip()), snippet.place
        if snippet.output is not None:
            checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
            example = doctest.Example(snippet.text, snippet.output)
            assert checker.check_output(snippet.output, printed, flags), (
                f"{snippet.place}: {checker.output_difference(example, printed, flags)}"
            )


@pytest.mark.parametrize("page", PAGES)
def test_the_other_snippets_of_a_page_are_what_they_say(page):
    for snippet in snippets(page):
        if snippet.language == "python":
            ast.parse(snippet.text)
        if snippet.language == "python" or snippet.not_run:
            continue
        assert snippet.language in READ, f"{snippet.place} is in no language that is known here"
        try:
            READ[snippet.language](snippet.text)
        except ValueError as error:
            pytest.fail(f"{snippet.place}: {error}")


@pytest.mark.parametrize("snippet", NOT_RUN, ids=lambda snippet: snippet.place)
def test_a_snippet_that_is_not_run_says_why(snippet):
    assert len(snippet.not_run.split()) >= 3
    pytest.skip(f"{snippet.place} is not run: {snippet.not_run}")


def test_a_block_knows_its_output_and_why_it_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.docs.snippets.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(
        "words\n\n<!-- not run: no network -->\n```python\na\n```\n\n```text\nb\n```\n\n"
        "```python\nc\n```\n\n1. item\n\n    <!-- not run: no reason -->\n    ```sh\n    d\n    ```\n"
    )
    first, output, last, indented = snippets("page.md")
    assert (first.line, first.not_run, first.output) == (5, "no network", "b\n")
    assert (indented.text, indented.not_run) == ("d\n", "no reason")
    assert (output.language, last.text, last.not_run, last.output) == ("text", "c\n", None, None)
