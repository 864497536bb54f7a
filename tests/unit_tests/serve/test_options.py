"""What `qwen-space serve` makes of its options, before anything is loaded or listened on."""

import ast
import socket
import sys

import pytest
import typer
from typer.testing import CliRunner, Result

from langchain_qwen_space.cli.serve import serve
from langchain_qwen_space.local import serving
from langchain_qwen_space.local.answers import file_types, takes_files

OPENAI = ("--backend", "openai", "--base-url", "http://localhost:11434/v1", "--model", "qwen2.5")


def run(*options: str, **variables: str) -> Result:
    app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.command()(serve)
    return CliRunner().invoke(app, list(options), env={"COLUMNS": "200", **variables})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "vllm"], "'vllm' is not one of"),
        (["--model", "qwen2.5"], "--model does not go with --backend demo"),
        (["--backend", "transformers", "--base-url", "http://a/v1"], "--base-url does not go with"),
        (["--backend", "openai", "--model", "qwen2.5"], "needs --base-url and --model"),
        (["--backend", "openai", "--base-url", "http://a/v1"], "needs --base-url and --model"),
        ([*OPENAI, "--base-url", "localhost:11434"], "must begin with http:// or https://"),
        ([*OPENAI, "--base-url", "http://ada:secret@a/v1"], "contains a password"),
        (["--files", "image"], "--files does not go with --backend demo"),
        ([*OPENAI, "--files", "image,smell"], "'smell' is not a supported kind of file"),
        (["--auth", "ada"], "USER:PASSWORD"),
        (["--auth", ":secret"], "USER:PASSWORD"),
        (["--port", "70000"], "Invalid value for '--port'"),
        (["--concurrency", "0"], "Invalid value for '--concurrency'"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(options, words, tmp_path):
    folder = tmp_path / "space"
    result = run(*options, "--export", str(folder))
    assert result.exit_code == 2
    assert words in result.stderr
    assert "secret" not in result.stderr
    assert not folder.exists()


@pytest.mark.parametrize(
    ("url", "told"), [("http://localhost:11434/v1", True), ("https://api.example.com/v1", False)]
)
def test_an_export_that_needs_this_machine_says_so(url, told, tmp_path):
    options = ("--backend", "openai", "--base-url", url, "--model", "a")
    result = run(*options, "--export", str(tmp_path / "space"))
    assert result.exit_code == 0
    assert ("cannot reach" in result.stdout) == told


@pytest.mark.parametrize(
    ("model", "options", "given"),
    [
        ("qwen2.5", [], None),
        ("qwen2.5vl:7b", [], ["image"]),
        ("Qwen/Qwen3-VL-8B-Instruct-FP8", [], ["image"]),
        ("qwen3.5-9b", [], ["image"]),
        ("qwen3-omni-flash", [], ["image"]),
        ("qwen3-omni-flash", ["--files", "image, audio"], ["image", "audio"]),
        ("qwen2.5-vl-7b", ["--files", "none"], None),
        ("gpt-5", [], None),
        ("gpt-5", ["--files", "image,pdf"], ["image", "pdf"]),
    ],
)
def test_files_are_passed_on_to_a_model_that_reads_them(model, options, given, tmp_path):
    exported = ("--model", model, *options, "--export", str(tmp_path / "space"))
    assert run(*OPENAI, *exported).exit_code == 0
    app = (tmp_path / "space" / "app.py").read_text()
    (relay,) = [
        node
        for node in ast.walk(ast.parse(app))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Relay"
    ]
    named = {each.arg: ast.literal_eval(each.value) for each in relay.keywords}
    assert named.get("files") == given


def test_an_answer_says_which_files_can_be_attached():
    def text_only(system, history, query, model): ...

    def any_file(system, history, query, model, files): ...

    assert not takes_files(text_only)
    assert takes_files(any_file)
    assert file_types(any_file) is None
    any_file.file_types = ["image", ".pdf"]
    assert takes_files(any_file)
    assert file_types(any_file) == ["image", ".pdf"]
    any_file.file_types = []
    assert not takes_files(any_file)


def test_the_help_shows_commands_to_copy_line_by_line():
    lines = [line.strip() for line in run("--help").stdout.splitlines()]
    assert "qwen-space serve --backend transformers --model Qwen/Qwen2.5-0.5B-Instruct" in lines


def test_a_login_in_the_environment_is_not_shown_in_the_help():
    assert "hush" not in run("--help", QWEN_SPACE_AUTH="ada:hush").stdout


def test_a_port_in_use_is_named_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr(serving, "check_gradio", None)  # which fails where it is called
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("--port", str(port))
    assert result.exit_code == 2
    assert f"cannot listen on port {port} of 127.0.0.1" in result.stderr


def test_an_address_that_is_not_this_machines_is_named():
    result = run("--host", "192.0.2.1", "--port", "0")
    assert result.exit_code == 2
    assert "of 192.0.2.1" in result.stderr


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("gradio", [], "local"),
        ("openai", OPENAI, "local,openai"),
        ("torch", ["--backend", "transformers"], "local,transformers"),
    ],
)
def test_a_missing_extra_is_reported_with_the_command_that_installs_it(
    module, options, extra, monkeypatch, tmp_path
):
    absent = f"raise ModuleNotFoundError('No module named {module}', name='{module}')"
    (tmp_path / f"{module}.py").write_text(absent)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("gradio", module):
        monkeypatch.delitem(sys.modules, name, raising=False)
    if module != "gradio":  # it takes seconds to load, and is not what this is about
        monkeypatch.setattr(serving, "check_gradio", lambda: None)
        (tmp_path / "gradio.py").write_text("Error = Exception")
        monkeypatch.delitem(sys.modules, "langchain_qwen_space.local.relay", raising=False)
        monkeypatch.delitem(sys.modules, "langchain_qwen_space.local.weights", raising=False)
    result = run(*options, "--port", "0")
    assert result.exit_code == 1
    assert f'pip install "langchain-qwen-space[{extra}]"' in " ".join(result.stderr.split())
