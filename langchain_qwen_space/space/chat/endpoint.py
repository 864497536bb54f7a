"""`/config` -> which event of a page is its chat, and which inputs of its chain are what.

A *start* is an event of the page, or a function of its API. Its *chain* is the functions that follow
it. A chain chats if it takes a question from a box and writes a chatbot. Nothing is assumed of names
and positions. Each input of the chain is judged by its type, label, visibility and default value;
where two fit a role, the one with the higher score wins, then the first.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import InvalidInputError, UnsupportedSpaceError
from langchain_qwen_space.space.chat.chatbot import Form, History, form_of
from langchain_qwen_space.space.chat.files import MULTIMODAL, lay_out
from langchain_qwen_space.space.chat.inputs import check, clamp, describe
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

logger = logging.getLogger(__name__)

ROLES = ("query", "history", "system", "model", "temperature", "top_p", "max_tokens")
"""What an input of the endpoint may be. Any other gets its own default."""

_CHATBOTS = (
    "chatbot",
    "modelscopechatbot",
    "modelscopelegacychatbot",
    "modelscopeprochatbot",
)
_TEXTS = ("textbox", "antdxsender", "antdinput", "antdinputtextarea", *MULTIMODAL)
_ANSWERS = (
    "textbox",
    "markdown",
    "json",
    "html",
    "code",
)  # may hold the answer of a named function
_NUMBERS = ("slider", "number")
_LABELS = {  # in English, Chinese, Korean, Japanese, French, German, Spanish, Portuguese, Russian
    "query": r"\b(input|query|question|message|prompt|ask|user)\b|输入|问题|提问|입력|질문|메시지|入力|質問"
    r"|メッセージ|frage|nachricht|eingabe|pregunta|mensaje|pergunta|mensagem|вопрос|сообщение",
    "system": r"\bsystem|\bsys_?prompt|系统|系統|시스템|システム|syst[eè]me|sistema|систем",
    "model": r"\bmodels?\b|\bmodel_|模型|모델|モデル|mod[eè]le|\bmodell|modelo|модел",
    "temperature": r"temperature|温度|温度|온도|température|temperatur|температур",
    "top_p": r"top[\s_-]?p\b|nucleus|核采样",
    "max_tokens": r"max.*(token|len)|(token|length).*max|num_predict|最大.*(长度|令牌|token|長|トークン)"
    r"|最长|最大生成|최대.*(토큰|길이)|longueur max|nombre max|maximale.*(länge|zahl)|(máx|max).*(longitud"
    r"|comprimento)|(longitud|comprimento).*máx|макс.*(токен|длин)",
}
_MOST_INPUTS = 100  # of a function that may be a chat
_PROMPT = re.compile(r"\byou are\b|\bassistant\b|你是|助手", re.IGNORECASE)
_PROMPT_BOX = re.compile(r"\bprompt\b|\binstruction|提示", re.IGNORECASE)
_MODEL_NAME = re.compile(r"\b\d+(\.\d+)?[bm]\b|qwen|llama|gpt|mistral|deepseek", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The chat of a Space: the functions that an event of its page calls, and what they take.

    Attributes:
        steps: The functions, in order; the last of them that writes the answer is the last one.
        fn_index: The number on the wire of the first.
        api_name: The name on the Space's API page of the one that answers, if it has one.
        inputs: The components that the functions' arguments come from, each once, in order; the
            fields of a form stand for the form.
        roles: Which input (by index) is what; keys are among `ROLES`.
        answer: The id of the component that holds the answer.
        form: How history and answer are written.
        turns: Whether earlier turns reach the model as turns; else they go into the question.
        loads: The functions that the page calls when it is opened and that the chain builds on.
        rendered: Whether the chat is there in a session only, after `loads` (`gr.render`).
        models: The values of the model input, in the order in which the page offers them.
        streams: Whether it is a generator.
        public: Whether the app's API page shows it.
        queues: Whether calls wait in a queue.
        history_fn: The number of the function that sets a `gr.ChatInterface`'s history, where there
            is one.
        history_form: The form in which that function takes it.
        doubts: What else some of the roles might have been, a sentence each.
        config: The `/config` that this was read from.
    """

    steps: tuple[Dependency, ...]
    fn_index: int
    api_name: str | None
    inputs: tuple[Component, ...]
    roles: Mapping[str, int]
    answer: int
    form: Form
    turns: bool
    loads: tuple[Dependency, ...]
    rendered: bool
    models: tuple[str, ...]
    streams: bool
    public: bool
    queues: bool
    history_fn: int | None
    history_form: Form
    doubts: tuple[str, ...]
    config: SpaceConfig

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"function {self.fn_index}" if self.api_name is None else f"/{self.api_name}"

    @property
    def output(self) -> int:
        """Which output of the last step holds the answer."""
        return self.steps[-1].outputs.index(self.answer)

    @property
    def own_system(self) -> str:
        """The Space's own system prompt; empty where it has none, or no input for one."""
        index = self.roles.get("system")
        default = None if index is None else self.inputs[index].default
        return default if isinstance(default, str) else ""

    def with_history(self, history: str | None) -> "Endpoint":
        """This chat, where the caller settled how earlier turns travel: "turns" or "text".

        Raises:
            InvalidInputError: They cannot go as turns: no input of the chat holds a conversation.
        """
        if history is None:
            return self
        if history == "turns" and "history" not in self.roles and self.history_fn is None:
            msg = (
                f"history='turns': {self.title} has no input that holds a conversation. Name one by "
                "inputs={'history': …} (label or index), or leave history out."
            )
            raise InvalidInputError(msg)
        return replace(self, turns=history == "turns")

    def values(self, changed: Mapping[int, Any]) -> dict[int, Any]:
        """The values of the page's components, by id, where the inputs have these values."""
        values: dict[int, Any] = {
            number: self.config.component(number).initial
            for step in (*self.loads, *self.steps)
            for number in step.inputs
        }
        for index, value in changed.items():
            item = self.inputs[index]
            if item.form_key is None:
                values[item.id] = value
            else:
                values[item.id] = {**(values[item.id] or {}), item.form_key: value}
        return values

    @property
    def default_model(self) -> str | None:
        """The Space's own choice among `models`."""
        index = self.roles.get("model")
        default = None if index is None else self.inputs[index].default
        return default if isinstance(default, str) else None

    def arguments(
        self, *, query: str, history: History, given: Mapping[str, Any], extra: Mapping[str, Any]
    ) -> tuple[list[Any], list[str]]:
        """Lay a prompt out as the function's arguments.

        Args:
            query: The question.
            history: Earlier turns, (user, assistant) each.
            given: Values by role: `system`, `model`, `temperature`, `top_p`, `max_tokens`.
            extra: Values of other inputs, by their label.

        Returns:
            The arguments, and a sentence for each setting that could not be sent as it was given.

        Raises:
            InvalidInputError: An input refuses its value, or no input has such a label.
        """
        values = [item.initial for item in self.inputs]
        changed, notes = self.lay_out(query=query, history=history, given=given, extra=extra)
        for index, value in changed.items():
            values[index] = value
        return values, notes

    def lay_out(
        self,
        *,
        query: str,
        history: History,
        given: Mapping[str, Any],
        extra: Mapping[str, Any],
        files: Sequence[Sequence[Attachment]] = (),
    ) -> tuple[dict[int, Any], list[str]]:
        """As `arguments`, but only the inputs that a person would set, by their index.

        In the values, each of `files` stands for itself: see `files.filled`.
        """
        values: dict[int, Any] = {}
        notes = []
        for role, value in given.items():
            index = self.roles.get(role)
            if index is None:
                notes.append(f"has no input for {role}={value!r}")
                continue
            component = self.inputs[index]
            if component.type in _NUMBERS:
                sent = clamp(component, value, role, up=role == "max_tokens")
                if sent != value and role != "max_tokens":
                    notes.append(f"takes no {role}={value!r}: {sent!r} was sent, the nearest")
                values[index] = sent
            elif component.type == "textbox":
                values[index] = check(component, value, role)
            else:
                values[index] = value  # a model, which was matched with the choices
        for label, value in extra.items():
            index = self._by_label(label)
            values[index] = check(self.inputs[index], value, describe(self.inputs[index], index))
        box = self.roles["query"]
        multimodal = self.inputs[box].type in MULTIMODAL
        values[box] = {"text": query, "files": []} if multimodal else query
        if files:
            values.update(lay_out(self.inputs, box, query, files, self.config))
        if "history" in self.roles and (self.turns or len(self.steps) == 1):
            studio = self.inputs[self.roles["history"]].type.startswith("modelscope")
            values[self.roles["history"]] = self.form.write(history, files[:-1], studio=studio)
        return values, notes

    def output_of(self, step: Dependency) -> int | None:
        """Which output of a step holds the answer, or None."""
        return step.outputs.index(self.answer) if self.answer in step.outputs else None

    def _by_label(self, label: str) -> int:
        if (index := _place(self.inputs, label)) is not None:
            return index
        labels = [component.label for component in self.inputs if component.label]
        msg = f"The Space's function {self.api_name!r} has no input {label!r}; it has {labels}."
        raise InvalidInputError(msg)


