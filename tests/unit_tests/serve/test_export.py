"""The folder that `qwen-space serve --export` writes."""

import ast
import importlib.metadata
import tomllib
from pathlib import Path

import pytest
import yaml

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local import backend, export

ROOT = Path(__file__).parents[3]
BACKENDS = {
    "demo": backend.demo(),
    "transformers": backend.transformers("Qwen/Qwen2.5-0.5B-Instruct"),
    "openai": backend.openai("http://localhost:11434/v1", 'a "model"', "MY_KEY", 100),
}


def written(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(params=BACKENDS)
def exported(request, tmp_path) -> tuple[backend.Backend, dict[str, str]]:
    chosen = BACKENDS[request.param]
    export.export(tmp_path / "new" / "space", chosen)
    return chosen, written(tmp_path / "new" / "space")


def test_the_header_is_that_of_a_gradio_space_of_the_installed_release(exported):
    chosen, files = exported
    _, header, _ = files["README.md"].split("---\n", 2)
    fields = yaml.safe_load(header)
    assert fields["sdk"] == "gradio"
    assert fields["sdk_version"] == importlib.metadata.version("gradio")
    assert fields["app_file"] in files
    assert isinstance(fields["python_version"], str)
    assert fields.get("models") == (
        ["Qwen/Qwen2.5-0.5B-Instruct"] if chosen.name == "transformers" else None
    )


def test_the_requirements_are_gradio_and_what_the_extra_of_this_project_installs(exported):
    chosen, files = exported
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    installed = [] if chosen.name == "demo" else extras[chosen.name]
    version = importlib.metadata.version("gradio")
    assert files["requirements.txt"].splitlines() == [f"gradio=={version}", *installed]


def test_every_module_is_python_that_imports_nothing_of_this_package(exported):
    _, files = exported
    allowed = {
        "asyncio",
        "collections",
        "concurrent",
        "contextlib",
        "base64",
        "inspect",
        "json",
        "mimetypes",
        "os",
        "pathlib",
        "PIL",
        "re",
        "threading",
    }
    allowed |= {"time", "typing", "gradio", "qwen_space", "torch", "transformers", "openai"}
    for name, text in files.items():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                assert {each.name.partition(".")[0] for each in node.names} <= allowed, name
            if isinstance(node, ast.ImportFrom):
                home = (node.module or "").partition(".")[0]
                beside = f"qwen_space/{node.module or node.names[0].name}.py"
                assert home in allowed if node.level == 0 else beside in files, name


def test_names_reach_the_app_as_they_are_whatever_they_hold(tmp_path):
    export.export(tmp_path, BACKENDS["openai"], concurrency=3, max_queue=7, max_file_size=8 * 2**20)
    tree = ast.parse((tmp_path / "app.py").read_text())
    calls = {
        ast.unparse(node.func): {each.arg: each.value for each in node.keywords}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    given = {name: ast.literal_eval(value) for name, value in calls["Relay"].items()}
    assert given == {
        "base_url": "http://localhost:11434/v1",
        "model": 'a "model"',
        "key_env": "MY_KEY",
        "max_tokens": 100,
    }
    assert ast.literal_eval(calls["build"]["concurrency"]) == 3
    assert ast.literal_eval(calls["page.queue"]["max_size"]) == 7
    assert ast.literal_eval(calls["page.launch"]["max_file_size"]) == 8 * 2**20


def test_weights_answer_one_at_a_time_unless_more_is_asked_for(exported):
    chosen, files = exported
    expected = 1 if chosen.name == "transformers" else 5
    assert f"concurrency={expected}," in files["app.py"]


def test_the_readme_names_the_variable_of_the_key_and_holds_none(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-never-to-be-seen")
    export.export(tmp_path, BACKENDS["openai"])
    files = written(tmp_path)
    assert "`MY_KEY`" in files["README.md"]
    assert "sk-never" not in "".join(files.values())


@pytest.mark.parametrize("mine", ["README.md", "app.py", "qwen_space/chat_page.py"])
def test_a_file_that_is_there_is_kept_and_nothing_is_written_beside_it(mine, tmp_path):
    (tmp_path / mine).parent.mkdir(exist_ok=True)
    (tmp_path / mine).write_text("mine")
    with pytest.raises(InvalidInputError, match=mine):
        export.export(tmp_path, BACKENDS["demo"])
    assert written(tmp_path) == {mine: "mine"}


def test_other_files_of_the_folder_are_no_hindrance(tmp_path):
    (tmp_path / ".gitattributes").write_text("mine")
    export.export(tmp_path, BACKENDS["demo"])
    assert (tmp_path / ".gitattributes").read_text() == "mine"


def test_a_file_where_the_folder_should_be_is_reported(tmp_path):
    (tmp_path / "space").write_text("mine")
    with pytest.raises(InvalidInputError, match="space"):
        export.export(tmp_path / "space", BACKENDS["demo"])


def test_a_folder_of_weights_on_this_machine_is_not_exported(tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    with pytest.raises(InvalidInputError, match="hf upload"):
        export.export(tmp_path / "space", backend.transformers(str(weights)))
    assert list(tmp_path.iterdir()) == [weights]
