"""Finds words that the project does not use, in everything that a person can read.

    python scripts/check_words.py

Prints each place with the word to use instead, and exits with 1 if there is any. Each pattern is a
regular expression, matched without regard to case.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bon (this|our|the caller's) side\b": "client-side",
    r"\b(ended|ends|end) (it |the call |a call )?on the Space\b": "cancelled, cancels",
    r"\b(made|makes|make|is made) (it )?again\b": "retried, retries, made once more",
    r"\bmade anew\b|\banew\b": "again, from scratch",
    r"\b(tells?|told) of\b": "reports, describes, mentions",
    r"\b(is|are|was) told\b": "is given, is notified",
    r"\bof (one's|your|their|our|its) own\b": "your own …, a separate …",
    r"\bof (yours|ours|theirs)\b": "your",
    r"\b(it|this|that|which|value|text|name) (is|was) no\b(?! longer| more| less| other)": "is not a",
    r"\bgoes? on\b(?! strike)": "continues, resumes",
    r"\blooks? after\b": "checks, manages",
    r"\bas it was given\b": "as given",
    r"\bfarewells?\b": "cancellation",
    r"\bgoodbye\b": "cancel",
    r"\bsays? its last word\b|\blast word\b": "completes",
    r"\bparted (off|from|by|as)?\b": "separated",
    r"\bso many\b(?! as)": "that many",
    r"\bhow to say so\b": "report",
    r"\bshewn\b|\bhither\b|\bthereof\b|\bwherein\b|\blest\b": "plain English",
    r"\bpatience\b": "limit, timeout",
    r"\bstand(s)? still\b": "stalls",
    r"\bmisses nothing\b": "plain English",
    r"\becho: ": "a real question",
}
CODE = {"ECHO"}  # nothing here
SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".toml", ".yml", ".ipynb"}
SKIPPED = ("scripts/check_words.py", "CHANGELOG.md", "LICENSE", "vendor/", "tests/wire/")
ECHO_IN = ("docs/", "README.md", "notebooks/")


def text_of(path: Path) -> str:
    """What a person reads in a file: of a notebook, its sources."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


def main() -> int:
    """Look through every file that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    found = 0
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix not in SUFFIXES or any(part in name for part in SKIPPED):
            continue
        text = text_of(path)
        for pattern, instead in WORDS.items():
            if "echo" in pattern and not name.startswith(ECHO_IN):
                continue
            for match in re.finditer(pattern, text, re.IGNORECASE):
                found += 1
                line = text.count("\n", 0, match.start()) + 1
                print(f"{name}:{line}: {match[0]!r}; say: {instead}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
