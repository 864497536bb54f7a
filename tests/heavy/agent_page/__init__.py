"""The page of `examples/agent_backend` in a real browser."""
