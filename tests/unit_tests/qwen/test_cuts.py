import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen.cuts import StopStrings

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
