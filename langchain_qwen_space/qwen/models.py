"""Names, limits and dialects of the Qwen models, and LangChain's profile of them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import ModelProfile

from langchain_qwen_space.qwen import dialects
from langchain_qwen_space.qwen.dialects import Dialect


@dataclass(frozen=True, slots=True)
class _Model:
    """What is known of a model; `_models` names the source of each number.

    Attributes:
        context: The context window in tokens, prompt and answer together. Where the card gives one
            without and one with YaRN, the larger: what a Space set up cannot be seen from outside,
            and no prompt that it may accept is to be refused here.
        output: The longest answer that the source recommends, None where it says nothing.
        thinks: Whether it thinks; "by prompt": as `/think` and `/no_think` in a prompt say; "by
            template": as a parameter of its template says.
        sees: Whether it reads pictures and videos.
    """

    context: int
    output: int | None = None
    thinks: bool | Literal["by prompt", "by template"] = False
    sees: bool = False


_1M, _256K, _128K, _32K = 1_010_000, 262_144, 131_072, 32_768


def _models() -> Iterator[tuple[str, _Model]]:
    # "The card" is https://huggingface.co/Qwen/NAME, Alibaba Cloud is the list of models below
    # https://help.aliyun.com/zh/model-studio; both as of 2026.
    # The card: "Full 131,072 tokens and generation 8192 tokens", of small models "Full 32,768". Of
    # Coder models it gives the context alone; their output is Alibaba Cloud's (user-guide/qwen-coder).
    for size in ("7b", "14b", "32b", "72b", "coder-7b", "coder-14b", "coder-32b"):
        yield f"qwen2.5-{size}-instruct", _Model(_128K, 8_192)
    for size in ("0.5b", "1.5b", "3b", "coder-0.5b", "coder-1.5b", "coder-3b"):
        yield f"qwen2.5-{size}-instruct", _Model(_32K, 8_192)
    # Alibaba Cloud: user-guide/math-language-model.
    for size in ("1.5b", "7b", "72b"):
        yield f"qwen2.5-math-{size}-instruct", _Model(4_096, 3_072)
    # The card: "Full 1,010,000 tokens and generation 8192 tokens".
    for size in ("7b", "14b"):
        yield f"qwen2.5-{size}-instruct-1m", _Model(_1M, 8_192)
    # Alibaba Cloud; `max_position_embeddings` in config.json is 128,000.
    for size in ("3b", "7b", "32b", "72b"):
        yield f"qwen2.5-vl-{size}-instruct", _Model(_128K, sees=True)
    # The cards: "Full 32,768 tokens" and "Full 131,072 tokens".
    yield "qwq-32b-preview", _Model(_32K, thinks=True)
    yield "qwq-32b", _Model(_128K, thinks=True)
    # The card: 32,768 tokens, of the larger ones "131,072 tokens with YaRN"; 32,768 are recommended for
    # most queries and 38,912 for hard problems, which the smaller ones have no room for.
    for size in ("0.6b", "1.7b"):
        yield f"qwen3-{size}", _Model(_32K, 32_768, thinks="by prompt")
    for size in ("4b", "8b", "14b", "32b", "30b-a3b", "235b-a22b"):
        yield f"qwen3-{size}", _Model(_128K, 38_912, thinks="by prompt")
    # The card: "262,144 natively", of the larger ones "extendable to 1,010,000"; 16,384 are adequate
    # for Instruct models, 81,920 are suggested for hard problems to Thinking ones.
    for size, context in (("4b", _256K), ("30b-a3b", _1M), ("235b-a22b", _1M)):
        yield f"qwen3-{size}-instruct-2507", _Model(context, 16_384)
        yield f"qwen3-{size}-thinking-2507", _Model(context, 81_920, thinks=True)
    # The card: "256K tokens, extendable up to 1M tokens using Yarn"; 65,536 are suggested.
    for size in ("30b-a3b", "480b-a35b"):
        yield f"qwen3-coder-{size}-instruct", _Model(_1M, 65_536)
    # The card: "262,144 natively"; 65,536 in its examples.
    yield "qwen3-coder-next", _Model(_256K, 65_536)
    # The card: "262,144 natively and extensible up to 1,010,000 tokens"; outputs as of the 2507 models.
    yield "qwen3-next-80b-a3b-instruct", _Model(_1M, 16_384)
    yield "qwen3-next-80b-a3b-thinking", _Model(_1M, 81_920, thinks=True)
    # The card: "Native 256K context, expandable to 1M".
    for size in ("2b", "4b", "8b", "32b", "30b-a3b", "235b-a22b"):
        yield f"qwen3-vl-{size}-instruct", _Model(_1M, sees=True)
        yield f"qwen3-vl-{size}-thinking", _Model(_1M, thinks=True, sees=True)
    # The card: "262,144 natively", without more for the two smallest, which do not think unless they
    # are asked to, else "extensible up to 1,010,000"; 81,920 are suggested for hard problems.
    for size in ("0.8b", "2b"):
        yield f"qwen3.5-{size}", _Model(_256K, 81_920, thinks="by template", sees=True)
    for size in ("4b", "9b", "27b", "35b-a3b", "122b-a10b", "397b-a17b"):
        yield f"qwen3.5-{size}", _Model(_1M, 81_920, thinks="by template", sees=True)


_MODELS = dict(_models())
_EXPERTS = re.compile(r"-a\d+b(?=-|$)")  # the active parameters of a mixture of experts
_QUANTIZED = re.compile(
    r"-(?:(?:awq|gptq|gguf|fp8|int[48]|nvfp4|bnb|mlx|4bit|8bit|q\d[\w-]*|fp16|bf16|latest)(?:-|$))+$"
)
_HYPHEN = re.compile(r"\Aqwen-(?=\d(?:\.\d)?(?:-|\Z))")
_POINT = re.compile(r"(qwen[-_]?\d)[_p](?=\d(?![\d.]*b))")
_VL = re.compile(r"(qwen\d(?:\.\d)?)(?=vl(?![a-z]))")
_FAMILY = re.compile(
    r"qwq|qwen-?(?P<version>\d(?:\.\d)?)(?:-(?P<kind>coder|vl|math|next))?(?![\d.]|b\b)"
)


def _spellings() -> dict[str, str]:
    """Other spellings of the names: without `-instruct`, without the number of active parameters."""
    meant: dict[str, set[str]] = {}
    for name in _MODELS:
        plain = name.removesuffix("-instruct")
        for spelling in (plain, _EXPERTS.sub("", name), _EXPERTS.sub("", plain)):
            if spelling not in _MODELS:
                meant.setdefault(spelling, set()).add(name)
        # The instruct model is not meant alone where there is a thinking one of the same name.
        if plain != name and f"{plain}-thinking" in _MODELS:
            meant[plain].add(f"{plain}-thinking")
    return {spelling: names.pop() for spelling, names in meant.items() if len(names) == 1}


_SPELLINGS = _spellings()


def canonical_name(name: str, family: str | None = None) -> str:
    """Returns the name of the model as Qwen's own service knows it.

    All of `72B`, `Qwen2.5-72B`, `qwen2.5-72b-instruct` and `Qwen/Qwen2.5-72B-Instruct` are
    `qwen2.5-72b-instruct`; `Coder-7B` is `qwen2.5-coder-7b-instruct`. Ollama's `qwen2.5:72b` and
    `qwen3:30b`, and the spellings `qwen-2.5-72b` and `Qwen3_5-9B` are read too. A Space may offer
    anything: a name that is not a known model's is returned without its owner, in lower case.

    Args:
        name: The name.
        family: The family that a short name (`32B`) belongs to (`family_of`); by default Qwen2.5.
    """
    bare = _respelled(name.strip().rpartition("/")[2]).removesuffix("-latest")
    bare = _HYPHEN.sub("qwen", bare)
    for full in (bare, f"{family or 'qwen2.5'}-{bare}"):
        for known in (full, full.removesuffix("-instruct")):
            if known in _MODELS:
                return known
            if known in _SPELLINGS:
                return _SPELLINGS[known]
    return bare


def family_of(names: Sequence[str]) -> str | None:
    """Returns the family that names of models and Spaces speak of, such as `qwen3-coder`.

    None if they speak of none, or of several.
    """
    found = {family for name in names if (family := _family(name))}
    return found.pop() if len(found) == 1 else None


def family_of_space(space: str, choices: Sequence[str]) -> str | None:
    """Returns the family of a Space: that of its choices, where they say it, else of its id."""
    return family_of(choices) or (None if "://" in space else family_of([space]))


def in_use(named: str | None, default: str | None, space: str, family: str | None) -> str | None:
    """Returns the canonical name of the model that answers, or None if that is not known.

    Args:
        named: The model that the caller names.
        default: The Space's own default.
        space: The Space, whose id names a model where nothing else does.
        family: The Space's family (`family_of_space`).
    """
    name = named or default or (space if family else None)
    return None if name is None else canonical_name(name, family)


def names_only_the_family(name: str) -> bool:
    """Whether a name is a family's without a size, as `qwen-2.5`: then a Space's default is meant."""
    bare = canonical_name(name).removesuffix("-instruct")
    return _family(bare) == bare


def match_model(name: str, choices: Sequence[str], family: str | None = None) -> str | None:
    """Returns which of a Space's choices is meant by a name, or None.

    Tried one after the other: the same text, the same text in any letter case, the same model
    (`canonical_name`) of no other owner. The first of these that fits any choice decides. If it
    fits several, nothing is guessed and the answer is None.
    """
    if name in choices:
        return name
    family = family_of(choices) or family
    rules: tuple[Callable[[str], bool], ...] = (
        lambda choice: choice.casefold() == name.strip().casefold(),
        lambda choice: (
            canonical_name(choice, family) == canonical_name(name, family)
            and _same_owner(choice, name)
        ),
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
    return not (model.startswith(("qwen1", "qwen2")) or "coder" in model or "instruct" in model)


def switches_in_the_prompt(name: str) -> bool:
    """Whether `/think` and `/no_think` switch the model's thoughts: the first Qwen3 models alone."""
    known = _known(name)
    return known is not None and known[1].thinks == "by prompt"


