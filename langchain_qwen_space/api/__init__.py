"""`ChatQwenSpace` as a server that speaks OpenAI's chat completions API (extra `api`)."""

try:
    from langchain_qwen_space.api.application import app
except ModuleNotFoundError as error:
    if error.name != "starlette":
        raise
    raise ImportError(
        "The API server needs Starlette, which is not installed. "
        'Install it: pip install "langchain-qwen-space[api]"'
    ) from None

__all__ = ["app"]