def find_endpoint(
    config: SpaceConfig,
    where: str,
    api_name: str | None = None,
    inputs: Mapping[str, str | int] | None = None,
) -> Endpoint:
    """Find the event whose chain chats.

    Candidates take a question from a box and write a chatbot, or are the function of a
    `gr.ChatInterface`; a function that the user names may write a text instead. `_rank` says which of
    several is taken, the first where they are equal. That there was a choice is logged.

    Args:
        config: The Space's `/config`.
        where: The Space, for messages.
        api_name: Take this function, by its name on the Space's API page.
        inputs: Take these inputs, by label or index, for these roles.

    Raises:
        UnsupportedSpaceError: The Space has no such function.
        InvalidInputError: `api_name` or `inputs` name something that is not there.
    """
    wanted = None if api_name is None else api_name.removeprefix("/")
    settled = inputs or {}
    if unknown := settled.keys() - set(ROLES):
        raise InvalidInputError(f"inputs={{…}}: there is no role {unknown}; choose of {ROLES}.")
    named = [
        dependency
        for dependency in config.dependencies
        if dependency.backend_fn and wanted in (None, dependency.api_name)
    ]
    if wanted is not None and not named:
        names = [f"/{item.api_name}" for item in config.dependencies if item.api_name]
        raise InvalidInputError(f"{where} has no function {api_name!r}; it has {names}.")
    follows = {item.id for item in config.dependencies if item.trigger_after is not None}
    starts = [item for item in named if wanted is not None or item.id not in follows]
    if wanted is not None:  # a function in the midst of a chain is reached from the chain's start
        starts += [
            start
            for start in config.dependencies
            if start.id not in follows and any(step in named for step in config.chain(start))
        ]
    found = [
        endpoint
        for start in starts
        if (endpoint := _read(config, start, settled, named=wanted is not None)) is not None
    ]
    if not found:
        _check_settled(config, named, settled, where)
        subject = f"The function {api_name!r} of {where}" if wanted else f"No function of {where}"
        msg = (
            f"{subject} {'is no' if wanted else 'is a'} chat that this package recognises: one with "
            "a chatbot among its inputs and outputs and a text box for the question, or a "
            "gr.ChatInterface. If the Space does chat, name its function by api_name=… and its "
            "inputs by inputs={'query': …, 'history': …} (label or index)."
        )
        raise UnsupportedSpaceError(msg)
    best = max(found, key=_rank)
    # The page's own chain beside the function of a `gr.ChatInterface` is no other chat.
    others = [
        item for item in found if item.inputs != best.inputs and _rank(item)[0] == _rank(best)[0]
    ]
    if others:
        logger.info(
            "%s has several functions that chat. Taking %s, not %s; settle it with api_name=…",
            where,
            best.title,
            ", ".join(dict.fromkeys(item.title for item in others)),
        )
    for doubt in best.doubts:
        logger.info("%s: %s", where, doubt)
    return best


