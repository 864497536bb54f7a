"""What one app was seen to do: texts that it takes back, and the order in which it shows turns.

"Analysing…" until the answer begins, or a cursor `▌` at its end: a stream that has handed them out
cannot take them back. So what an app was seen to replace is held back from its later streams, until
more text follows it, or the answer is complete.
"""

from dataclasses import dataclass
from threading import Lock

from langchain_qwen_space.space.chat.chatbot import solid

_LONGEST = 200  # characters of a text that is remembered
_MOST = 16  # texts that are remembered of each kind; the oldest goes first
_TWICE = 2  # times that an ending has to be seen, for other texts end alike by chance


@dataclass(frozen=True, slots=True)
class Seen:
    """What an app was known to replace when a call began."""

    before: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()

    def without(self, text: str) -> str:
        """What of a growing text may be handed out: all but a placeholder."""
        if any(known.startswith(text) for known in self.before):
            return ""
        for ending in self.behind:
            if text.endswith(ending):
                return text.removesuffix(ending).rstrip()
        return text


class Habits:
    """What one app was seen to do. One object serves all calls, in any thread.

    Attributes:
        newest_first: Whether it was seen to show the newest turn on top.
    """

    def __init__(self) -> None:
        self.newest_first = False
        self._lock = Lock()
        self._before: dict[str, int] = {}
        self._behind: dict[str, int] = {}

    @property
    def seen(self) -> Seen:
        """What is known now."""
        with self._lock:
            behind = (text for text, count in self._behind.items() if count >= _TWICE)
            return Seen(tuple(self._before), tuple(behind))

    def learn(self, old: str, new: str) -> None:
        """Note that the app replaced `old`, which is not what `new` begins with."""
        common = common_length(old, new)
        ending = old[common:]
        if common == len(new) or len(ending) > _LONGEST:
            return
        if common and new.endswith(ending):
            _count(self._behind, ending, self._lock)
        # Where only blank space changed, the server has re-indented the text.
        elif 2 * common < len(old) and not solid(new).startswith(solid(old)):
            _count(self._before, old, self._lock)


def common_length(one: str, other: str) -> int:
    """How many characters both begin with, found in logarithmically many comparisons."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _count(seen: dict[str, int], text: str, lock: Lock) -> None:
    with lock:
        seen[text] = seen.pop(text, 0) + 1
        if len(seen) > _MOST:
            del seen[next(iter(seen))]
