"""What the inputs of a chat are for: the words that say it, and the score that settles it.

`score` says what is ruled out, `SCORES` what earns points. Each role looks at the components of
some types; of those, the one with the most points has the role, the first where several are equal,
and none that has no point.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from langchain_qwen_space.space.chat.files import MULTIMODAL
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

ROLES = (
    *("query", "history", "system", "model", "temperature", "top_p"),
    *("thinking_budget", "max_tokens", "thinking"),
)
"""What an input of a chat may be. Any other keeps its own value."""

NUMBERS = ("slider", "number")
CHOICES = ("radio", "dropdown")
SETTINGS = ("textbox", "checkbox", *CHOICES, *NUMBERS)
_TYPES = {
    "query": ("textbox", "antdxsender", "antdinput", "antdinputtextarea", *MULTIMODAL),
    "system": ("textbox",),
    "model": CHOICES,
    "temperature": NUMBERS,
    "top_p": NUMBERS,
    "thinking_budget": NUMBERS,
    "max_tokens": NUMBERS,
    "thinking": ("checkbox", *CHOICES),
}
# In English, Chinese, Korean, Japanese, French, German, Spanish, Portuguese, Russian.
_THINKING = (
    r"\b(enable_)?think|\breasoning\b|思考|推理|推論|추론|생각|사고|réflexion|raisonnement|denken|denkmodus"
    r"|pensar|pensamiento|razonamiento|pensamento|raciocínio|мышлен|рассужд|размышл"
)
_BUDGET = r"budget|预算|預算|予算|예산|presupuesto|orçamento|бюджет"
_MOST = r"max|máx|最大|최대|макс|höchst"
_SIZE = r"token|length|jeton|令牌|토큰|トークン|токен|长度|長度|길이|longueur|länge|longitud|comprimento|длин"
_WORDS = {
    "query": r"\b(input|query|question|message|prompt|ask|user)\b|输入|輸入|问题|提问|입력|질문|메시지|入力|質問"
    r"|メッセージ|frage|nachricht|eingabe|pregunta|mensaje|pergunta|mensagem|вопрос|сообщение",
    "system": r"\bsystem|\bsys_?prompt|\binstructions\b|系统|系統|人设|人設|角色设定|角色設定|시스템|システム"
    r"|syst[eè]me|sistema|систем",
    "model": r"\bmodels?\b|\bmodel_|模型|모델|モデル|mod[eè]le|\b(sprach)?modell|modelo|модел",
    "temperature": r"temp[eé]ratur|温度|溫度|온도|температур",
    "top_p": r"top[\s_-]?p\b|nucleus|核采样|核採樣|핵\s*샘플링|核サンプリング",
    "thinking_budget": r"(think|reason)\w*[\s_-]*(budget|tokens|length)|denkbudget|思考.*(長さ|长度|長度)"
    rf"|({_THINKING}).*({_BUDGET})|({_BUDGET}).*({_THINKING})",
    "max_tokens": rf"({_MOST}).*({_SIZE}|len(?![a-z])|長)|({_SIZE}).*({_MOST})|num_predict|最长|最大生成",
    "thinking": _THINKING,
}
_IN = re.compile(  # a limit of what goes into the model
    r"\b(input|prompt|context|history|conversation|dialog(ue)?|memory|document|chunk|turns?)\b|输入|輸入"
    r"|历史|歷史|上下文|对话|對話|입력|이력|대화|컨텍스트|문맥|入力|履歴|文脈|会話|historique|contexte|entrée"
    r"|verlauf|kontext|eingabe|historial|contexto|entrada|histórico|истори|контекст|ввод",
    re.IGNORECASE,
)
_OUT = re.compile(  # a limit of what comes out
    r"\bnew|output|generat|respon|answer|repl(y|ies)|completion|生成|输出|輸出|回复|回覆|回答|생성|출력|응답"
    r"|답변|出力|応答|nouve|génér|réponse|sortie|\bneue|antwort|ausgabe|nuevo|respuesta|salida|resposta|saída"
    r"|нов|ответ|вывод|генер",
    re.IGNORECASE,
)
_ASIDE = re.compile(  # what stands beside an answer
    r"\b(tools?|logs?|steps?|traces?|debug|sources?|citations?|references?|retriev\w+|status)\b"
    r"|日志|工具|步骤|来源|로그|도구|ログ|ツール",
    re.IGNORECASE,
)
_PROMPT = re.compile(r"\byou are\b|\bassistant\b|你是|助手", re.IGNORECASE)
_PROMPT_BOX = re.compile(r"\bprompt\b|\binstruction|提示", re.IGNORECASE)
_MODEL_NAME = re.compile(r"\b\d+(\.\d+)?[bm]\b|qwen|llama|gpt|mistral|deepseek", re.IGNORECASE)
_OFF = re.compile(
    r"\b(no|non|not|off|disabled?|without|false|fast|quick|instant)\b|no_|不|非|快|关|關|끄|なし|オフ",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An input of a chat, and where it stands."""

    role: str
    item: Component
    steps: Sequence[Dependency]
    config: SpaceConfig

    @property
    def default(self) -> str:
        """Its own text, if it has one."""
        return self.item.default if isinstance(self.item.default, str) else ""

    @property
    def named(self) -> bool:
        """Whether its words say the role."""
        return means(self.role, self.item.words)

    @property
    def is_silent(self) -> bool:
        """Whether it is a hidden box that may hold a prompt.

        A hidden box also carries what the page needs to know: a name, a language, an id.
        """
        item = self.item
        writers = [step for step in self.config.dependencies if item.id in step.outputs]
        return (
            not item.visible
            and not item.label
            and (not self.default or " " in self.default)
            # What no text goes into, a function makes up: the id of a session.
            and all(
                any(self.config.component(number).type == "textbox" for number in step.inputs)
                for step in writers
            )
        )

    @property
    def is_carried(self) -> bool:
        """Whether it is hidden and an earlier function fills it before another reads it."""
        filled: set[int] = set()
        for step in self.steps:
            if self.item.id in step.inputs:
                return not self.item.visible and self.item.id in filled
            filled.update(step.outputs)
        return False

    @property
    def is_later_prompt(self) -> bool:
        """Whether it is a box without a label, called a prompt, that the first function leaves."""
        item = self.item
        later = not item.label and item.id not in self.steps[0].inputs
        return later and _PROMPT_BOX.search(item.words) is not None

    @property
    def offers_thinking(self) -> bool:
        """Whether it is a choice of two between thinking and not."""
        return any(means("thinking", choice) for choice in thinking_choices(self.item) or ())


