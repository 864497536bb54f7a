"""Finds words that the project does not use, in everything that a person can read.

    python scripts/check_words.py [FILE …]

Without files, it checks all that git tracks: pages, notebooks, and of Python code the comments,
docstrings, messages and names of tests. It prints each place with what to write instead, and exits
with 1 if there is any. Text between backticks is a name in code and is not checked.
"""

import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = {
    r"mend(s|ed|ing)?": "fix",
    r"on (this|our|the caller's) side": "client-side",
    r"(ended|ends|end) (it |the call |a call )?on the Space": "cancelled, cancels",
    r"(made|make|makes) (it )?again(?! with)": "retried, retries",
    r"(made |begins? |began )?anew": "again, from scratch",
    r"(tells?|told) of": "reports, describes, mentions",
    r"(is|are|was|were|be|been) told": "is given, is notified, receives",
    r"of one's own": "your own …, a separate …",
    r"of (yours|ours|theirs)": "your",
    r"(it|this|that|which|value|text|name) (is|was) no(?! (longer|more|less|other|need|room"
    r"|way|such|limit|answer|chat|model|token|network|script))": "is not a, does not have a",
    r"(goes|go|went|going) on(?! strike)": "continues, resumes",
    r"farewells?": "cancellation, cancel request",
    r"goodbye": "cancel request",
    r"last word": "completes",
    r"parted": "separated",
    r"(shewn|hither|thereof|wherein|lest|whoever|whichever way)": "plain English",
    r"stands? still": "stalls",
    r"misses nothing": "plain English",
    r"the hub(?! API)": "the Hub API",
    r"a hub(?! API)": "a server with the Hub API",
    r"(?<![.{])fragments?": "chunk, piece",
    r"(is|was|are|were) understood": "detected, read",
    r"words of its own": "its own words",
    r"for ever": "forever",
    r"echo: ": "a real question",
}
SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".toml", ".yml", ".ipynb"}
SKIPPED = (
    "scripts/check_words.py",
    "CHANGELOG.md",
    "LICENSE",
    "vendor/",
    "tests/wire/",
    "test_words.py",
)
_FOUND = {
    re.compile(rf"\b{words.replace(' ', ' +')}\b", re.IGNORECASE): instead
    for words, instead in WORDS.items()
}
_DEMO = re.compile(r"\becho: ")
ECHO_IN = ("docs/", "README.md", "notebooks/")


def prose(name: str, text: str) -> Iterator[tuple[int, str]]:
    """The parts of a file that a person reads, each with the line that it begins on."""
    if name.endswith(".ipynb"):
        for number, cell in enumerate(json.loads(text)["cells"], 1):
            source = "".join(cell["source"])
            parts = [(1, source)] if cell["cell_type"] == "markdown" else python(source)
            yield from ((number, part) for _, part in parts)
    elif name.endswith(".py"):
        yield from python(text)
    else:
        yield 1, text


def python(text: str) -> Iterator[tuple[int, str]]:
    """The comments and strings of Python code, and the names of its tests."""
    text = re.sub(r"^(\s*)[%!].*$", r"\1pass", text, flags=re.MULTILINE)  # a notebook's commands
    previous = ""
    comment: list[str] = []  # neighbouring lines, of which the first is `first`
    first = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kinds = (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1))
        if token.type == tokenize.COMMENT:
            if comment and token.start[0] != first + len(comment):
                yield first, "\n".join(comment)
                comment = []
            first = first if comment else token.start[0]
            comment.append(token.string)
        elif token.type in kinds:
            yield token.start[0], token.string
        elif token.type == tokenize.NAME and previous == "def" and token.string.startswith("test_"):
            yield token.start[0], token.string.replace("_", " ")
        previous = token.string
    yield first, "\n".join(comment)


def check(name: str, text: str) -> Iterator[str]:
    """What to write otherwise in a file, a line each."""
    for start, part in prose(name, text):
        shown = re.sub(r"`[^`\n]*`", lambda code: " " * len(code[0]), part)
        shown = re.sub(
            r"```.*?```", lambda code: re.sub(r"[^\n]", " ", code[0]), shown, flags=re.DOTALL
        )
        # A phrase may run over a line; the other line then begins with blanks, # or quotes.
        flat = re.sub(r"(?<=\w)\n[ \t#>\"']*(?=\w)", lambda gap: "\n".ljust(len(gap[0])), shown)
        for pattern, instead in _FOUND.items():
            spaced = re.sub(r"\s", " ", flat)
            for match in pattern.finditer(spaced):
                if "echo" in pattern.pattern and not name.startswith(ECHO_IN):
                    continue
                line = start + (
                    0 if name.endswith(".ipynb") else part.count("\n", 0, match.start())
                )
                yield f"{name}:{line}: {match[0]!r}; write: {instead}"


def main() -> int:
    """Check the files that are named, or all that git tracks."""
    names = sys.argv[1:]
    if not names:
        command = ["git", "ls-files"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        names = listed.stdout.splitlines()
    found = 0
    for name in names:
        if Path(name).suffix not in SUFFIXES or any(part in name for part in SKIPPED):
            continue
        for line in check(name, (ROOT / name).read_text(encoding="utf-8")):
            found += 1
            print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
