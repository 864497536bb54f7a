"""How many tokens a text is to Qwen2.5.

With `dashscope`'s vocabulary and tiktoken (the extra `tokens`) the count is that of Qwen2.5's own
tokenizer, else an estimate. What a server really counts may differ: it may cut or wrap the text,
and a Space reports no numbers.

Control strings: the server reads the rendered prompt as one text, so a literal `<|im_end|>` or
`<tool_call>` that a user wrote becomes the same single token as the template's own. Both counters
count it as one.

Source of the rules: Qwen2.5's `tokenizer_config.json` and `tokenizer.json` on Hugging Face.
"""

import re
import threading
import unicodedata
from abc import ABC, abstractmethod
from base64 import b64decode
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

# How the tokenizer cuts text before it merges bytes inside each piece.
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_VOCABULARY_SIZE = 151_643
_ADDED = (  # in the order of their ids, from _VOCABULARY_SIZE on
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>"),
    *("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>"),
    *("</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>"),
)

# Where text can be cut so that neither side changes the other's pieces, its NFC form or an added
# token, whatever precedes and follows: before blanks, around digits, and after letters that no
# mark changes. Added tokens hold no blanks and no digits, and of other characters only `_|>/`
# after their first one.
_LETTER = r"A-Za-zА-Яа-я\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
_CJK_MARK = r"\u2018-\u201d\u2026\u3001-\u3003\u3008-\u3011\uff01-\uff0f\uff1a-\uff20"
_BOUNDARY = re.compile(
    r"(?<=\S)(?=[0-9 \t\u3000])"
    rf"|(?<=[0-9])(?=[\r\n!-~{_LETTER}{_CJK_MARK}])"
    rf"|(?<=[{_LETTER}])(?=[\r\n!-.:-=?@\[-^`{{}}~{_CJK_MARK}])"
)
# Where a run continues for twice that many characters without such a place, it is cut between two
# tokens. What follows could only change tokens so far back if, all the way, each pair of tokens had
# a lower rank than the pair on its left, which no text does over hundreds of characters.
_RUN = 512


