"""What imports what: no circles, and each floor knows those below it only.

Imports inside functions and for type checkers count as well.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import langchain_qwen_space

PACKAGE = Path(langchain_qwen_space.__file__).parent
NAME = PACKAGE.name


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(module: str) -> Iterator[str]:
    """The package's own modules that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            around = module.rsplit(".", node.level)[0] + "." if node.level else ""
            names = [f"{around}{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, public = name.rpartition(".")
            if package == NAME and public in langchain_qwen_space._HOME:
                yield f"{NAME}.{langchain_qwen_space._HOME[public]}"
            elif (own := name if name in MODULES else package) in MODULES:
                yield own


# The package's own module only hands on public names, and these are counted as where they stand.
GRAPH = {module: {*imported(module)} - {module, NAME} for module in MODULES if module != NAME}


def below(module: str) -> set[str]:
    """A module and all that it needs."""
    found: set[str] = set()
    rest = [module]
    while rest:
        if (one := rest.pop()) not in found:
            found.add(one)
            rest += GRAPH[one]
    return found


MODEL = below(f"{NAME}.chat_models")


def part(module: str) -> str:
    """A module of the LangChain side is itself; the Gradio side is one part."""
    return "space" if module.startswith(f"{NAME}.space.") else module


def test_the_model_is_made_of_modules_in_no_circle():
    assert f"{NAME}.space.wire.sse" in MODEL  # which is imported inside functions only
    graph: dict[str, set[str]] = {}
    for module in MODEL:
        needed = {part(name) for name in GRAPH[module]} - {part(module)}
        graph.setdefault(part(module), set()).update(needed)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("above", ["api", "cli", "jobs", "local"])
def test_the_model_needs_nothing_of_what_is_built_on_it(above):
    assert not [module for module in MODEL if f"{module}.".startswith(f"{NAME}.{above}.")]


@pytest.mark.parametrize(
    ("floor", "shared"),
    [
        ("qwen", {"errors", "attachments", "content_blocks", "media_types"}),
        ("space", {"errors", "attachments", "events", "media_types", "transport"}),
    ],
)
def test_what_qwen_writes_and_what_a_space_speaks_know_what_all_share_and_no_more(floor, shared):
    allowed = {f"{NAME}.{name}" for name in (floor, *shared)}
    for module in MODULES:
        if f"{module}.".startswith(f"{NAME}.{floor}."):
            known = {".".join(name.split(".")[:2]) for name in below(module)}
            assert known <= allowed, module


FLOORS = ["wire", "page", "chat", "routing"]  # of `space`, from the lowest


def test_the_floors_of_a_space_know_those_below_them_only():
    for number, floor in enumerate(FLOORS):
        above = {f"{NAME}.space.{name}" for name in FLOORS[number + 1 :]}
        for module in MODULES:
            if f"{module}.".startswith(f"{NAME}.space.{floor}."):
                known = {".".join(name.split(".")[:3]) for name in below(module)}
                assert not known & above, module


@pytest.mark.parametrize("shared", ["errors", "attachments", "events", "media_types", "transport"])
def test_what_all_share_knows_nothing_of_the_package_but_errors(shared):
    assert below(f"{NAME}.{shared}") <= {f"{NAME}.{shared}", f"{NAME}.errors"}
