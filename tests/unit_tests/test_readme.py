"""The README tells the truth: its snippets run, and its tables name all that there is."""

import inspect
import re
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel

from langchain_qwen_space import ChatQwenSpace, QwenSpaceError, errors
from langchain_qwen_space.local import LocalSpace

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SNIPPETS = {
    f"line {README.count(chr(10), 0, found.start(1)) + 1}": (found.start(1), found[1])
    for found in re.finditer(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
}


@pytest.fixture(scope="module")
def _local_space_by_default():
    with LocalSpace() as space, pytest.MonkeyPatch.context() as patch:
        patch.setenv("QWEN_SPACE", space.url)
        yield


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading, by the name in their first cell."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`.*?\| (.*) \|$", section, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in rows}


@pytest.mark.parametrize("name", SNIPPETS)
@pytest.mark.usefixtures("_local_space_by_default")
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")  # of loads
def test_each_snippet_runs_as_a_program(name, capsys):
    start, source = SNIPPETS[name]
    before = "\n" * README.count("\n", 0, start)  # a traceback names the line of the README
    exec(compile(before + source, "README.md", "exec"), {"__name__": "__main__"})
    assert ("print(" in source) == bool(capsys.readouterr().out.strip())


def test_the_settings_are_all_there_with_their_defaults():
    fields = ChatQwenSpace.model_fields
    own = fields.keys() - BaseChatModel.model_fields.keys()
    rows = table("Settings")
    assert rows.keys() == own
    for name, (default, *_) in rows.items():
        value = fields[name].get_default(call_default_factory=True)
        if name not in ("space", "hf_token", "proxy"):  # these come from the environment
            assert default == f"`{value!r}`", name


def test_the_errors_are_all_there():
    classes = {
        name
        for name, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, QwenSpaceError) and item is not QwenSpaceError
    }
    assert table("Errors").keys() == classes


def test_every_test_that_the_table_of_features_names_is_there():
    section = README.split("\n## Beside other models\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(test_\w+)`", section))
    sources = [path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py")]
    there = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    assert named
    assert named <= there
