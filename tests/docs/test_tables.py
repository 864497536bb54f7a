"""What the pages list is there, and what is there is listed: settings, errors, tests, files."""

import re
from inspect import signature
from pathlib import Path

import pytest
from langchain_core import exceptions
from langchain_core.language_models import BaseChatModel

from langchain_qwen_space import ChatQwenSpace, QwenSpaceError, errors, options
from langchain_qwen_space.api import app, problems, requests
from langchain_qwen_space.options import CallOptions
from scripts import make_reference
from tests.docs.snippets import PAGES, ROOT

INTERNAL = {"GRADIO_ANALYTICS_ENABLED", "PYTHONWARNINGS"}  # set, not read
FROM_THE_ENVIRONMENT = ("space", "hf_token", "proxy")
CLASSES = {
    name: item
    for name, item in vars(errors).items()
    if isinstance(item, type) and issubclass(item, QwenSpaceError) and item is not QwenSpaceError
}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def rows(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables whose first cell is a name, by that name."""
    found = re.findall(r"^\| \[?`(\w+)`.*?\| (.*) \|$", read(page), re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in found}


def test_the_settings_are_all_there_with_their_defaults():
    fields = ChatQwenSpace.model_fields
    table = rows("docs/reference/settings.md")
    own = fields.keys() - BaseChatModel.model_fields.keys()
    of_calls = CallOptions.model_fields.keys() - fields.keys() - {"ignored"}
    assert table.keys() == own | of_calls
    for name, (default, *_) in table.items():
        if name in own and name not in FROM_THE_ENVIRONMENT:
            value = fields[name].get_default(call_default_factory=True)
            assert default == f"`{value!r}`", name


@pytest.mark.parametrize("name", ["settings.md", "events.md"])
def test_the_tables_made_from_code_are_up_to_date(name):
    page = read(f"docs/reference/{name}")
    assert page == make_reference.page(name), "run: python scripts/make_reference.py"


def test_the_settings_of_other_models_are_all_there_with_what_becomes_of_them():
    page = read("docs/explanation/chat-openai.md")
    ignored, refused = (
        set(re.findall(r"`(\w+)`", page.split(f"\n### {title}\n")[1].split(end)[0]))
        for title, end in (("Ignored", "\nIn `model_kwargs`"), ("Refused", "\nAn unknown setting"))
    )
    assert ignored - {"None", "False"} == options.FOREIGN
    assert refused == options.REFUSED.keys()


def test_the_environment_variables_of_the_code_are_all_there():
    sources = [path.read_text("utf-8") for path in Path(ROOT, "langchain_qwen_space").rglob("*.py")]
    read_in_code = {
        name
        for source in sources
        for pattern in (r'environ(?:\.\w+\(|\[)"(\w+)"', r'envvar="(\w+)"', r"VARIABLES? = (.*)")
        for found in re.findall(pattern, source)
        for name in re.findall(r"[A-Z][A-Z_]{3,}", found)
    }
    assert {"QWEN_SPACE", "HF_TOKEN", "QWEN_SPACE_PROXY", "QWEN_SPACE_AUTH"} <= read_in_code
    page = read("docs/reference/environment.md")
    documented = set(re.findall(r"`([A-Z_]+)`", page))
    assert read_in_code - INTERNAL <= documented


def test_the_fields_of_the_api_server_are_all_there_with_what_becomes_of_them():
    becomes = {name: cells[-1] for name, cells in rows("docs/reference/api.md").items()}
    given = signature(app).parameters.keys()
    own = {"messages", "stream", "stream_options", "n"}
    ignored, not_honoured = requests._IGNORED, requests._NOT_HONOURED.keys()
    assert becomes.keys() == requests._PASSED_ON.keys() | ignored | not_honoured | own | given
    assert {name for name in becomes if becomes[name].startswith("Ignored.")} == ignored
    assert {name for name in becomes if becomes[name].startswith("Not hon")} == not_honoured


def test_the_errors_of_the_api_server_are_all_there():
    page = read("docs/reference/api.md")
    table = re.findall(r"^\| (\d+) \| ?`?(\w*)`? ?\| \w", page, re.MULTILINE)
    of_spaces = {(str(status), code or "") for _, status, _, code in problems._STATUSES}
    own = {("401", "invalid_api_key"), ("403", ""), ("413", ""), ("415", ""), ("503", "stopping")}
    own.add(("400", "array_above_max_length"))
    assert set(table) == of_spaces | own


def test_the_errors_are_all_there_with_what_they_are():
    table = rows("docs/reference/errors.md")
    assert table.keys() == CLASSES.keys()
    for name, (langchain_class, tried_again) in table.items():
        assert issubclass(CLASSES[name], getattr(exceptions, langchain_class.strip("`"))), name
        assert tried_again == ("yes" if CLASSES[name].is_retryable else "no"), name


@pytest.mark.parametrize("name", CLASSES)
def test_each_error_says_when_it_comes_and_what_to_do(name):
    sections = read("docs/reference/errors.md").split("\n## ")[1:]
    section = next(text for text in sections if text.startswith(f"`{name}`\n"))
    assert "\n**When:** " in section
    assert "\n**What to do:** " in section


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page):
    named = set(re.findall(r"`(test_\w+)`", read(page)))
    assert named <= _there()


def test_the_table_of_features_names_a_test_for_each_yes():
    table = re.findall(
        r"^\| [^|]* \| yes[^|]* \|.*\| (.*) \|$",
        read("docs/explanation/comparison.md"),
        re.MULTILINE,
    )
    assert table
    assert all(re.fullmatch(r"`test_\w+`", cell) for cell in table), table


def test_the_map_of_tests_covers_the_package_and_names_what_is_there():
    table = read("tests/README.md").split("## Where a module is tested")[1]
    cells = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)
    modules = {name for first, _ in cells for name in re.findall(r"`([\w/.]+)`", first)}
    package = Path(ROOT, "langchain_qwen_space")
    assert all(Path(package, name).exists() for name in modules)
    tests = {name for _, second in cells for name in re.findall(r"`([\w/.]+)`", second)}
    assert all(Path(ROOT, "tests", name).exists() for name in tests)
    listed = {name.split("/")[0] for name in modules}
    there = {path.name for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__.py", "__pycache__", "py.typed"} <= listed


def test_the_map_of_tests_names_every_unit_test():
    table = read("tests/README.md").split("## Where a module is tested")[1]
    named = set(re.findall(r"`([\w/.]+)`", table))
    files = (
        path.relative_to(Path(ROOT, "tests"))
        for path in Path(ROOT).glob("tests/unit_tests/**/test_*.py")
    )
    unnamed = [str(f) for f in files if named.isdisjoint({str(f), *map(str, f.parents)})]
    assert not unnamed


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_one(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", read(page))
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


@pytest.mark.parametrize("page", sorted(Path(ROOT, "docs").glob("*/*.md")), ids=str)
def test_each_page_is_listed_under_its_title(page):
    """GitHub shows no table of contents of Sphinx's."""
    title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    if page.name != "index.md":
        listed = (page.parent / "index.md").read_text(encoding="utf-8")
        assert f"- [{title}]({page.name})" in listed


@pytest.mark.parametrize("notebook", sorted(Path(ROOT, "notebooks").glob("*.ipynb")), ids=str)
def test_each_notebook_is_listed(notebook):
    assert f"`{notebook.name}`" in read("docs/tutorials/notebook.md")


def _there() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for path in Path(ROOT, "tests").rglob("test_*.py")]
    return {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