class TokenCounter(ABC):
    """Counts tokens.

    Attributes:
        source: Whether the counts are the tokenizer's own or an estimate.
    """

    source: ClassVar[Literal["tokenizer", "estimate"]]

    def count(self, text: str) -> int:
        """Returns how many tokens the text is."""
        return len(self._tokens(text))

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Returns the ids of the tokens of the text.

        Raises:
            ImportError: The vocabulary is not installed.
        """

    def segments(self, text: str) -> list[str]:
        """Returns the text in parts whose counts add up, whatever follows it.

        So any longer text counts what all parts but the last do, and what its rest from there on
        does. No part is longer than about a thousand characters.
        """
        parts = []
        for part in _BOUNDARY.split(text):
            at = 0
            while len(part) - at > 2 * _RUN and (
                n := self._between_tokens(part[at : at + 2 * _RUN])
            ):
                parts.append(part[at : at + n])
                at += n
            parts.append(part[at:])
        return parts

    @abstractmethod
    def may_begin_token(self, start: bytes) -> bool:
        """Returns whether a token may be these bytes of UTF-8, alone or with others after them."""

    @abstractmethod
    def _tokens(self, text: str) -> list[int] | list[str]: ...

    def _between_tokens(self, run: str) -> int:
        """Returns the last place up to _RUN that is between two tokens, or 0."""
        tokens = self._tokens(run)
        for end in range(_RUN, 0, -1):
            start = self._tokens(run[:end])
            if start == tokens[: len(start)]:
                return end
        return 0


class Tokenizer(TokenCounter):
    """Qwen2.5's own tokenizer.

    Args:
        ranks: The vocabulary: the bytes of each token and its id.
    """

    source = "tokenizer"

    def __init__(self, ranks: Mapping[bytes, int]) -> None:
        import tiktoken

        self._encoding = tiktoken.Encoding(
            "qwen2.5",
            pat_str=_PIECES,
            mergeable_ranks=dict(ranks),
            special_tokens={text: _VOCABULARY_SIZE + i for i, text in enumerate(_ADDED)},
        )
        self._sorted = sorted([*ranks, *(text.encode() for text in _ADDED)])

    def encode(self, text: str) -> list[int]:
        """Returns the ids of the tokens of the text, NFC-normalised."""
        text = unicodedata.normalize("NFC", text)
        try:
            return self._encoding.encode(text, allowed_special="all")
        except ValueError:  # its regex engine gives up on hundreds of thousands of blanks in a row
            middle = len(text) // 2
            return self.encode(text[:middle]) + self.encode(text[middle:])

    _tokens = encode

    def may_begin_token(self, start: bytes) -> bool:
        """Returns whether the vocabulary has a token that begins with the bytes."""
        at = bisect_left(self._sorted, start)
        return at < len(self._sorted) and self._sorted[at].startswith(start)


# One match a token. Lengths are tuned with benchmarks/token_estimate.py.
_LATIN = r"a-zA-Z\u00c0-\u024f\u1e00-\u1eff"
_ACCENTED = r"[\u00c0-\u024f\u1e00-\u1eff]"
# Letters that are common in German, Polish, Indonesian, Finnish, … and rare in English and in code.
_NOT_ENGLISH = (
    r"(?:aa|ii|uu|kk|k[aou]|ek|[cs]z|rz|wy|ny|cht|sch|ung|zio"
    rf"|(?:[aiuz]|[ae]n|ie|[ai]k|ang|tt)(?![{_LATIN}]))"
)
_MARK = r"!-/:-@\[-`{-~"
_CHINESE_ALONE = (  # common characters that are seldom merged with their neighbours
    "的了是在和与或不有将被为从对到由用也就都而但并及其我你他她它这那来时要会能可以让等所如"
    "們個來時為說國學會對開關於後從當無過還這將與應該種問題動點樣實現數選"
)
_GUESS = re.compile(
    rf"""
  </?tool_call> | <\|[a-z_]{{1,18}}\|>