class Rule(NamedTuple):
    """Points for an input: why, and whether."""

    points: int
    why: str
    holds: Callable[[Candidate], bool]


_NAMED = Rule(2, "its words say so", lambda seen: seen.named)
SCORES: dict[str, tuple[Rule, ...]] = {
    "query": (
        Rule(1, "it takes text", lambda seen: True),
        Rule(4, "Enter in it calls a function", lambda seen: seen.item.id in seen.config.submitted),
        Rule(
            *(3, "the first of several functions reads it"),
            lambda seen: len(seen.steps) > 1 and seen.item.id in seen.steps[0].inputs,
        ),
        Rule(
            *(2, "the chain empties it"),
            lambda seen: any(seen.item.id in step.outputs for step in seen.steps),
        ),
        Rule(2, "a person sees it", lambda seen: seen.item.visible),
        _NAMED,
        Rule(-4, "it has a text already", lambda seen: bool(seen.default)),
    ),
    "system": (
        Rule(4, "its words say so", lambda seen: seen.named),
        Rule(*(3, "its text reads like a prompt"), lambda seen: bool(_PROMPT.search(seen.default))),
        Rule(
            *(2, "it is hidden without a label, or called a prompt in a later function"),
            lambda seen: not seen.named and (seen.is_silent or seen.is_later_prompt),
        ),
    ),
    "model": (
        _NAMED,
        Rule(
            *(2, "it offers names of models"),
            lambda seen: bool(_MODEL_NAME.search(" ".join(models(seen.item, seen.config)))),
        ),
    ),
    "temperature": (_NAMED,),
    "top_p": (_NAMED,),
    "thinking_budget": (_NAMED,),
    "max_tokens": (
        _NAMED,
        Rule(
            *(-2, "its words are about what goes in"),
            lambda seen: bool(_IN.search(seen.item.words)) and not _OUT.search(seen.item.words),
        ),
        Rule(
            *(1, "its words are about what comes out"),
            lambda seen: seen.named and bool(_OUT.search(seen.item.words)),
        ),
    ),
    "thinking": (
        _NAMED,
        Rule(1, "it offers to think and not to", lambda seen: seen.offers_thinking),
    ),
}


def score(role: str, item: Component, steps: Sequence[Dependency], config: SpaceConfig) -> int:
    """How many points an input has for a role; 0 or less is none at all."""
    if item.type not in _TYPES[role] or item.secret:
        return 0
    if role == "query" and (
        item.form_key is not None
        or item.props.get("interactive") is False
        or means("system", item.label)
    ):
        return 0
    if role == "thinking" and item.type in CHOICES and thinking_choices(item) is None:
        return 0
    seen = Candidate(role, item, steps, config)
    if role != "query" and seen.is_carried:
        return 0
    return sum(rule.points for rule in SCORES[role] if rule.holds(seen))


@lru_cache(maxsize=4096)  # a page with many functions shows the same components to each
def means(role: str, words: str) -> bool:
    """Whether words say that something has a role."""
    return re.search(_WORDS[role], words, re.IGNORECASE) is not None


def calls_itself_answer(item: Component) -> int:
    """How much words say that something is the answer: 1 if so, -1 if it is for thoughts or tools."""
    aside = means("thinking", item.words) or _ASIDE.search(item.words) is not None
    return bool(_OUT.search(item.words)) - aside


def place(inputs: Sequence[Component], named: str | int) -> int | None:
    """The index of the input that a caller named.

    By index, else by label, else by the key in its form, by `FORM.KEY` (the form's label or
    `elem_id`), by `elem_id`, or by the name of the function's parameter.
    """
    if isinstance(named, int):
        return named if 0 <= named < len(inputs) else None
    labels = [(item.label,) for item in inputs]
    names = [
        (item.form_key, f"{item.form}.{item.form_key}", item.props.get("elem_id"), item.parameter)
        for item in inputs
    ]
    return next(
        (index for known in (labels, names) for index, these in enumerate(known) if named in these),
        None,
    )


def models(item: Component, config: SpaceConfig) -> list[str]:
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


def thinking_choices(item: Component) -> tuple[str, str] | None:
    """The values of a choice of two that switch thinking off and on; None for another choice."""
    choices = [choice for choice in item.choices if isinstance(choice, str)]
    if len(choices) != 2 or len(item.choices) != 2:
        return None
    off = [choice for choice in choices if _OFF.search(choice)]
    if len(off) != 1:
        return None
    return off[0], next(choice for choice in choices if choice != off[0])
