import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.chat.inputs import bounds, check, clamp, describe
from langchain_qwen_space.space.page.config import Component


def component(kind, **props):
    return Component(id=0, type=kind, props=props)


SLIDER = component("slider", minimum=0.6, maximum=1, step=0.05, value=0.8)
LENGTH = component("slider", minimum=512, maximum=8192, step=256, value=4096)


def test_an_input_is_named_by_its_label_or_by_its_place():
    assert describe(component("textbox", label="System"), 3) == "'System'"
    assert describe(component("textbox", label=""), 3) == "input 3 (textbox)"


@pytest.mark.parametrize(
    ("item", "value"),
    [
        (SLIDER, 0.6),
        (SLIDER, 1),
        (SLIDER, 0.61),
        (component("slider"), -1e9),
        (component("number", minimum=1, maximum=None), 10**9),
        (component("number", minimum=1), None),
        (component("radio", choices=["a", ["B", "b"]]), "b"),
        (component("radio", choices=["a"]), None),
        (component("radio", choices=[]), "anything"),
        (component("dropdown", choices=["a"], allow_custom_value=True), "b"),
        (component("dropdown", choices=["a", "b"], multiselect=True), ["a", "b"]),
        (component("checkboxgroup", choices=["a", "b"]), ["a"]),
        (component("checkbox"), False),
        (component("textbox"), ""),
        (component("json"), {"any": ["thing"]}),
        (component("textbox"), "中 \U0001f600"),
    ],
)
def test_a_value_that_is_taken_comes_back_as_it_is(item, value):
    assert check(item, value, "It") is value


@pytest.mark.parametrize(
    ("item", "value", "message"),
    [
        (SLIDER, 0.5, r"It must be a number from 0\.6 to 1, not 0\.5\."),
        (SLIDER, 1.1, r"from 0\.6 to 1, not 1\.1"),
        (SLIDER, None, "It must be a number, not None"),
        (SLIDER, True, "It must be a number, not True"),
        (SLIDER, "0.7", "It must be a number, not '0.7'"),
        (SLIDER, math.nan, "It must be a number, not nan"),
        (component("number"), math.inf, "It must be a number, not inf"),
        (component("number"), 10**400, "It must be a JSON value"),
        (component("number", minimum=1), 0, "from 1 to None"),
        (component("radio", choices=["a", "b"]), "c", r"It must be one of \['a', 'b'\], not 'c'"),
        (component("dropdown", choices=["a"]), ["a", "c"], "not 'c'"),
        (component("checkbox"), 1, "It must be True or False, not 1"),
        (component("checkbox"), None, "It must be True or False"),
        (component("textbox"), 7, "It must be text, not 7"),
        (component("textbox"), None, "It must be text, not None"),
        (component("textbox"), "\ud800", "It must be a JSON value"),
        (component("json"), object(), "It must be a JSON value"),
        (component("json"), {1, 2}, "It must be a JSON value"),
    ],
)
def test_a_value_that_is_not_taken_is_refused_with_what_would_be(item, value, message):
    with pytest.raises(InvalidInputError, match=message):
        check(item, value, "It")


@pytest.mark.parametrize(
    ("item", "value", "sent"),
    [
        (SLIDER, 0.5, 0.6),
        (SLIDER, 2, 1),
        (SLIDER, 0.777, 0.777),
        (component("slider", minimum=0, maximum=1, value=0.7), 1.0, 1.0),
        (component("slider", minimum=0, maximum=2, value=1), 1.0, 1),
        (component("slider", minimum=0, maximum=2, value=1), 0.5, 0.5),
        (component("number"), -7.5, -7.5),
        (component("number", minimum="x", maximum=math.nan), 3, 3),
    ],
)
def test_a_setting_is_put_into_its_range(item, value, sent):
    result = clamp(item, value, "It")
    assert result == sent
    assert type(result) is type(sent)


@pytest.mark.parametrize(
    ("item", "value", "sent"),
    [
        (LENGTH, 1, 512),
        (LENGTH, 512, 512),
        (LENGTH, 513, 768),
        (LENGTH, 768, 768),
        (LENGTH, 8191, 8192),
        (LENGTH, 9000, 8192),
        (component("slider", minimum=512, maximum=8192, step=1), 1000, 1000),
        (component("slider", minimum=1, maximum=4096), 1000, 1000),
        (component("slider", minimum=0, maximum=100, step=30), 100, 100),
        (component("slider", minimum=0, maximum=8192.0, step=0.1), 512, 512),
        (component("number", maximum=4096), 5000, 4096),
        (component("number", minimum=10, step=0), 11, 11),
        (component("number", minimum=10, step=1e-320), 11, 11),
    ],
)
def test_a_length_is_never_below_the_one_that_was_asked_for_if_it_need_not_be(item, value, sent):
    result = clamp(item, value, "It", up=True)
    assert result == sent
    assert type(result) is int


NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
PROPS = st.none() | st.booleans() | st.just("x") | NUMBERS


@given(PROPS, PROPS, PROPS, PROPS, NUMBERS | st.floats(), st.booleans())
def test_what_is_sent_is_a_number_in_range_or_nothing_is(low, high, step, default, value, up):
    item = component("slider", minimum=low, maximum=high, step=step, value=default)
    low, high = bounds(item)
    try:
        sent = clamp(item, value, "It", up=up)
    except InvalidInputError:
        assert not abs(value) < 2**63
        return
    orjson.dumps(sent)
    assert math.isfinite(sent)
    if high is None or low is None or low <= high:
        assert low is None or sent >= low
        assert high is None or sent <= high
        inside = (low is None or low <= value) and (high is None or value <= high)
        if inside:
            assert sent >= value if up else sent == value


@pytest.mark.parametrize("value", ["hot", None, True, math.nan, math.inf, -math.inf, 2**63])
def test_what_is_no_number_is_no_setting(value):
    with pytest.raises(InvalidInputError, match="It must be a number"):
        clamp(SLIDER, value, "It")