| (?=[\u0a00-\u0b7f\u0c00-\u0fff\u1000-\u109f])(?=\W)  # vowel signs of these scripts are two
| \ ?[{_LATIN}]{{1,4}}(?![{_LATIN}])                   # short words, accents or not
| \ ?[A-Z]?[a-z]{{1,2}}(?=[a-z]{{0,20}}{_ACCENTED})      # words with accents later on
| \ ?[A-Z]?[a-z]{{1,3}}(?=[a-z]{{0,20}}{_NOT_ENGLISH})   # words of other languages
| (?:\ |(?<![a-zA-Z]))[A-Z]?[a-z]{{1,4}}(?=[a-z]{{0,20}}o(?![a-zA-Z]))
| \ ?(?:[A-Z]?[a-z]{{1,9}}|[A-Z]{{1,5}})               # other words, cut at camelCase
| [{_MARK}\t](?:[A-Z]?[a-z]{{1,4}}|[A-Z]{{1,5}})       # words with a mark before them
| \ ?[{_LATIN}][a-z]?                                  # long words with accents fall to bits
| [{_CHINESE_ALONE}] | [\u4e00-\u9fff]{{1,2}}
| [\u3041-\u309f]{{1,2}} | [\u30a0-\u30ff]{{1,2}}      # Japanese
| \ [가-힣] | [가-힣]{{1,2}} | [\u0e00-\u0e7f]{{1,2}}  # Korean, Thai
| \ ?[а-яА-ЯёЁ]{{1,3}} | \ ?[\u0621-\u064a]{{1,3}}     # Russian, Arabic
| \ ?[א-ת]{{1,2}}                                      # Hebrew
| \ ?[\u0080-\u052f]                                   # Greek, letters of other languages
| \ ?[{_MARK}]{{1,4}}[\r\n]{{0,32}}
| \s{{0,64}}[\r\n]{{1,32}} | \s{{1,64}}(?!\S) | \s
| .                                                    # digits, and all other scripts
""",
    re.VERBOSE | re.DOTALL,
)
_LONGEST_GUESS = 24  # bytes of the longest match, blanks apart


class Estimate(TokenCounter):
    """Counts without a vocabulary.

    How far it is off, measured with benchmarks/token_estimate.py over 30,000 to 230,000 tokens of
    each kind; in brackets the root mean square over texts of 2,000 characters:

    - English +1 % (3), as in READMEs -2 % (6), as in licences +8 % (11)
    - Python +1 % (4), C -0 % (6), JavaScript -7 % (11), JSON -3 % (6)
    - Chinese, simplified -1 % (3), traditional -12 % (12); Japanese +1 % (5); Korean -8 % (9)
    - Spanish +2 % (6), Portuguese +1 % (5), French -4 % (6), Italian -6 % (7), Turkish -3 % (6),
      German -7 % (9), Polish -8 % (9), Indonesian -9 % (10), Hungarian -13 % (14), Finnish -17 % (18)
    - Vietnamese -4 % (7), Russian +6 % (10), Ukrainian -14 % (14), Greek -1 % (2), Arabic -8 % (8),
      Hebrew +6 % (9), Hindi +7 % (8), Tamil -9 % (9), Thai +10 % (11)
    """

    source = "estimate"

    def encode(self, text: str) -> list[int]:
        """Raises ImportError: ids cannot be estimated, and made-up ones would pass for real."""
        msg = (
            "Token ids need Qwen's vocabulary, which is not installed. "
            "Install it with: pip install 'langchain-qwen-space[tokens]'. "
            "Without it, get_num_tokens gives an estimate."
        )
        raise ImportError(msg)

    def _tokens(self, text: str) -> list[str]:
        return _GUESS.findall(text)

    def may_begin_token(self, start: bytes) -> bool:
        """Returns whether they are few enough for that, and begin with a character."""
        return len(start) < _LONGEST_GUESS and not 0x80 <= start[0] < 0xC0


def load() -> TokenCounter:
    """Returns the tokenizer if its vocabulary and tiktoken are installed, else the estimate.

    It is loaded once in a process, for all threads. That takes a quarter of a second or more and
    65 MB, so call it off the event loop the first time. It imports neither dashscope nor
    transformers.
    """
    with _loading:
        return _load()


def loaded() -> TokenCounter | None:
    """Returns what `load` returns if that takes no time any more, else None."""
    return _load() if _load.cache_info().currsize else None


def count_prompt(
    counter: TokenCounter, system: str, history: Iterable[tuple[str, str]], query: str
) -> int:
    r"""Returns how many tokens a prompt is as Qwen2.5's chat template renders it.

    That is `<|im_start|>role\n…<|im_end|>\n` for the system prompt (also an empty one) and every
    turn, and `<|im_start|>assistant\n` at the end.

    Args:
        counter: What counts.
        system: The system prompt, with the tools in it.
        history: Earlier turns as pairs of what the user and the assistant said.
        query: The last user turn.
    """
    turns = [("system", system)]
    for user, assistant in history:
        turns += [("user", user), ("assistant", assistant)]
    turns.append(("user", query))
    rendered = (f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return sum(map(counter.count, rendered)) + counter.count("<|im_start|>assistant\n")


_loading = threading.Lock()


@cache
def _load() -> TokenCounter:
    ranks = _vocabulary()
    # dashscope may come to carry the vocabulary of another generation of models.
    if len(ranks) != _VOCABULARY_SIZE or find_spec("tiktoken") is None:
        return Estimate()
    return Tokenizer(ranks)


def _vocabulary() -> dict[bytes, int]:
    """Reads the vocabulary out of the dashscope package, which is slow to import itself."""
    spec = find_spec("dashscope")
    for place in (spec and spec.submodule_search_locations) or ():
        file = Path(place, "resources", "qwen.tiktoken")
        if file.is_file():
            lines = (line.split() for line in file.read_bytes().splitlines())
            return {b64decode(token): int(rank) for token, rank in lines}
    return {}
