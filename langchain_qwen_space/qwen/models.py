"""Names and limits of the Qwen2.5 models, and LangChain's profile of them."""

from collections.abc import Callable, Sequence

from langchain_core.language_models import ModelProfile

# Context windows in tokens, prompt and answer together. For 7B and above the model cards say
# 131,072, which takes YaRN; without it, as config.json has it, a server accepts 32,768 only. What a
# Space set up cannot be seen from outside, and no prompt that it may accept is to be refused here,
# so the larger figure counts. Math: the window of Alibaba Cloud's own service.
_LONG, _SHORT, _MATH = 131_072, 32_768, 4_096
_CONTEXT = {
    f"qwen2.5-{short}-instruct": tokens
    for tokens, names in {
        _LONG: "7b 14b 32b 72b coder-7b coder-14b coder-32b",
        _SHORT: "0.5b 1.5b 3b coder-0.5b coder-1.5b coder-3b",
        _MATH: "math-1.5b math-7b math-72b",
    }.items()
    for short in names.split()
}
_OUTPUT, _MATH_OUTPUT = 8_192, 3_072  # the cards' "generation", and Alibaba Cloud's for Math


def canonical_name(name: str) -> str:
    """Returns the name of the model as Qwen's own service knows it.

    All of `72B`, `Qwen2.5-72B`, `qwen2.5-72b-instruct` and `Qwen/Qwen2.5-72B-Instruct` are
    `qwen2.5-72b-instruct`; `Coder-7B` is `qwen2.5-coder-7b-instruct`. A Space may offer anything:
    a name that is not a Qwen2.5 model's is returned without its owner, in lower case. Ollama's
    `qwen2.5:72b` and the spelling `qwen-2.5-72b` work too.
    """
    bare = name.strip().rpartition("/")[2].lower().replace(":", "-").replace("qwen-2.5", "qwen2.5")
    short = bare.removeprefix("qwen2.5-").removesuffix("-instruct")
    full = f"qwen2.5-{short}-instruct"
    return full if full in _CONTEXT else bare


def names_only_the_family(name: str) -> bool:
    """Whether a name is Qwen2.5's without a size, as `qwen-2.5`: then a Space's default may be meant."""
    return canonical_name(name) in ("qwen2.5", "qwen2.5-instruct")


def match_model(name: str, choices: Sequence[str]) -> str | None:
    """Returns which of a Space's choices is meant by a name, or None.

    Tried one after the other: the same text, the same text in any letter case, the same model
    (`canonical_name`) of no other owner. The first of these that fits any choice decides. If it
    fits several, nothing is guessed and the answer is None.
    """
    if name in choices:
        return name
    rules: tuple[Callable[[str], bool], ...] = (
        lambda choice: choice.casefold() == name.strip().casefold(),
        lambda choice: canonical_name(choice) == canonical_name(name) and _same_owner(choice, name),
    )
    for rule in rules:
        fitting = [choice for choice in choices if rule(choice)]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def may_think_untagged(name: str) -> bool:
    """Whether the model's answers may begin inside its thoughts, with no `<think>` before them.

    So answer the models whose chat template opens the block itself: QwQ, the Thinking models, and
    Qwen3.5 and later. Those before Qwen3, the Coder and the Instruct models do not think; a name that
    says nothing may stand for any model.
    """
    model = canonical_name(name)
    return not (
        model.startswith(("qwen1", "qwen2", "qwen-2")) or "coder" in model or "instruct" in model
    )


def profile(name: str) -> ModelProfile | None:
    """Returns LangChain's profile of a Qwen2.5 model, or None for any other.

    The limits are those of the model cards (https://huggingface.co/Qwen) and, for Math, of
    https://help.aliyun.com/model-studio. `max_input_tokens` is the whole context window, the
    largest prompt that any server of the model can accept; the Space may allow less.
    `structured_output` is left out: a Space has no such mode of its own, and without the key
    `create_agent(response_format=…)` asks through a tool, which works. The cards advise against
    Math models for anything but mathematics, so they are not said to call tools.
    """
    model = canonical_name(name)
    if model not in _CONTEXT:
        return None
    context = _CONTEXT[model]
    return ModelProfile(
        name=model,
        open_weights=True,
        max_input_tokens=context,
        max_output_tokens=_MATH_OUTPUT if context == _MATH else _OUTPUT,
        text_inputs=True,
        image_inputs=False,
        audio_inputs=False,
        video_inputs=False,
        text_outputs=True,
        image_outputs=False,
        audio_outputs=False,
        video_outputs=False,
        reasoning_output=False,
        tool_calling=context != _MATH,
    )


def reads_text_only(name: str) -> bool:
    """Whether the model is known, and known to take nothing but text."""
    known = profile(name)
    kinds = ("image_inputs", "audio_inputs", "video_inputs")
    return known is not None and not any(known.get(kind) for kind in kinds)


def _same_owner(one: str, other: str) -> bool:
    """Whether two names do not name different owners."""
    owners = {name.strip().rpartition("/")[0].casefold() for name in (one, other)} - {""}
    return len(owners) < 2