def _rank(endpoint: Endpoint) -> tuple[int | bool, ...]:
    """How good a chat it is, the first figures first."""
    return (
        endpoint.form is Form.REPLY and len(endpoint.steps) == 1,  # gr.ChatInterface's own function
        endpoint.streams,
        endpoint.turns,
        endpoint.public,
        len(endpoint.roles),
    )


def _read(
    config: SpaceConfig, start: Dependency, settled: Mapping[str, str | int], *, named: bool
) -> Endpoint | None:
    """The chain of an event as a chat, or None where it is none.

    Args:
        config: The page.
        start: The function that the event calls.
        settled: Inputs that the user named, by role.
        named: Whether the user named the function, so that a text may be its answer.
    """
    chain = config.chain(start)
    numbers = list(dict.fromkeys(number for step in chain for number in step.inputs))
    if not chain or any(len(step.inputs) > _MOST_INPUTS for step in chain):
        return None
    first = [config.component(number) for number in chain[0].inputs]
    written = [config.component(number) for step in chain for number in step.outputs]
    answers = [item for item in written if item.type in _CHATBOTS]
    setter = None
    if not answers and _is_chat_interface(first, written):
        setter = _history_function(config, written[1].id)
        answers, form = [written[0]], Form.REPLY
    elif not answers and named:
        answers, form = [item for item in written if item.type in _ANSWERS], Form.REPLY
    elif answers:
        form = _form(answers[0], config)
    if not answers:
        return None
    # A chatbot that is read as well is the conversation; the one that the user named comes first.
    read = [settled.get("history"), *(config.component(number) for number in numbers)]
    if isinstance(read[0], str | int):
        named_input = _place([config.component(n) for n in numbers], read[0])
        read[0] = None if named_input is None else config.component(numbers[named_input])
    answer = next((item for item in read if item in answers), answers[0])
    # What follows the last function that writes the answer has nothing to do with it.
    last = max(index for index, step in enumerate(chain) if answer.id in step.outputs)
    steps = chain[: last + 1]
    numbers = list(dict.fromkeys(number for step in steps for number in step.inputs))
    if len(steps) == 1:
        numbers = steps[0].inputs
    inputs = tuple(
        field
        for component in map(config.component, numbers)
        for field in (config.fields(component) if component.type == "antdform" else [component])
    )
    roles = {}
    for role, place in settled.items():
        if (index := _place(inputs, place)) is None:
            return None
        roles[role] = index
    if "history" not in roles:
        chatbots = [index for index, item in enumerate(inputs) if item.id == answer.id]
        chatbots += [index for index, item in enumerate(inputs) if item.type in _CHATBOTS]
        if chatbots and form is not Form.REPLY:
            roles["history"] = chatbots[0]
    elif form is not Form.REPLY:
        form = _form(inputs[roles["history"]], config)
    taken = set(roles.values())
    doubts = []
    for role in ROLES:
        if role in roles or role == "history":
            continue
        scores = {
            index: score
            for index, item in enumerate(inputs)
            if index not in taken and (score := _score(role, item, steps, config)) > 0
        }
        if scores:
            best, *rivals = [index for index in scores if scores[index] == max(scores.values())]
            roles[role] = best
            taken.add(best)
            if rivals:
                names = ", ".join(describe(inputs[index], index) for index in rivals)
                doubts.append(
                    f"{describe(inputs[best], best)} is taken for the {role}, though it might be "
                    f"{names}; settle it with inputs={{{role!r}: …}} (label or index)."
                )
    if "query" not in roles:
        return None
    model = inputs[roles["model"]] if "model" in roles else None
    answering = steps[-1]
    doubts += [
        f"function {step.id} runs javascript in the browser first, which is left out"
        for step in steps
        if isinstance(step.js, str) and step.inputs
    ]
    return Endpoint(
        steps=tuple(steps),
        fn_index=steps[0].id,
        api_name=answering.api_name,
        inputs=inputs,
        roles=roles,
        answer=answer.id,
        form=form,
        turns=setter is not None or ("history" in roles and not _remembers(config, steps, answer)),
        loads=tuple(_loads(config, steps)),
        rendered=False,
        models=tuple(_models(model, config)) if model else (),
        streams=any(step.types.generator for step in steps if answer.id in step.outputs),
        public=any(step.public for step in steps),
        queues=config.enable_queue if answering.queue is None else answering.queue,
        history_fn=setter.id if setter else None,
        history_form=_form(config.component(setter.inputs[0]), config) if setter else form,
        doubts=tuple(doubts),
        config=config,
    )


