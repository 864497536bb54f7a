"""Patterns of JSON schemas, as Python and JavaScript read them."""

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.patterns import Pattern


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("b$", "ab", "ba"),
        ("é", "café", "cafe"),
        ("b$", "\ud800b", "\ud800"),
        # What Rust's expressions read in another way:
        (r"^\<b\>$", "<b>", "b"),
        ("^[[a]]$", "[]", "a"),
        ("^[a&&b]$", "&", "c"),
        ("^[+--]$", ",", "."),
        ("^[--/]$", ".", ","),
        (r"^[\w-.]+$", "a-b", "a b"),  # JavaScript's, which Python cannot read
        (r"^[\w.]{1,255}$", "a.b", "a b"),  # too large with all letters of Unicode
        ("^[a~~b]$", "~", "c"),
        (r"^\[[^\[\]]+]$", "[a]", "[[]"),
        (r"^[^\]\\]$", "a", "\\"),
        ("^{a}$", "{a}", "a"),
        (r"b\Z", "ab", "ba"),
        (r"^\p{Lu}$", "É", "é"),  # JavaScript's, which Python cannot read
    ],
)
def test_a_pattern_is_searched_for(pattern, fitting, other):
    assert Pattern(pattern).is_in(fitting)
    assert not Pattern(pattern).is_in(other)


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        # pydantic's for decimals, and zod's for mail addresses.
        (r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$", ["1.5", "-0012", ".5"], ["", "-", ".", "1.5.2"]),
        (
            r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
            ["ann.lee@example.com"],
            [".ann@example.com", "ann..lee@example.com", "ann@example"],
        ),
        (r"^(?=.*\d)(?=.*[a-z(])(?!.*\s).{4,}$", ["abc1", "123("], ["abcd", "1234", "ab 1", "a1"]),
    ],
)
def test_look_aheads_at_the_start_are_searched_for_beside_the_rest(pattern, fitting, others):
    assert [text for text in fitting if not Pattern(pattern).is_in(text)] == []
    assert [text for text in others if Pattern(pattern).is_in(text)] == []


PARTS = [
    "a",
    "b",
    ".",
    "^",
    "$",
    "|",
    "(",
    ")",
    "[",
    "]",
    "[^",
    "-",
    "&&",
    "~~",
    "\\[",
    "\\d",
    "\\w",
]


@given(
    st.sampled_from(["", "", "^(?=", "^(?!"]),
    st.lists(st.sampled_from([*PARTS, "*", "+", "?", "{2}", "{", "}", "(?:"]), max_size=8),
    st.text("ab[]-&~{}19", max_size=4),
)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Python's expressions, about sets
def test_a_pattern_is_found_where_python_finds_it_or_is_refused(start, parts, text):
    pattern = start + "".join(parts)
    assume(not re.search(r"[*+?}]\+", pattern))  # possessive in Python alone
    try:
        found = Pattern(pattern).is_in(text)
    except InvalidInputError:
        return
    try:
        expected = re.search(pattern, text) is not None
    except re.error:
        return  # JavaScript's
    assert found is expected


@pytest.mark.parametrize(
    ("pattern", "steps"),
    [
        ("abc", 3),
        ("^a{3}$", 5),
        ("(a[bc]{2}){10,20}", 60),
        (r"\(a{2,}", 3),
        ("((x{30}){30}){3}", 2700),
        (r"a\{2}", 4),
        (r"\p{L}{2}", 2),
        ("a{" + "9" * 5000 + "}", 5003),  # no count
    ],
)
def test_the_steps_of_a_pattern_are_its_parts_with_the_counts_written_out(pattern, steps):
    assert Pattern(pattern).steps == steps


def test_a_pattern_with_large_counts_is_searched_for_in_short_texts_only():
    """Linear time is the length of the text times that of the pattern with its counts written out."""
    pattern = Pattern("^[ab]*a.{1,5000}c$")
    assert pattern.is_in("abc" * 30)
    began = time.thread_time()
    with pytest.raises(TimeoutError):
        pattern.is_in("ab" * 50_000)
    assert time.thread_time() - began < 5  # else 20 seconds


@pytest.mark.parametrize("part", ["[", r"\p{", "^(?=a)", "(?=a)", "(", "a{"])
def test_a_long_pattern_is_read_in_linear_time(part):
    began = time.thread_time()
    with pytest.raises(InvalidInputError):
        Pattern("^" + part * 20_000 + "(")
    assert time.thread_time() - began < 5  # else minutes
