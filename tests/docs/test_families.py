"""The tests that the page of the families names are there, for every family of its first table."""

import re
import subprocess
import sys

from tests.docs.snippets import ROOT

PAGE = (ROOT / "docs/reference/families.md").read_text(encoding="utf-8")
NAMED = dict(re.findall(r"^- `?([\w ]+?)`?:\s+`(tests/\S+::\w+)`", PAGE, re.MULTILINE))
ALSO = {"tools": re.findall(r"^  and `(tests/\S+::\w+)`", PAGE, re.MULTILINE)}


def tables() -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in blocks
    ]


def test_each_cell_names_a_test_that_exists():
    families, _, (head, _, *rows) = tables()
    assert len(rows) == len(families[2:])
    named = []
    for _, *cells in rows:
        for column, cell in zip(head[1:], cells, strict=True):
            for code in re.findall(r"`([^`]+)`", cell):
                short, _, parameter = code.rpartition("[")
                tests = [NAMED[short or column], *ALSO.get(short or column, ())]
                named += [f"{test}[{parameter.removesuffix(']')}" for test in tests]
    files = sorted({name.partition("::")[0] for name in named})
    options = ("--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    there = done.stdout.splitlines()
    missing = [
        name
        for name in named
        if not any(line.startswith((f"{name}]", f"{name}-")) for line in there)
    ]
    assert len(named) > 5 * len(rows)
    assert missing == []


def test_no_cell_is_empty_but_the_prompt_of_a_model_that_is_not_known():
    families, _, (_, _, *rows) = tables()
    assert all(all(row) for row in families)
    assert [row[0] for row in rows if not all(row)] == ["any other"]
