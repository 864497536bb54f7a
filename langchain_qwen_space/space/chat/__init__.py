"""The chat on a page: which part of it is one, how a prompt is laid out, how the answer is read."""