def _remembers(config: SpaceConfig, steps: Sequence[Dependency], answer: Component) -> bool:
    """Whether a State of the server holds the conversation, so that the chatbot's value does not count.

    Such a State is read before it is written in the chain and written there too, or is emptied
    together with the chatbot. One that an earlier step of the chain fills only carries the question.
    """
    filled: set[int] = set()
    kept: set[int] = set()  # what the chain reads before it writes it
    for step in steps:
        states = {n for n in step.inputs if config.component(n).type == "state"}
        kept |= states - filled
        filled |= set(step.outputs)
    if kept & filled:
        return True
    if not kept:
        return False
    chain = {step.id for step in steps}
    return any(
        answer.id in item.outputs and kept & {*item.inputs, *item.outputs}
        for item in config.dependencies
        if item.id not in chain
        and not any(n in steps[0].inputs for n in item.inputs if n not in kept)
    )


def _loads(config: SpaceConfig, steps: Sequence[Dependency]) -> list[Dependency]:
    """What the page calls when it is opened, where it fills what the chain reads."""
    filled = {
        item.id
        for item in (config.component(number) for step in steps for number in step.inputs)
        if item.type == "state"
        or (item.type in ("radio", "dropdown") and item.default is None and not item.choices)
    }
    return [item for item in config.on_load if filled & set(item.outputs)]


def _form(chatbot: Component, config: SpaceConfig) -> Form:
    return form_of(chatbot.type, chatbot.props.get("type"), config.release)


