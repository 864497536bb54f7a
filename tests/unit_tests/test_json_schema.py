"""Values against JSON schemas, and schemas that are not."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from langchain_qwen_space import ChatQwenSpace, json_schema
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.json_schema import Allowance, checked, fits

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "weight": {"type": "number"},
        "colour": {"enum": ["red", "green"]},
        "kind": {"const": "cat"},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/Friend"}},
        "id": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "both": {"allOf": [{"type": "string"}, {"enum": ["x"]}]},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {
        "Friend": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "of": {"$ref": "#/$defs/Friend"}},
            "required": ["name"],
        }
    },
}


def mistakes(value, schema):
    return json_schema.mistakes(value, schema, Allowance())


@pytest.mark.parametrize(
    "value",
    [
        {"name": "Tom", "age": 3},
        {"name": "Tom", "age": 3.0, "weight": 4},
        {"name": "Tom", "age": None, "weight": None},
        {"name": "Tom", "age": 3, "friends": [{"name": "Jerry", "of": {"name": "Spike"}}]},
        {"name": "Tom", "age": 3, "id": 7, "colour": "red", "kind": "cat", "both": "x"},
    ],
)
def test_a_value_that_fits_a_schema_has_no_mistakes(value):
    assert list(mistakes(value, SCHEMA)) == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": None}, "it.name"),
        ({"age": "3"}, "it.age"),
        ({"age": True}, "it.age"),
        ({"age": 3.5}, "it.age"),
        ({"colour": "blue"}, "it.colour"),
        ({"kind": "dog"}, "it.kind"),
        ({"friends": {}}, "it.friends"),
        ({"friends": [{"name": "Jerry"}, {}]}, "it.friends[1]"),
        ({"friends": [{"name": "Jerry", "of": {"name": 1}}]}, "it.friends[0].of.name"),
        ({"id": []}, "it.id"),
        ({"both": "y"}, "it.both"),
        ({"more": 1}, "it"),
    ],
)
def test_a_mistake_is_named_with_its_place(changes, where):
    (mistake,) = mistakes({"name": "Tom", "age": 3} | changes, SCHEMA)
    assert mistake.startswith(where + ": ")


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"x1": 1}, {"x1": "1"}),
        ({"properties": {"a": {"type": "string", "nullable": True}}, "required": ["a"]},
         {"a": None}, {"a": 1}),
        ({"properties": {"a": {"minimum": 3}}}, {"a": 3}, {"a": 2}),
        ({"properties": {"a": {"pattern": "^b"}}}, {"a": "bc"}, {"a": "cb"}),
        ({"properties": {"a": {"minItems": 2}}}, {"a": [1, 2]}, {"a": [1]}),
        ({"properties": {"a": {"prefixItems": [{"type": "string"}]}}}, {"a": ["x"]}, {"a": [1]}),
        ({"properties": {"a": {"not": {"type": "null"}}}, "required": ["a"]}, {"a": 1}, {"a": None}),
        ({"properties": {"a": {"$ref": "#/definitions/a%20b/c"}},
          "definitions": {"a b": {"c": {"type": "string"}}}}, {"a": "x"}, {"a": 1}),
    ],
)  # fmt: skip
def test_every_keyword_of_a_schema_counts(rules, good, bad):
    assert not list(mistakes(good, rules))
    assert list(mistakes(bad, rules))


@pytest.mark.parametrize("reference", ["#", "#/$defs/missing", "https://example.com/schema"])
def test_a_reference_that_leads_nowhere_is_the_schemas_fault(reference):
    with pytest.raises(InvalidInputError, match="cannot be resolved"):
        checked({"allOf": [{"$ref": reference}]})


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"multipleOf": 0.1}, [0.3, 0.7, 1.1, -4, 1e308], [0.35, 1e-300]),
        ({"multipleOf": 1e-300}, [1e308, 10**400, 1], [1e-301]),
        ({"multipleOf": 10**400}, [0, 0.0, 10**401], [1.5, 7, 1e308]),
        ({"multipleOf": 3}, [6, 6.0], [7, 6.5]),
        ({"type": "number"}, [1, 1.5, 10**400], [float("nan"), float("inf"), True, "1"]),
        ({"type": "integer", "multipleOf": 2}, [4], [float("nan"), float("-inf")]),
    ],
)
def test_numbers_of_any_size_are_judged_exactly(rules, good, bad):
    assert [value for value in good if list(mistakes(value, rules))] == []
    assert [value for value in bad if not list(mistakes(value, rules))] == []


KEYS = st.sampled_from(["a", "b"])
REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/properties", "#a", "x", "http://[", "#/enum/0"])
LEAF = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([0, -1, 3, 10**400, [], {}, "[", "number", "object", [5]])
)
VALUES = st.recursive(
    LEAF, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part), max_leaves=6
)
KEYWORDS = {
    **dict.fromkeys(["type", "multipleOf", "maximum", "minLength", "pattern", "const"], LEAF),
    **dict.fromkeys(["required", "enum"], st.lists(LEAF, max_size=2)),
    **dict.fromkeys(["nullable", "uniqueItems", "default", "$id", "$schema"], LEAF),
    **dict.fromkeys(["$ref", "$dynamicRef"], REFERENCES),
}


def schemas(depth):
    if depth == 0:
        return st.booleans() | st.fixed_dictionaries({"$ref": REFERENCES}) | LEAF
    part = schemas(depth - 1)
    keywords = {
        **KEYWORDS,
        **dict.fromkeys(["not", "if", "then", "items", "contains", "additionalProperties"], part),
        **dict.fromkeys(["properties", "$defs", "patternProperties"], st.dictionaries(KEYS, part)),
        **dict.fromkeys(["allOf", "anyOf", "prefixItems"], st.lists(part, max_size=2)),
    }
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({n: keywords[n] for n in names}))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas(2), VALUES)
def test_a_schema_is_refused_or_any_value_can_be_judged_by_it(schema, value):
    try:
        rules = checked(schema)
    except InvalidInputError as error:
        assert str(error).startswith("The schema ")  # noqa: PT017
    else:
        assert all(isinstance(mistake, str) for mistake in mistakes(value, rules))


def test_many_references_to_one_schema_are_followed_once():
    rows = {str(n): {"$ref": "#/shared/a"} for n in range(2000)}
    rules = {"properties": rows, "shared": {"a": {"type": "string"}}}
    assert checked(rules) == rules
    targets, _ = json_schema._targets(rules, Draft202012Validator.META_SCHEMA["$schema"])
    assert len(targets) == 1


@pytest.mark.parametrize("kind", ["array", "string", ["array", "null"]])
@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
def test_a_schema_of_something_else_than_an_object_is_refused(method, kind):
    schema = {"title": "T", "type": kind, "properties": {}}
    with pytest.raises(InvalidInputError, match="object"):
        ChatQwenSpace().with_structured_output(schema, method=method)
    with pytest.raises(InvalidInputError, match="object"):
        ChatQwenSpace().invoke("hi", response_format=schema)


def test_a_schema_that_names_its_draft_is_judged_alike_where_it_refers_to_itself():
    rules = checked(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"next": {"$ref": "#"}, "size": {"type": "number"}},
        }
    )
    assert not list(mistakes({"next": {"next": {"size": None}}}, rules))
    assert list(mistakes({"next": {"next": {"size": "x"}}}, rules))


def test_a_property_that_the_third_draft_requires_is():
    rules = checked(
        {
            "$schema": "http://json-schema.org/draft-03/schema#",
            "properties": {"a": {"type": "number", "required": True, "divisibleBy": 2}},
        }
    )
    assert not list(mistakes({"a": 4}, rules))
    assert all(list(mistakes(value, rules)) for value in ({}, {"a": None}, {"a": 3}))


def test_an_answer_that_is_nested_too_deeply_is_the_answers_fault():
    rules = checked({"properties": {"a": {"$ref": "#"}}})
    value = {}
    for _ in range(900):
        value = {"a": value}
    assert any("nested too deeply" in mistake for mistake in mistakes(value, rules))


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_a_schema_that_is_not_one_is_refused_before_any_call(method):
    wrong = {"title": "Cat", "type": "object", "properties": {"age": {"type": "int"}}}
    with pytest.raises(InvalidInputError, match=r"properties.*age.*'int'"):
        ChatQwenSpace().with_structured_output(wrong, method=method)


def _of(pattern):
    return {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}


_CHOICES = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 4} for i in range(15)}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (_of("^(a+)+$"), {"a": "a" * 60 + "!"}),
        ({"type": "object", "patternProperties": {"^(a+)+$": False}}, {"a" * 60 + "!": 1}),
        (
            {
                "type": "object",
                "patternProperties": {"^(a+)+$": {}},
                "additionalProperties": {"type": "integer"},
            },
            {"a" * 60 + "!": 1},
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/n0"}},
                "$defs": {**_CHOICES, "n15": {"const": "z"}},
            },
            {"a": "q"},
        ),
        (
            {"type": "object", "properties": {"a": {"uniqueItems": True}}},
            {"a": [[{"b": i}] for i in range(10_000)]},
        ),
        (
            {
                "type": "object",
                "patternProperties": {rf"^\w{{100}}{i}$": {} for i in range(1000)},
                "additionalProperties": False,
            },
            {"a": 1},
        ),
        (
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "type": "object",
                "properties": {"a": {"enum": [{"b": i} for i in range(10_000)]}},
            },
            {"a": {"b": 1}},
        ),
    ],
)
def test_no_schema_makes_a_check_last(schema, value):
    """The caller of an API server chooses the schema, and often the text too."""
    began = time.thread_time()
    list(mistakes(value, checked(schema, patterns=False)))
    assert time.thread_time() - began < 20  # seconds of CPU time; else forever


def test_the_objects_of_one_answer_share_the_time_for_their_checks():
    schema = checked(
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/n0"}},
            "$defs": {**_CHOICES, "n15": {"const": "z"}},
        }
    )
    allowance = Allowance()
    began = time.thread_time()
    assert not any(fits({"a": str(n)}, schema, allowance) for n in range(20))
    assert time.thread_time() - began < 2.5  # else 5 seconds
    assert not fits({}, schema, allowance)
    assert fits({}, schema, Allowance())


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"x(?=.*\d)", "look-around"),
        (r"^(?=.*\d)x|y", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"^(.)\1$", "backreferences"),
        (r"^\p{L}{1,255}$", "exceeds size limit"),
        ("(?x) a # (", "flag x"),
        ("(", "unclosed group"),
        ("a{999999999}", "exceeds size limit"),
    ],
)
@pytest.mark.parametrize("draft", ["2019-09/schema", "2020-12/schema"])
def test_a_pattern_that_cannot_be_searched_for_in_linear_time_is_refused_with_its_place(
    pattern, reason, draft
):
    for rules, place in (
        (_of(pattern), r"schema\['properties'\]\['a'\]\['pattern'\]"),
        ({"patternProperties": {pattern: {}}}, r"schema\['patternProperties'\]"),
    ):
        schema = {"$schema": f"https://json-schema.org/draft/{draft}", **rules}
        with pytest.raises(InvalidInputError, match=f"{place}: .*{reason}.*Write it without"):
            checked(schema)
        with pytest.raises(InvalidInputError, match=reason):
            ChatQwenSpace().with_structured_output({"title": "T", **schema})
        # A tool may come with patterns for others. What they are to judge is not accepted unseen.
        assert not fits({"a": "x"}, checked(schema, patterns=False), Allowance())
        assert fits({}, checked(schema, patterns=False), Allowance())


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"patternProperties": {"^(a|a)*$": {}}, "unevaluatedProperties": False},
            "both unevaluatedProperties and patternProperties.*additionalProperties",
        ),
        (
            {
                "allOf": [{"$ref": "#/shared/a"}],
                "unevaluatedProperties": False,
                "shared": {"a": {"patternProperties": {"^(a|a)*$": {}}}},
            },
            "both unevaluatedProperties and patternProperties",
        ),
        (
            {
                "properties": {  # named like a keyword that holds values
                    "default": {"$schema": "http://json-schema.org/draft-07/schema#"}
                }
            },
            r"\$schema is in a part of it",
        ),
        (
            {"patternProperties": {rf"^\w{{100}}{i}$": {} for i in range(1000)}},
            "patterns of the schema are too large",
        ),
    ],
)
def test_a_schema_that_cannot_be_checked_in_bounded_time_is_refused(schema, words):
    """The library that checks values would search with Python's expressions, which take forever."""
    with pytest.raises(InvalidInputError, match=words):
        checked({"type": "object", **schema})


