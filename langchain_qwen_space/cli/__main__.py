"""`python -m langchain_qwen_space.cli` is `qwen-space`."""

from langchain_qwen_space.cli.main import main

main()