def _place(inputs: Sequence[Component], place: str | int) -> int | None:
    """The index of the input that the user named: by index, by label, else by key or `elem_id`."""
    if isinstance(place, int):
        return place if 0 <= place < len(inputs) else None
    labels = [(item.label,) for item in inputs]
    keys = [(item.form_key, item.props.get("elem_id")) for item in inputs]
    return next(
        (index for names in (labels, keys) for index, known in enumerate(names) if place in known),
        None,
    )


def _check_settled(
    config: SpaceConfig,
    functions: Sequence[Dependency],
    settled: Mapping[str, str | int],
    where: str,
) -> None:
    """Say which of the inputs that the user named is in none of `functions`."""
    lists = [[config.component(number) for number in item.inputs] for item in functions]
    for role, place in settled.items():
        if all(_place(inputs, place) is None for inputs in lists):
            known = {
                describe(item, index): 0 for inputs in lists for index, item in enumerate(inputs)
            }
            msg = f"{where} has no input {place!r} to be its {role}; it has {', '.join(known)}."
            raise InvalidInputError(msg)


@lru_cache(maxsize=4096)  # a page with many functions shows the same components to each
def _means(role: str, words: str) -> bool:
    """Whether words say that something has a role."""
    return re.search(_LABELS[role], words, re.IGNORECASE) is not None


def _score(role: str, item: Component, steps: Sequence[Dependency], config: SpaceConfig) -> int:
    """How well an input fits a role; 0 or less is not at all.

    A box for the question earns 1, and 4 where Enter in it calls a function, 2 each where the chain
    empties it, where it is seen, where its words say so, 3 where the first of several functions reads
    it; a value of its own costs 4. A system box earns 4 by its words, 3 by a value that reads like a
    prompt, 2 where it is hidden or is called a prompt in a later function. A model earns 2 by its words
    and 2 by its choices; a number earns 2 by its words.
    """
    labelled = _means(role, item.words)
    default = item.default if isinstance(item.default, str) else ""
    if role == "query":
        if (
            item.type not in _TEXTS
            or item.form_key is not None
            or item.props.get("interactive") is False
            or _means("system", item.label)
        ):
            return 0
        submits = item.id in config.submitted
        cleared = any(item.id in step.outputs for step in steps)
        first = len(steps) > 1 and item.id in steps[0].inputs
        score = 1 + 4 * submits + 2 * cleared + 2 * item.visible + 2 * labelled + 3 * first
        return score - 4 * bool(default)
    if role == "system":
        if item.type != "textbox":
            return 0
        # A hidden box also carries what the page needs to know: a name, a language, an id.
        hidden = not item.visible and not item.label and (not default or " " in default)
        prompt = (
            not item.label and item.id not in steps[0].inputs and _PROMPT_BOX.search(item.words)
        )
        score = 4 * labelled + 3 * bool(_PROMPT.search(default))
        return score + 2 * (bool(hidden or prompt) and not labelled)
    if role == "model":
        if item.type not in ("radio", "dropdown"):
            return 0
        names = [choice for choice in _models(item, config) if isinstance(choice, str)]
        return 2 * labelled + 2 * bool(_MODEL_NAME.search(" ".join(names)))
    return 2 * labelled if item.type in _NUMBERS else 0


def _models(item: Component, config: SpaceConfig) -> list[str]:
    """What a radio or dropdown of models offers.

    One without choices of its own is fed by others (on Qwen/Qwen2.5, three visible radios write
    their value into the hidden one that the function reads): then their choices count.
    """
    choices = item.choices
    if not choices:
        feeders = {
            number: None
            for dependency in config.dependencies
            if item.id in dependency.outputs
            for number in dependency.inputs
        }
        for component in config.components:
            if component.id in feeders:
                choices = choices + component.choices
    return [choice for choice in dict.fromkeys(choices) if isinstance(choice, str)]


def _is_chat_interface(inputs: Sequence[Component], outputs: Sequence[Component]) -> bool:
    """Whether these are the inputs and outputs of a `gr.ChatInterface`'s own API function."""
    return (
        len(inputs) >= 2
        and inputs[0].type in _TEXTS
        and inputs[1].type == "state"
        and len(outputs) >= 2
        and outputs[0].type in ("json", "textbox")
        and not outputs[0].visible
        and outputs[1].type == "state"
    )


def _history_function(config: SpaceConfig, state: int) -> Dependency | None:
    """The function that writes a chatbot's value into the state that keeps the history."""
    for dependency in config.dependencies:
        if (
            dependency.backend_fn
            and state in dependency.outputs
            and len(dependency.inputs) == 1
            and config.component(dependency.inputs[0]).type in _CHATBOTS
        ):
            return dependency
    return None