def always_thinks(name: str) -> bool | None:
    """Whether the model always thinks, or never; None if it can be switched or is not known."""
    known = _known(name)
    if known is None or isinstance(known[1].thinks, str):
        return None
    return known[1].thinks


def has_another_vocabulary(name: str) -> bool:
    """Whether the model is known to cut text into other tokens than Qwen2.5 and Qwen3 do."""
    return _dialect(name) is dialects.NAMED["qwen3.5"]


def dialect(name: str | None, chosen: str | None = None) -> Dialect:
    """Returns how a model is spoken to; `dialects.UNKNOWN` where its name does not say.

    Args:
        name: The name of the model, or of its Space.
        chosen: The dialect that the caller chose. "hermes", which is not in `NAMED`, is the variant of the
            model's family, or the general one.
    """
    if chosen is not None and chosen in dialects.NAMED:
        return dialects.NAMED[chosen]
    found = _dialect(name)
    return dialects.UNKNOWN if chosen and found in dialects.NAMED.values() else found


def _dialect(name: str | None) -> Dialect:
    model = "" if name is None else canonical_name(name)
    family = _family(model)
    if family is None:
        return dialects.UNKNOWN
    if family == "qwq":
        return dialects.QWQ
    version, _, kind = family.removeprefix("qwen").partition("-")
    number = float(version)
    if number >= 3.5:
        return dialects.NAMED["qwen3.5"]
    if number >= 3:
        if kind == "coder":
            return dialects.NAMED["qwen3-coder"]
        return dialects.QWEN3_INSTRUCT if "instruct" in model else dialects.QWEN3
    if number < 2.5 or kind == "vl":
        return dialects.OLDER
    return dialects.MATH if kind == "math" else dialects.QWEN2_5


