import warnings

import pytest
from langchain_core.language_models.model_profile import _warn_unknown_profile_keys

from langchain_qwen_space.qwen import dialects
from langchain_qwen_space.qwen.models import (
    _MODELS,
    canonical_name,
    dialect,
    family_of_space,
    match_model,
    names_only_the_family,
    profile,
    switches_in_the_prompt,
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
        ("openai/GPT-OSS-120b", "gpt-oss-120b"),
        ("8B", "8b"),  # no Qwen2.5 model has that size
        ("Math-32B", "math-32b"),
        ("qwen-7b-chat", "qwen-7b-chat"),
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


def test_no_answer_is_longer_than_the_context():
    for name in _MODELS:
        known = profile(name)
        assert known is not None
        assert known.get("max_output_tokens", 0) <= known["max_input_tokens"]


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
    assert profile("gpt-oss-120b") is None
    assert profile("qwen3-max") is None


@pytest.mark.parametrize("name", ["qwen2.5:72b", "qwen-2.5-72b", "Qwen-2.5-72B-Instruct"])
def test_spellings_of_other_tools_are_accepted(name):
    assert match_model(name, ["72B", "7B"]) == "72B"


def test_a_family_without_a_size_is_known_as_such():
    assert names_only_the_family("qwen-2.5")
    assert names_only_the_family("Qwen2.5")
    assert not names_only_the_family("qwen2.5-7b")
    assert names_only_the_family("qwen3:latest")
    assert not names_only_the_family("gpt-oss")


# Every family


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Qwen2.5-7B-Instruct-1M", "qwen2.5-7b-instruct-1m"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl-7b-instruct"),
        ("qwen2.5vl:7b", "qwen2.5-vl-7b-instruct"),
        ("Qwen/QwQ-32B", "qwq-32b"),
        ("qwq:32b", "qwq-32b"),
        ("QwQ-32B-Preview", "qwq-32b-preview"),
        ("Qwen/Qwen3-32B", "qwen3-32b"),
        ("qwen3:30b", "qwen3-30b-a3b"),
        ("qwen3:30b-a3b-instruct-2507", "qwen3-30b-a3b-instruct-2507"),
        ("Qwen3-235B-A22B-Thinking-2507", "qwen3-235b-a22b-thinking-2507"),
        ("qwen3-coder:30b", "qwen3-coder-30b-a3b-instruct"),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct", "qwen3-coder-480b-a35b-instruct"),
        ("qwen3-vl:8b", "qwen3-vl-8b"),  # the instruct or the thinking model
        ("Qwen3-VL-8B-Thinking", "qwen3-vl-8b-thinking"),
        ("Qwen/Qwen3.5-397B-A17B", "qwen3.5-397b-a17b"),
        ("qwen3.5:27b", "qwen3.5-27b"),
        ("Qwen3_5-9B", "qwen3.5-9b"),
        ("qwen2_5_vl", "qwen2.5_vl"),
    ],
)
def test_models_of_every_family_have_a_canonical_name(name, canonical):
    assert canonical_name(name) == canonical


def test_a_short_name_belongs_to_the_family_of_the_space():
    assert canonical_name("32B", "qwen3") == "qwen3-32b"
    assert canonical_name("30B", "qwen3-coder") == "qwen3-coder-30b-a3b-instruct"
    assert match_model("32B", ["Qwen3-32B", "Qwen3-8B"]) == "Qwen3-32B"
    assert match_model("qwen3-32b", ["32B", "8B"], "qwen3") == "32B"
    assert match_model("qwen2.5-32b", ["32B", "8B"], "qwen3") is None
    known = profile("32B", "qwen3")
    assert known is not None
    assert known["name"] == "qwen3-32b"


