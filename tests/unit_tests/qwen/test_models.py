import warnings

import pytest
from langchain_core.language_models.model_profile import _warn_unknown_profile_keys

from langchain_qwen_space.qwen.models import (
    canonical_name,
    match_model,
    names_only_the_family,
    profile,
)

SHORT = ["72B", "7B", "1.5B", "Math-72B", "Math-7B", "Coder-7B", "Coder-1.5B"]
FULL = ["Qwen/Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-Coder-7B-Instruct"]


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("72B", "qwen2.5-72b-instruct"),
        ("72b", "qwen2.5-72b-instruct"),
        (" 0.5B ", "qwen2.5-0.5b-instruct"),
        ("qwen2.5-72b-instruct", "qwen2.5-72b-instruct"),
        ("Qwen2.5-72B-Instruct", "qwen2.5-72b-instruct"),
        ("Qwen2.5-72B", "qwen2.5-72b-instruct"),
        ("Qwen/Qwen2.5-72B-Instruct", "qwen2.5-72b-instruct"),
        ("Coder-7B", "qwen2.5-coder-7b-instruct"),
        ("qwen2.5-coder-7b-instruct", "qwen2.5-coder-7b-instruct"),
        ("Math-72B", "qwen2.5-math-72b-instruct"),
    ],
)
def test_every_way_to_write_a_qwen2_5_model_has_one_canonical_name(name, canonical):
    assert canonical_name(name) == canonical


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Qwen3-32B", "qwen3-32b"),
        ("openai/GPT-OSS-120b", "gpt-oss-120b"),
        ("8B", "8b"),  # no Qwen2.5 model has that size
        ("Math-32B", "math-32b"),
        ("Qwen2.5-7B-Instruct-1M", "qwen2.5-7b-instruct-1m"),
        ("通义千问", "通义千问"),
        ("", ""),
    ],
)
def test_an_unknown_name_only_loses_its_owner_and_its_capitals(name, canonical):
    assert canonical_name(name) == canonical


@pytest.mark.parametrize("name", ["72B", "72b", "qwen2.5-72b-instruct", FULL[0]])
def test_a_model_is_found_among_short_choices(name):
    assert match_model(name, SHORT) == "72B"


@pytest.mark.parametrize("name", ["7B", "qwen2.5-7b-instruct", "Qwen2.5-7B-Instruct", FULL[1]])
def test_a_model_is_found_among_full_choices(name):
    assert match_model(name, FULL) == "Qwen/Qwen2.5-7B-Instruct"


def test_the_plain_the_coder_and_the_math_model_of_a_size_are_distinguished():
    assert match_model("7B", SHORT) == "7B"
    assert match_model("qwen2.5-coder-7b-instruct", SHORT) == "Coder-7B"
    assert match_model("qwen2.5-math-7b-instruct", SHORT) == "Math-7B"
    assert match_model("Coder-7B", FULL) == "Qwen/Qwen2.5-Coder-7B-Instruct"


def test_a_model_that_is_not_offered_is_not_found():
    assert match_model("14B", SHORT) is None
    assert match_model("Coder-32B", ["32B"]) is None
    assert match_model("72B", []) is None


def test_a_space_may_offer_models_that_nobody_knows():
    assert match_model("qwen3-32b", ["Qwen3-32B", "gpt-oss"]) == "Qwen3-32B"
    assert match_model("openai/gpt-oss", ["Qwen3-32B", "gpt-oss"]) == "gpt-oss"


def test_the_exact_choice_wins_over_others_that_mean_the_same():
    choices = ["Qwen2.5-7B", "qwen2.5-7b", "Qwen2.5-7B-Instruct"]
    for choice in choices:
        assert match_model(choice, choices) == choice


def test_letter_case_decides_before_meaning_does():
    assert match_model("QWEN2.5-7B", ["Qwen2.5-7B", "Qwen2.5-7B-Instruct"]) == "Qwen2.5-7B"


def test_a_name_that_fits_several_choices_is_not_guessed():
    assert match_model("7B", ["Qwen2.5-7B", "Qwen2.5-7B-Instruct"]) is None
    assert match_model("7b-Instruct", ["a/Qwen2.5-7B-Instruct", "b/Qwen2.5-7B-Instruct"]) is None
    assert match_model("QWEN3", ["Qwen3", "qwen3"]) is None


def test_another_owners_model_of_the_same_name_is_another_model():
    assert match_model("unsloth/Qwen2.5-7B-Instruct", FULL) is None


@pytest.mark.parametrize(
    ("name", "context", "output"),
    [
        ("72B", 131_072, 8_192),
        ("Qwen/Qwen2.5-7B-Instruct", 131_072, 8_192),
        ("Coder-7B", 131_072, 8_192),
        ("3B", 32_768, 8_192),
        ("Coder-1.5B", 32_768, 8_192),
        ("Math-72B", 4_096, 3_072),
    ],
)
def test_the_profile_has_the_limits_of_the_model_card(name, context, output):
    known = profile(name)
    assert known is not None
    assert (known["max_input_tokens"], known["max_output_tokens"]) == (context, output)


def test_the_profile_says_text_only_and_leaves_structured_output_open():
    known = profile("72B")
    assert known is not None
    assert known["text_inputs"]
    assert known["tool_calling"]
    assert not known["image_inputs"]
    assert "structured_output" not in known


def test_every_key_of_the_profile_is_one_that_langchain_knows():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_unknown_profile_keys(profile("72B"))


def test_an_unknown_model_has_no_profile():
    assert profile("Qwen3-32B") is None


@pytest.mark.parametrize("name", ["qwen2.5:72b", "qwen-2.5-72b", "Qwen-2.5-72B-Instruct"])
def test_spellings_of_other_tools_are_accepted(name):
    assert match_model(name, ["72B", "7B"]) == "72B"


def test_a_family_without_a_size_is_known_as_such():
    assert names_only_the_family("qwen-2.5")
    assert names_only_the_family("Qwen2.5")
    assert not names_only_the_family("qwen2.5-7b")
    assert not names_only_the_family("qwen3")