def profile(name: str, family: str | None = None) -> ModelProfile | None:
    """Returns LangChain's profile of a known Qwen model, or None for any other.

    `max_input_tokens` is the whole context window, the largest prompt that any server of the model
    can accept; the Space may allow less. `structured_output` is left out: a Space has no such mode
    of its own, and without the key `create_agent(response_format=…)` asks through a tool, which
    works. The cards advise against Math models for anything but mathematics, so they are not said
    to call tools.
    """
    found = _known(name, family)
    if found is None:
        return None
    model, known = found
    made = ModelProfile(
        name=model,
        open_weights=True,
        max_input_tokens=known.context,
        text_inputs=True,
        image_inputs=known.sees,
        audio_inputs=False,
        video_inputs=known.sees,
        text_outputs=True,
        image_outputs=False,
        audio_outputs=False,
        video_outputs=False,
        reasoning_output=bool(known.thinks),
        tool_calling="math" not in model,
    )
    if known.output is not None:
        made["max_output_tokens"] = known.output
    return made


def _known(name: str, family: str | None = None) -> tuple[str, _Model] | None:
    model = canonical_name(name, family)
    model = model.replace("_", "-").removesuffix(".gguf")
    model = canonical_name(_QUANTIZED.sub("", model), family)
    return (model, _MODELS[model]) if model in _MODELS else None


def _family(name: str) -> str | None:
    match = _FAMILY.search(_respelled(name).replace("_", "-"))
    if match is None:
        return None
    kind = f"-{match['kind']}" if match["kind"] else ""
    return f"qwen{match['version']}{kind}" if match["version"] else "qwq"


def _respelled(name: str) -> str:
    """The name in lower case, with the marks between its parts that Qwen's own names have."""
    return _VL.sub(r"\1-", _POINT.sub(r"\1.", name.lower().replace(":", "-")))


def reads_text_only(name: str) -> bool:
    """Whether the model is known, and known to take nothing but text."""
    known = profile(name)
    kinds = ("image_inputs", "audio_inputs", "video_inputs")
    return known is not None and not any(known.get(kind) for kind in kinds)


def sees(name: str) -> bool:
    """Whether the model is known to read pictures, or its name says so (VL, Omni, QVQ)."""
    known = profile(name)
    said = re.search(r"vl(?![a-z])|omni|qvq", name.lower()) is not None
    return said if known is None else bool(known.get("image_inputs"))


def _same_owner(one: str, other: str) -> bool:
    """Whether two names do not name different owners."""
    owners = {name.strip().rpartition("/")[0].casefold() for name in (one, other)} - {""}
    return len(owners) < 2
