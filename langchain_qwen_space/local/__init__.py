"""A Space on this machine: a real Gradio server with the endpoint of `Qwen/Qwen2.5`.

Gradio comes with the extra `local` and is loaded in the server's own process only.
"""

from langchain_qwen_space.local.demo import demo
from langchain_qwen_space.local.demo_files import demo_with_files
from langchain_qwen_space.local.local_space import LocalSpace

__all__ = ["LocalSpace", "demo", "demo_with_files"]
