"""How each family of Qwen models is spoken to: system prompt, turns, calls and results as text.

What the models write is read in every form, whichever dialect they were spoken to in.
"""

from collections.abc import Mapping

from langchain_qwen_space.qwen.dialects.dialect import Dialect
from langchain_qwen_space.qwen.dialects.hermes import Hermes
from langchain_qwen_space.qwen.dialects.xml import Qwen3Coder, Qwen35

DEFAULT_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

QWEN2_5 = Hermes(DEFAULT_SYSTEM, thoughts="text")
MATH = Hermes(
    "Please reason step by step, and put your final answer within \\boxed{}.", thoughts="text"
)
"""Of Qwen2.5-Math."""
QWEN3 = Hermes(thoughts="in tool loops")
QWEN3_INSTRUCT = Hermes(thoughts="text")
QWQ = Hermes("", thoughts="dropped")
OLDER = Hermes("You are a helpful assistant.", thoughts="text")
"""Of Qwen2, and of the models that see pictures before Qwen3."""
UNKNOWN = Hermes()

NAMED: Mapping[str, Dialect] = {one.name: one for one in (Qwen3Coder(), Qwen35())}
"""The dialects besides Hermes, of which each family of models has a variant."""

__all__ = [
    "DEFAULT_SYSTEM",
    "MATH",
    "NAMED",
    "OLDER",
    "QWEN2_5",
    "QWEN3",
    "QWEN3_INSTRUCT",
    "QWQ",
    "UNKNOWN",
    "Dialect",
]