@pytest.mark.parametrize(
    ("space", "choices", "family"),
    [
        ("Qwen/Qwen2.5", ["72B", "Coder-7B"], "qwen2.5"),
        ("Qwen/Qwen3-Demo", ["32B"], "qwen3"),
        ("me/chat", ["Qwen3-32B", "Qwen3-8B"], "qwen3"),
        ("Qwen/Qwen2.5", ["Qwen3-32B", "8B"], "qwen3"),
        ("Qwen/Qwen3-Coder-WebDev", [], "qwen3-coder"),
        ("Qwen/QwQ-32B-preview", [], "qwq"),
        ("me/chat", ["Qwen3-32B", "QwQ-32B"], None),
        ("http://127.0.0.1:7860", ["32B"], None),
        ("me/chat", [], None),
    ],
)
def test_the_family_of_a_space(space, choices, family):
    assert family_of_space(space, choices) == family


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("72B", dialects.QWEN2_5),
        ("Qwen2.5-Coder-7B-Instruct", dialects.QWEN2_5),
        ("qwen2.5-vl-7b-instruct", dialects.OLDER),
        ("qwen2.5vl:7b", dialects.OLDER),
        ("qwen2_5_vl", dialects.OLDER),
        ("Qwen2-72B-Instruct", dialects.OLDER),
        ("QwQ-32B", dialects.QWQ),
        ("Qwen2.5-Math-7B-Instruct", dialects.MATH),
        ("Qwen3-8B", dialects.QWEN3),
        ("qwen3_8b", dialects.QWEN3),
        ("qwen3_0.6b", dialects.QWEN3),
        ("qwen3-30b-a3b-instruct-2507", dialects.QWEN3_INSTRUCT),
        ("Qwen3-Next-80B-A3B-Instruct", dialects.QWEN3_INSTRUCT),
        ("qwen3-vl-8b-thinking", dialects.QWEN3),
        ("qwen3-vl-8b-instruct", dialects.QWEN3_INSTRUCT),
        ("Qwen3-30B-A3B-Thinking-2507", dialects.QWEN3),
        ("qwen3-max", dialects.QWEN3),
        ("Qwen3-Coder-30B-A3B-Instruct", dialects.NAMED["qwen3-coder"]),
        ("qwen3-coder-next", dialects.NAMED["qwen3-coder"]),
        ("qwen3.5-plus", dialects.NAMED["qwen3.5"]),
        ("Qwen3.6-27B", dialects.NAMED["qwen3.5"]),
        ("Qwen3_5-9B", dialects.NAMED["qwen3.5"]),
        ("qwen3p5-9b", dialects.NAMED["qwen3.5"]),
        ("gpt-oss-120b", dialects.UNKNOWN),
        (None, dialects.UNKNOWN),
    ],
)
def test_the_name_of_a_model_says_how_it_is_spoken_to(name, spoken):
    assert dialect(name) is spoken


def test_the_callers_choice_of_a_dialect_counts():
    assert dialect("72B", "qwen3.5") is dialects.NAMED["qwen3.5"]
    assert dialect("Qwen3-8B", "hermes") is dialects.QWEN3
    assert dialect("Qwen3.5-27B", "hermes") is dialects.UNKNOWN


@pytest.mark.parametrize(
    ("name", "context", "output", "thinks", "sees"),
    [
        ("Qwen2.5-14B-Instruct-1M", 1_010_000, 8_192, False, False),
        ("Qwen2.5-VL-72B-Instruct", 131_072, None, False, True),
        ("QwQ-32B", 131_072, None, True, False),
        ("Qwen3-0.6B", 32_768, 32_768, True, False),
        ("Qwen3-8B", 131_072, 38_912, True, False),
        ("Qwen3-8B-AWQ", 131_072, 38_912, True, False),
        ("Qwen3-8B-Q4_K_M.gguf", 131_072, 38_912, True, False),
        ("qwen3:8b-q4_K_M", 131_072, 38_912, True, False),
        ("Qwen3-4B-Instruct-2507-FP8", 262_144, 16_384, False, False),
        ("Qwen3-235B-A22B-Thinking-2507", 1_010_000, 81_920, True, False),
        ("Qwen3-Coder-30B-A3B-Instruct", 1_010_000, 65_536, False, False),
        ("Qwen3-VL-8B-Instruct", 1_010_000, None, False, True),
        ("Qwen2.5-Coder-32B-Instruct", 131_072, 8_192, False, False),
        ("Qwen3-Coder-Next", 262_144, 65_536, False, False),
        ("Qwen3.5-9B", 1_010_000, 81_920, True, True),
        ("Qwen3.5-0.8B", 262_144, 81_920, True, True),
    ],
)
def test_every_family_has_a_profile(name, context, output, thinks, sees):
    known = profile(name)
    assert known is not None
    assert known["max_input_tokens"] == context
    assert known.get("max_output_tokens") == output
    assert known["reasoning_output"] is thinks
    assert known["image_inputs"] is sees
    assert profile(known["name"]) == known


@pytest.mark.parametrize(
    ("name", "switches"),
    [
        ("Qwen3-8B", True),
        ("qwen3:30b-a3b", True),
        ("qwen3-30b-a3b-instruct-2507", False),
        ("Qwen3-Coder-30B-A3B-Instruct", False),
        ("QwQ-32B", False),
        ("Qwen3.5-9B", False),
        ("72B", False),
    ],
)
def test_only_the_first_qwen3_models_switch_their_thoughts_in_the_prompt(name, switches):
    assert switches_in_the_prompt(name) is switches
