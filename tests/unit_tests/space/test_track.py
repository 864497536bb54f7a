"""What is handed out when the true text does not just grow."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_qwen_space.space.chat.reply import Track

# Few characters, so that texts begin alike, part inside words and part between them.
TEXTS = st.text("ab.▌界 \n\t", max_size=12)
BLANKS = st.text(" \n\t\u3000", max_size=3)


def solid(text):
    return "".join(text.split())


def is_subsequence(part, whole):
    rest = iter(whole)
    return all(char in rest for char in part)


def common_length(one, other):
    return next(
        (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def is_letter(char):
    return char.isalnum() and char != "界"


class Seen:
    """What a caller makes of a track: the sum of all that was handed out."""

    def __init__(self):
        self.track = Track()
        self.sum = ""
        self.fragment = ""

    def take(self, text):
        self.fragment = self.track.take(text)
        self.sum += self.fragment
        return self

    def append(self, fragment):
        self.track.append(fragment)
        self.sum += fragment


def seen(*texts):
    track = Seen()
    for text in texts:
        track.take(text)
    return track


@given(st.lists(TEXTS, max_size=8))
@example(["b", "a", "ab", "a.", "a. b"])
@example(["a b", "a", "", " a b.", "a界"])
def test_no_character_but_blank_space_of_any_text_is_missing_from_the_sum(texts):
    track = Seen()
    for text in texts:
        track.take(text)
        assert is_subsequence(solid(text), track.sum)
        assert track.track.text == text


@given(st.lists(TEXTS, max_size=8))
def test_a_track_is_revised_once_a_text_does_not_extend_the_one_before(texts):
    track = Seen()
    before, revised = "", False
    for text in texts:
        revised |= not text.startswith(before)
        before = text
        assert track.take(text).track.revised is revised
        if not revised:
            assert track.sum == text
            assert track.track.level


@given(st.lists(TEXTS, max_size=8))
def test_after_a_revision_at_most_the_beginning_of_a_changed_word_is_repeated(texts):
    track = Seen()
    shown = ""  # the last text that went beyond what had been handed out
    for text in texts:
        track.take(text)
        common = common_length(solid(shown), solid(text))
        if common == len(solid(text)) < len(solid(shown)):
            assert track.fragment == ""
            continue
        new = solid(text)[common:]
        assert solid(track.fragment).endswith(new)
        repeated = solid(track.fragment)[: -len(new)] if new else solid(track.fragment)
        assert all(is_letter(char) for char in repeated)
        if repeated:
            assert is_letter(solid(shown)[common])
        shown = text


@given(
    st.text("abc界.", max_size=10),
    st.lists(st.tuples(st.integers(0, 10), st.lists(BLANKS, min_size=11, max_size=11)), max_size=8),
)
def test_a_text_that_shrinks_and_grows_again_repeats_nothing(whole, steps):
    track = Seen()
    longest = ""
    for length, blanks in steps:
        prefix = whole[:length]
        text = "".join(blank + char for blank, char in zip(blanks, prefix, strict=False))
        track.take(text + blanks[-1])
        longest = max(longest, prefix, key=len)
        assert solid(track.sum) == longest


@given(st.lists(TEXTS, max_size=5), st.lists(TEXTS, max_size=4))
def test_what_is_appended_to_a_level_text_is_the_text_that_follows(texts, fragments):
    track = seen(*texts)
    if not track.track.level:
        return
    whole = track.track.text
    for fragment in fragments:
        track.append(fragment)
        whole += fragment
        assert track.track.text == whole
        assert track.track.take(whole) == ""
    assert is_subsequence(solid(whole), track.sum)


@pytest.mark.parametrize(
    ("texts", "handed_out"),
    [
        (["", "a", "a", "ab"], ["", "a", "", "b"]),
        (["Thinking...", "The answer is 4."], ["Thinking...", "The answer is 4."]),
        (["Hello wor", "Hello there"], ["Hello wor", " there"]),
        (["I think", "I thank you"], ["I think", " thank you"]),
        (["one two", "one, two"], ["one two", ", two"]),
        (["正在思考", "正式的答案"], ["正在思考", "式的答案"]),
        (["Hel▌", "Hello▌", "Hello, you▌", "Hello, you"], ["Hel▌", "lo▌", ", you▌", ""]),
        (["⏳ Thinking", "", "Four"], ["⏳ Thinking", "", "Four"]),
        (["a:\n ", "a:\n- b"], ["a:\n ", "- b"]),
        (["a:\n- b", "a:\n   - b\nc"], ["a:\n- b", "\nc"]),
        (["a b c", "a b", "a", "a b c d"], ["a b c", "", "", " d"]),
        (["a b c", "a", "a x"], ["a b c", "", " x"]),
        (["  a", "a", "a b"], ["  a", "", " b"]),
        (["\n", "a"], ["\n", "a"]),
        (["a\n\n", "a b"], ["a\n\n", " b"]),
    ],
)
def test_texts_and_what_is_handed_out_of_them(texts, handed_out):
    track = Seen()
    assert [track.take(text).fragment for text in texts] == handed_out


def test_a_long_text_is_found_again_in_time_that_grows_with_it_only():
    words = "word " * 200_000
    track = seen(words + "x")
    assert track.take("  " + words + "y").fragment == " y"
