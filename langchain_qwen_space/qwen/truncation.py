"""Where an answer is cut client-side: at the first stop string, and after `max_tokens` tokens.

Both cutters are fed a stream of pieces. Each returns at once all that no continuation of the text
can take back, and holds only the rest. The cost of a piece never depends on how much came before
it.
"""

import re
import unicodedata
from collections.abc import Sequence

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen.tokens import TokenCounter

_LONGEST_TOKEN = 128  # bytes; of Qwen's vocabulary


class StopStrings:
    """Cuts a stream of text exactly before the first stop string, however it is split.

    First is the stop string that starts earliest in the text, not the one that is complete first:
    with the stops "abcd" and "bc", "abc" is held until it is known whether a "d" follows. Where
    two start at the same place the shorter one counts, as nothing is gained by waiting for the
    longer one. So the result is the same for every way of splitting the text.

    Attributes:
        found: The stop string that ended the text, or None as long as there is none.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Take the stop strings; with none of them all text passes.

        Raises:
            InvalidInputError: A stop string is empty.
        """
        if not all(stops):
            raise InvalidInputError(
                "A stop string is empty, and would end every answer before its first character. "
                "Leave it out of `stop`."
            )
        self.found: str | None = None
        self._stops = sorted(set(stops), key=len)
        self._longest = max(map(len, stops), default=0)
        self._stop = re.compile("|".join(map(re.escape, self._stops)))
        first = re.escape("".join({stop[0] for stop in stops}))
        self._first = re.compile(f"[{first}]" if first else "(?!)")  # (?!) matches nothing
        self._held = ""

    def feed(self, fragment: str) -> str:
        """Return what may be handed on now: "" while held back, and after a stop string."""
        if self.found is not None:
            return ""
        if not self._held and not self._first.search(fragment):
            return fragment
        text = self._held + fragment
        match = self._stop.search(text)
        undecided = self._first_undecided(text, match.start() if match else len(text))
        if match and undecided == match.start():
            self.found, self._held = match.group(), ""
        else:
            self._held = text[undecided:]
        return text[:undecided]

    def finish(self) -> str:
        """Return what was held back: the text ends here, and only a whole stop string counts."""
        text, self._held = self._held, ""
        match = self._stop.search(text) if text else None
        if match is None:
            return text
        self.found = match.group()
        return text[: match.start()]

    def _first_undecided(self, text: str, end: int) -> int:
        """Return the first place before `end` where a stop string may have begun, else `end`."""
        position = max(0, len(text) - self._longest + 1)
        while begin := self._first.search(text, position, end):
            position = begin.start()
            rest = text[position:]
            if any(stop.startswith(rest) for stop in self._stops):
                return position
            position += 1
        return end


class TokenLimit:
    """Cuts a stream of text at its longest prefix that counts at most so many tokens.

    Text that fits is handed on at once. A longer text may count less than a shorter one (" worl"
    is two tokens, " world" one), so what does not fit is held until no token can still come to
    cover it; then the limit is reached. So the result is the same for every way of splitting the
    text. The cut falls between two characters, never inside one.

    Args:
        limit: The most tokens that the text may count.
        counter: What counts them.

    Attributes:
        reached: Whether the text was cut: there was more of it than the limit allows.
    """

    def __init__(self, limit: int, counter: TokenCounter) -> None:
        self.reached = False
        self._left = limit
        self._counter = counter
        self._open = ""  # the text's last segment, the only one whose count can still change
        self._given = 0  # how many characters of it have been handed on

    def feed(self, fragment: str) -> str:
        """Return what may be handed on now: "" once the limit is reached."""
        if self.reached or not fragment:
            return ""
        text, given, end = self._open + fragment, self._given, 0
        *closed, self._open = self._counter.segments(text)
        for segment in closed:
            tokens = self._counter.count(segment)
            if tokens > self._left:
                self.reached = True
                return text[given : end + self._fitting(segment)]
            self._left -= tokens
            end += len(segment)
        self._given = self._fitting(self._open)
        self.reached = self._given < len(self._open) and self._is_final()
        return text[given : end + self._given]

    def finish(self) -> str:
        """Return "": text that fits was handed on before, and the rest does not fit."""
        self.reached = self.reached or self._given < len(self._open)
        return ""

    def _fitting(self, segment: str) -> int:
        """Return how many characters of a segment fit into what is left."""
        for end in range(len(segment), 0, -1):
            if self._counter.count(segment[:end]) <= self._left:
                return end
        return 0

    def _is_final(self) -> bool:
        """Return whether no continuation makes more of the open segment fit than does now.

        In a longer text, one token covers the last character of this one. What precedes that
        token counts as it does alone, so it must leave a token over, and the token must begin with
        what follows it.
        """
        if self._left == 0 or len(self._open) - self._given > _LONGEST_TOKEN:
            return True
        if self._open[-1].isspace():  # spaces are split differently when more of them follow
            return False
        # The last character may yet change: a combining mark may follow it.
        text = unicodedata.normalize("NFC", self._open)[:-1]
        return self._counter.count(text) >= self._left and not self._may_fit(
            text.encode(errors="replace"), self._left
        )

    def _may_fit(self, text: bytes, limit: int) -> bool:
        """Return whether some token that covers the end of the text makes it fit."""
        return any(
            self._counter.may_begin_token(text[at:]) and self._fits(text[:at], limit - 1)
            for at in range(len(text))
        )

    def _fits(self, text: bytes, limit: int) -> bool:
        try:
            return self._counter.count(text.decode()) <= limit
        except UnicodeDecodeError:  # a token may end inside a character
            return self._may_fit(text, limit)
