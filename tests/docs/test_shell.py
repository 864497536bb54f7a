"""What is looked up in a block of commands."""

import pytest

from tests.docs import shell


@pytest.mark.parametrize(
    "block",
    [
        "make demo SPACE=Qwen/Qwen2.5  # a comment",
        "pip install 'langchain-qwen-space[local,tokens]' pytest",
        "pip install '.[local]'",
        "git diff | qwen-space chat 'Why?' --model 7B -s a/b",
        "qwen-space batch in.jsonl out.jsonl \\\n    --retry-failed",
        "export X=1 && cd tests",
        "X=1 .venv/bin/python scripts/make_streaming_picture.py --to a.svg",
    ],
)
def test_commands_that_exist_pass(block):
    shell.check(block)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("make dome", "no target dome"),
        ("make demo SPASE=x", "no variable SPASE"),
        ("pip install 'langchain-qwen-space[gpu]'", "no extra gpu"),
        ("qwen-space chatt", "no command chatt"),
        ("ls | qwen-space chat --modell 7B", "no option --modell"),
        ("python -m tests.recorder", "no module tests.recorder"),
        ("python scripts/make_picture.py", "no scripts/make_picture.py"),
        ("python scripts/make_streaming_picture.py --into a", "no option --into"),
        ("qwen-spaces chat", "no command that is known"),
    ],
)
def test_a_command_that_does_not_exist_is_named(block, words):
    with pytest.raises(ValueError, match=words):
        shell.check(block)