def test_a_part_with_a_draft_of_its_own_is_checked_by_the_drafts_rules_of_the_whole():
    """As zod-to-json-schema writes it, and tools of MCP."""
    part = {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(a|a)*$"}
    rules = checked({"type": "object", "properties": {"a": part}})
    assert rules["properties"]["a"] == {"pattern": "^(a|a)*$"}
    assert fits({"a": "a" * 60}, rules, Allowance())
    began = time.thread_time()
    assert not fits({"a": "a" * 60 + "!"}, rules, Allowance())
    assert time.thread_time() - began < 1


def test_a_tools_schema_may_be_one_that_no_value_is_seen_to_fit():
    part = {"type": "object", "unevaluatedProperties": False}
    rules = {"type": "object", "properties": {"a": part, "b": {"patternProperties": {"c": {}}}}}
    with pytest.raises(InvalidInputError, match="both unevaluatedProperties"):
        checked(rules)
    rules = checked(rules, patterns=False)
    assert fits({"b": {}}, rules, Allowance())
    assert not fits({"a": {}}, rules, Allowance())


def test_what_is_only_named_like_a_keyword_is_none():
    names = ["$schema", "unevaluatedProperties", "patternProperties", "pattern"]
    rules = {"properties": {name: {"type": "string"} for name in names}, "required": names}
    assert list(mistakes(dict.fromkeys(names, "(?=x)"), checked(rules))) == []


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, True, "1", None, [1], {"a": 1}, {"a": True}, [], {}], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], False),
        ([[True], [True]], False),
        ([[True], [1]], True),
    ],
)
def test_items_are_unique_as_json_compares_them(items, unique):
    rules = {"type": "object", "properties": {"a": {"uniqueItems": True}}}
    assert len(list(mistakes({"a": items}, rules))) == (0 if unique else 1)


def test_properties_that_a_pattern_names_are_not_additional():
    schema = {
        "type": "object",
        "properties": {"a": {}},
        "patternProperties": {"^b": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert not list(mistakes({"a": 1, "b1": 2}, schema))
    assert len(list(mistakes({"b1": "x"}, schema))) == 1
    assert len(list(mistakes({"c": 1}, schema))) == 1


def test_only_time_that_is_spent_on_a_check_counts():
    class Slow(dict):
        def __contains__(self, key):
            time.sleep(1.1)  # as where other processes have the processor
            return super().__contains__(key)

    rules = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    assert list(mistakes(Slow(a=1), rules)) == []
