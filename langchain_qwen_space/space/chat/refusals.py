"""Why a page has no chat, or not the one that the caller named, and what to set instead."""

from collections.abc import Mapping, Sequence

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.chat.input_roles import place, score
from langchain_qwen_space.space.chat.inputs import describe
from langchain_qwen_space.space.chat.reading import TEXT_ANSWERS, inputs_of
from langchain_qwen_space.space.page.config import Dependency, SpaceConfig

_MOST_LISTED = 6  # functions that a message names


def no_function(config: SpaceConfig, where: str, name: str | int) -> str:
    """That no function has the name that the caller gave, and which there are."""
    known = [f"/{item.api_name}" if item.api_name else item.id for item in config.dependencies]
    return f"{where} has no function {name!r}; it has {', '.join(map(str, known[:30]))}."


def no_chat(config: SpaceConfig, where: str, *, named: bool) -> str:
    """Why no function is a chat, and what to set: the functions that take and give text, by name."""
    listed: dict[str, int] = {}
    for start in config.dependencies:
        if start.trigger_after is not None:
            continue
        chain = config.chain(start)
        inputs = inputs_of(config, chain)
        written = {number for step in chain for number in step.outputs}
        if not any(config.component(number).type in TEXT_ANSWERS for number in written):
            continue
        boxes = {
            index: points
            for index, item in enumerate(inputs)
            if (points := score("query", item, chain, config)) > 0
        }
        if boxes:
            best = max(boxes, key=lambda index: boxes[index])
            label = inputs[best].label
            box = repr(label) if label and place(inputs, label) == best else best
            listed[f"start={start.api_name or start.id!r}, inputs={{'query': {box}}}"] = boxes[best]
    what = (
        f"The function that was named on {where} takes no text from a box, or gives no text"
        if named
        else f"No function of {where} takes text from a box and writes a chatbot, itself or in a "
        "later step"
    )
    if not listed:
        return f"{what}, and no other gives a text for a text. Choose another Space."
    best_first = sorted(listed, key=lambda text: -listed[text])[:_MOST_LISTED]
    return (
        f"{what}. If the Space answers questions with a text, name the function that the page calls "
        f"first and its input for the question. It has: {'; '.join(best_first)}."
    )


def check_inputs(
    config: SpaceConfig,
    starts: Sequence[Dependency],
    given: Mapping[str, str | int],
    where: str,
) -> None:
    """Say which of the inputs that the user named is in none of the chains.

    Raises:
        InvalidInputError: One is in none.
    """
    lists = [inputs_of(config, config.chain(start)) for start in starts]
    for role, name in given.items():
        if all(place(inputs, name) is None for inputs in lists):
            known = {
                describe(item, index): 0 for inputs in lists for index, item in enumerate(inputs)
            }
            msg = f"{where} has no input {name!r} for {role}; it has {', '.join(known)}."
            raise InvalidInputError(msg)
