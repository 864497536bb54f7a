import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen.tokens import Estimate, Tokenizer, load
from langchain_qwen_space.qwen.truncation import StopStrings, TokenLimit

LETTERS = "ab\n界"  # few letters, so that stop strings overlap and recur
TEXTS = st.text(LETTERS, max_size=24)
STOPS = st.lists(st.text(LETTERS, min_size=1, max_size=5), min_size=1, max_size=4)
FRAGMENTS = st.lists(st.text(LETTERS, max_size=6), max_size=12)


def stop_all(stops, fragments):
    cutter = StopStrings(stops)
    released = "".join([*map(cutter.feed, fragments), cutter.finish()])
    return released, cutter.found


def cut_whole(stops, text):
    """The text before the earliest stop string, and that stop string; ties go to the shorter."""
    at = [(text.index(stop), len(stop), stop) for stop in stops if stop in text]
    if not at:
        return text, None
    start, _, stop = min(at)
    return text[:start], stop


class TestStopStrings:
    @given(STOPS, FRAGMENTS)
    def test_every_split_gives_the_text_before_the_earliest_stop_string(self, stops, fragments):
        assert stop_all(stops, fragments) == cut_whole(stops, "".join(fragments))

    @given(STOPS, FRAGMENTS)
    def test_only_the_shortest_suffix_that_may_still_become_a_stop_string_is_held(
        self, stops, fragments
    ):
        cutter = StopStrings(stops)
        released = seen = ""
        for fragment in fragments:
            released += cutter.feed(fragment)
            seen += fragment
            # What any continuation keeps. No continuation does more than complete one stop string.
            endings = [seen, *(seen + s[cut:] for s in stops for cut in range(1, len(s)))]
            assert released == min((cut_whole(stops, text)[0] for text in endings), key=len)

    @given(STOPS, TEXTS, TEXTS)
    def test_a_stop_string_is_reported_as_soon_as_nothing_can_precede_it(self, stops, text, more):
        cutter = StopStrings(stops)
        cutter.feed(text)
        if cutter.found is not None:
            assert cutter.found == cut_whole(stops, text + more)[1]

    def test_the_earliest_start_wins_over_the_earliest_end(self):
        assert stop_all(["abcd", "bc"], ["xabc", "d"]) == ("x", "abcd")
        assert stop_all(["abcd", "bc"], ["xabc", "e"]) == ("xa", "bc")
        assert stop_all(["abcd", "bc"], ["xabc"]) == ("xa", "bc")

    def test_of_two_at_one_place_the_shorter_counts_without_waiting(self):
        cutter = StopStrings(["\n\n", "\n"])
        assert cutter.feed("a\n") == "a"
        assert cutter.found == "\n"

    def test_what_follows_a_stop_string_is_dropped(self):
        cutter = StopStrings(["END"])
        assert cutter.feed("one END two") == "one "
        assert cutter.feed("three") == ""
        assert cutter.finish() == ""
        assert cutter.found == "END"

    def test_text_that_cannot_begin_a_stop_string_passes_untouched(self):
        fragment = "nothing of the kind here"
        assert StopStrings(["Observation:"]).feed(fragment) is fragment

    def test_characters_that_mean_something_in_a_pattern_are_plain_text(self):
        assert stop_all(["^]", "-", ".*"], ["a[b]", "c^", "]d"]) == ("a[b]c", "^]")

    def test_no_stop_strings_let_all_text_pass(self):
        assert stop_all([], ["a", "", "b\n"]) == ("ab\n", None)

    def test_an_empty_stop_string_is_refused(self):
        with pytest.raises(InvalidInputError, match="empty"):
            StopStrings(["END", ""])


# A vocabulary that has all that makes counting hard: a longer text that is fewer tokens ("hell" is
# two, "hello" one), characters of several tokens, tokens that begin or end inside a character
# ("\xa1好好"), accents that change the letter before them, and runs of blanks.
MERGED = [
    b"he",
    b"ll",
    b"llo",
    b"hello",
    b" h",
    b"\xc3\xa9",
    b"l\xc3\xa9",
    b"\xc7\xbf",
    b"\xe4\xbd",
]
MERGED += [b"\xe5\xa5", b"\xe5\xa5\xbd", "好好".encode(), b"\xa1" + "好好".encode(), "你".encode()]
MERGED += [b"  ", b"\n\n", b"\n  ", b"=="]
SMALL = Tokenizer(
    {bytes([byte]): byte for byte in range(256)}
    | {token: 256 + index for index, token in enumerate(MERGED)}
)
COUNTERS = {"small": SMALL, "estimate": Estimate(), "installed": load()}
BITS = [
    "h",
    "e",
    "l",
    "o",
    "\u0301",
    "é",
    "hello",
    " h",
    "你",
    "好",
    "\u4f61",
    " ",
    "\n",
    "=",
    "5",
    ",",
]
BITS += [
    "<tool_call>",
    "<|im_",
    "end|>",
    "<",
    "tool_",
    "call>",
    " world",
    "습니다",
    "schema",
    "😀",
    "\x1c",
]
PARTS = st.lists(st.lists(st.sampled_from(BITS), min_size=1, max_size=3).map("".join), max_size=8)


