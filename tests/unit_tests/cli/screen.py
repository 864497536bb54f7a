"""A terminal of which a test can read what a person would see."""

import pyte


class Screen:
    """Takes what a program writes, and knows what is on the window and what has scrolled away."""

    def __init__(self, columns: int = 60, rows: int = 15) -> None:
        self.columns, self.rows = columns, rows
        self._screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=0.5)
        self._screen.set_mode(pyte.modes.LNM)  # a bare newline begins a line, as after a tty
        self._stream = pyte.Stream(self._screen)

    def write(self, text: str) -> int:
        """As a file does."""
        self._stream.feed(text)
        return len(text)

    def flush(self) -> None:
        """As a file does."""

    def isatty(self) -> bool:
        return True

    @property
    def window(self) -> list[str]:
        """The rows of the window."""
        return [row.rstrip() for row in self._screen.display]

    @property
    def lines(self) -> list[str]:
        """All rows: those that have scrolled away, then the window's, without empty ones below."""
        gone = [
            "".join(row[x].data for x in range(self.columns)) for row in self._screen.history.top
        ]
        return "\n".join([*(row.rstrip() for row in gone), *self.window]).rstrip().split("\n")
