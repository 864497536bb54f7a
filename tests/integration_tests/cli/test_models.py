"""`qwen-space models`."""

import json
import os
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from langchain_qwen_space.cli.app import app
from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.local.local_answers import scripted

from .terminal import terminal


def models(*arguments: str, **environment: str):
    return CliRunner().invoke(app, ["models", *arguments], env=environment)


def test_the_models_are_a_table_in_which_the_default_is_named(narrow_space):
    done = models("--space", narrow_space.url)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert rows[1] == ["72B", "(default)", "qwen2.5-72b-instruct", "131,072"]
    assert ["Coder-7B", "qwen2.5-coder-7b-instruct", "131,072"] in rows
    assert len(rows) == 1 + 12


@pytest.mark.parametrize("columns", [200, 80, 40, 30])
def test_no_name_is_cut_off_in_a_narrow_window_or_in_a_pipe(narrow_space, columns):
    with terminal("models", "--space", narrow_space.url, columns=columns, rows=60) as term:
        assert term.exit_status() == 0
        lines = term.screen.lines
    assert sum("qwen2.5-coder-1.5b-instruct" in line for line in lines) == 1
    assert any(line.startswith("72B (default)") for line in lines)
    piped = models("--space", narrow_space.url, COLUMNS=str(columns)).stdout
    assert piped == models("--space", narrow_space.url).stdout
    assert "\x1b" not in piped


def test_json_tells_the_same(narrow_space):
    told = json.loads(models("--space", narrow_space.url, "--json").stdout)
    assert (told["space"], told["url"].rstrip("/")) == (narrow_space.url, narrow_space.url)
    assert told["models"][0] == {
        "name": "72B",
        "model": "qwen2.5-72b-instruct",
        "default": True,
        "max_input_tokens": 131_072,
    }


@pytest.fixture(scope="module")
def locked_space() -> Iterator[str]:
    with LocalSpace(scripted, auth=("me", "open sesame")) as space:
        yield space.url


def test_a_space_with_a_login_opens_by_option_or_environment(locked_space):
    refused = models("--space", locked_space)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "QWEN_SPACE_AUTH" in refused.stderr
    assert models("--space", locked_space, "--auth", "me:open sesame").exit_code == 0
    assert models("--space", locked_space, QWEN_SPACE_AUTH="me:open sesame").exit_code == 0
    wrong = models("--space", locked_space, "--auth", "me:open")
    assert wrong.exit_code == 1
    assert "rejects the login" in wrong.stderr


def test_the_space_of_the_environment_is_asked(narrow_space):
    assert models(QWEN_SPACE=narrow_space.url).exit_code == 0
    assert "QWEN_SPACE" not in os.environ
