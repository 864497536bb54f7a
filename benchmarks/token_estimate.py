"""How far the token estimate is from Qwen's own tokenizer, by kind of text.

Reads text that is on this machine anyway: Python's library, the packages of this environment, and
the message catalogues of Linux programs in /usr/share/locale. More can be given:

    python benchmarks/token_estimate.py --text "Chinese book=book-zh.txt.gz"

Needs the extra `tokens`. For each kind it prints the error of the total, and the root mean square
of the errors of single texts of about 2,000 characters; then how fast both counters are.
"""

import argparse
import ast
import gettext
import gzip
import math
import random
import resource
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from langchain_qwen_space.qwen.tokens import Estimate, TokenCounter, load

CHARACTERS = 2_000  # of one text
TEXTS = 150  # of one kind
LOCALES = Path("/usr/share/locale")
LANGUAGES = {
    "Chinese, simplified": "zh_CN",
    "Chinese, traditional": "zh_TW",
    "Japanese": "ja",
    "Korean": "ko",
    "Vietnamese": "vi",
    "Thai": "th",
    "Russian": "ru",
    "Ukrainian": "uk",
    "Arabic": "ar",
    "Hebrew": "he",
    "Greek": "el",
    "Hindi": "hi",
    "Tamil": "ta",
    "French": "fr",
    "Spanish": "es",
    "Portuguese": "pt_BR",
    "German": "de",
    "Italian": "it",
    "Indonesian": "id",
    "Polish": "pl",
    "Turkish": "tr",
    "Hungarian": "hu",
    "Finnish": "fi",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--text", action="append", default=[], metavar="KIND=FILE", help="plain text, may be .gz"
    )
    files: list[str] = parser.parse_args().text

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    tokenizer = load()
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if tokenizer.source != "tokenizer":
        sys.exit("Install the tokenizer first: pip install 'langchain-qwen-space[tokens]'")
    print(f"tokenizer loaded in {seconds:.2f} s and {memory / 1024:.0f} MiB\n")

    print(f"{'kind of text':28}{'tokens':>9}{'chars/token':>13}{'total':>9}{'rms':>8}")
    everything = []
    for kind, texts in kinds(files):
        sample = list(texts)
        if sample:
            everything += sample
            report(kind, sample, tokenizer)
    print()
    for counter in (tokenizer, Estimate()):
        speed(counter, everything)


def report(kind: str, texts: list[str], tokenizer: TokenCounter) -> None:
    """Print one line of the table."""
    estimate = Estimate()
    pairs = [(tokenizer.count(text), estimate.count(text)) for text in texts]
    true, guess = (sum(column) for column in zip(*pairs, strict=True))
    rms = math.sqrt(sum((g / t - 1) ** 2 for t, g in pairs) / len(pairs))
    density = sum(map(len, texts)) / true
    print(f"{kind:28}{true:9,}{density:13.2f}{guess / true - 1:+9.1%}{rms:8.1%}")


def speed(counter: TokenCounter, texts: list[str]) -> None:
    """Print how fast a counter is."""
    began = time.perf_counter()
    tokens = sum(map(counter.count, texts))
    seconds = time.perf_counter() - began
    characters = sum(map(len, texts))
    print(
        f"{counter.source}: {tokens / seconds / 1e6:.1f} million tokens, "
        f"{characters / seconds / 1e6:.1f} million characters a second"
    )


def kinds(files: Iterable[str]) -> Iterator[tuple[str, Iterator[str]]]:
    """All kinds of text, each a random sample that is the same in every run."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = Path(sysconfig.get_path("purelib"))
    yield "English: docstrings", pick(docstrings(sorted(library.glob("*.py"))))
    yield "English: READMEs", pick(readmes(sorted(packages.glob("*.dist-info/METADATA"))))
    yield "English: licences", pick(contents(packages, "*.dist-info/**/LICEN[CS]E*"))
    yield "code: Python", pick(contents(library, "*.py"))
    yield "code: JavaScript", pick(contents(packages, "**/*.js"))
    yield "code: C", pick(contents(Path("/usr/include"), "*.h"))
    yield "JSON", pick(contents(packages, "**/*.json"))
    for language, code in LANGUAGES.items():
        yield f"{language}: messages", pick(messages(code))
    for given in files:
        kind, _, file = given.partition("=")
        yield kind, pick([read(Path(file))])


def pick(sources: Iterable[str]) -> Iterator[str]:
    """A sample of all sources, in texts of CHARACTERS."""
    texts = [
        source[at : at + CHARACTERS]
        for source in sources
        for at in range(0, len(source) - CHARACTERS // 2, CHARACTERS)
    ]
    random.Random(0).shuffle(texts)
    yield from texts[:TEXTS]


def read(file: Path) -> str:
    """The text of a file, "" if it is not UTF-8."""
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""


def contents(folder: Path, pattern: str) -> Iterator[str]:
    """Files, of which big ones count with their beginning only, so that none outweighs the rest."""
    for file in sorted(folder.glob(pattern)):
        if file.is_file():
            yield read(file)[: 10 * CHARACTERS]


def docstrings(files: Iterable[Path]) -> Iterator[str]:
    """The docstrings of each file, one after the other."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    for file in files:
        nodes = ast.walk(ast.parse(read(file)))
        found = (ast.get_docstring(node) for node in nodes if isinstance(node, documented))
        yield "\n\n".join(filter(None, found))


def readmes(files: Iterable[Path]) -> Iterator[str]:
    """The descriptions of installed packages."""
    for file in files:
        yield read(file).partition("\n\n")[2]


def messages(code: str) -> Iterator[str]:
    """What programs say in a language, whole sentences only."""
    for file in sorted(LOCALES.glob(f"{code}/LC_MESSAGES/*.mo")):
        with file.open("rb") as opened:
            try:
                catalogue = gettext.GNUTranslations(opened)._catalog  # type: ignore[attr-defined]
            except (OSError, UnicodeDecodeError):
                continue
        said = (text for key, text in catalogue.items() if key and isinstance(text, str))
        yield "\n".join(text for text in said if len(text) > 30)[: 10 * CHARACTERS]


if __name__ == "__main__":
    main()
