"""The `qwen-space` command (extra `cli`)."""