def longest_prefix(text, limit, counter):
    return next(
        text[:end] for end in range(len(text), -1, -1) if counter.count(text[:end]) <= limit
    )


@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS)
class TestTokenLimit:
    @given(fragments=PARTS, limit=st.integers(0, 16))
    @example(fragments=["h", "e", "l", "l", "o", "!"], limit=1)
    @example(fragments=["hel", "e", "\u0301", "h"], limit=2)
    @example(fragments=["ø", "\u0301"], limit=1)
    @example(fragments=["\u4f61", "好", "好"], limit=2)
    @example(fragments=["<too", "l_ca", "ll>", "x"], limit=1)
    @example(fragments=["\n", "    ", "\n", "    ", "h"], limit=2)
    @example(fragments=[" \n" * 14, " ", "\n"], limit=1)
    @example(fragments=["你", "好", "습니", "다h"], limit=3)
    def test_every_split_gives_the_longest_prefix_that_fits(self, counter, fragments, limit):
        cutter, text = TokenLimit(limit, counter), "".join(fragments)
        released = "".join([*map(cutter.feed, fragments), cutter.finish()])
        assert released == longest_prefix(text, limit, counter)
        assert cutter.reached == (released != text)

    @given(fragments=PARTS, limit=st.integers(1, 16))
    def test_whatever_fits_is_handed_on_at_once(self, counter, fragments, limit):
        cutter, released, seen = TokenLimit(limit, counter), "", ""
        for fragment in fragments:
            released += cutter.feed(fragment)
            seen += fragment
            if not cutter.reached:
                assert released == longest_prefix(seen, limit, counter)

    @given(fragments=PARTS, more=PARTS, limit=st.integers(0, 16))
    def test_once_reached_nothing_more_could_fit(self, counter, fragments, more, limit):
        cutter = TokenLimit(limit, counter)
        released = "".join(map(cutter.feed, fragments))
        if cutter.reached:
            longer = "".join(fragments + more)
            assert longest_prefix(longer, limit, counter) == released
            assert not any(map(cutter.feed, more))

    @pytest.mark.parametrize(
        "unit", ["word ", "今天天气很好，", '{"a": [1, 2]},\n', "习", "=", "héé"]
    )
    def test_the_limit_is_noticed_within_a_few_tokens(self, counter, unit):
        cutter, text = TokenLimit(100, counter), unit * 300
        fed = next(end for end, char in enumerate(text, 1) if cutter.feed(char) or cutter.reached)
        assert cutter.reached is False
        for char in text[fed:]:
            fed += 1
            cutter.feed(char)
            if cutter.reached:
                break
        assert counter.count(text[:fed]) <= 100 + 16

    @pytest.mark.parametrize(
        ("text", "most"), [("some words and\n", 80), ("今天，", 80), ("x", 1100), ("哈", 1100)]
    )
    def test_a_chunk_costs_no_more_for_what_came_before(self, counter, text, most):
        asked = Asked(counter)
        cutter = TokenLimit(10**6, asked)
        for _ in range(200):
            asked.characters = 0
            cutter.feed((text * 15)[:15])
            assert asked.characters <= most

    def test_the_first_character_beyond_a_whole_word_is_enough(self, counter):
        cutter = TokenLimit(counter.count("word"), counter)
        assert cutter.feed("word") == "word"
        assert not cutter.reached
        assert cutter.feed(" ") == ""
        assert cutter.reached

    def test_blanks_without_end_reach_the_limit_too(self, counter):
        cutter = TokenLimit(counter.count("word") + 1, counter)
        cutter.feed("word")
        assert any(cutter.feed("\n") == "" and cutter.reached for _ in range(300))

    def test_no_text_is_under_every_limit(self, counter):
        cutter = TokenLimit(0, counter)
        assert cutter.feed("") + cutter.finish() == ""
        assert not cutter.reached

    def test_a_text_of_exactly_the_limit_is_not_cut(self, counter):
        text = "hello, world"
        cutter = TokenLimit(counter.count(text), counter)
        assert cutter.feed(text) + cutter.finish() == text
        assert not cutter.reached


class Asked:
    """A counter that notes how many characters it is asked about."""

    def __init__(self, counter):
        self.characters = 0
        self._counter = counter

    def count(self, text):
        self.characters += len(text)
        return self._counter.count(text)

    def __getattr__(self, name):
        return getattr(self._counter, name)
