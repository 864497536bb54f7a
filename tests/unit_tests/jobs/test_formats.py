"""JSONL, CSV and Parquet, in and out."""

import csv
import datetime as dt
import gzip
import json
import subprocess
import sys
from decimal import Decimal

import pytest

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs import Job, run_batch
from langchain_qwen_space.jobs.rows import read_columns
from tests.unit_tests.jobs.parrot import Parrot, read


def columns(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_columns(path))


def test_jsonl_lines_end_at_newlines_only_and_blank_ones_are_no_rows(tmp_path):
    found = columns(
        tmp_path / "a.jsonl", '\ufeff{"a": "x\u2028y"}\r\n\n  \n{"a": 10000000000000000001}'
    )
    assert found == [{"a": "x\u2028y"}, {"a": 10000000000000000001}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"a": 1}\n\n{"a": }\n', "line 3 is not JSON"),
        ("a.jsonl", '{"a": 1}\n["a"]\n', "line 2 is not a JSON object"),
        ("a.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', "is not UTF-8 text"),
        ("a.csv", "a,b\n1,2\n3\n", "line 3: 1 cells under 2 column names"),
        ("a.csv", "a,a\n1,2\n", "two columns have the same name"),
        ("a.csv", 'a\n"x', "line 2: unexpected end of data"),
        ("a.csv", b"a\n\xff\n", "is not UTF-8 text"),
        ("a.parquet", "PAR1 not", "is not a Parquet file"),
    ],
)
def test_a_broken_file_is_reported_with_the_place(tmp_path, name, content, message):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(InvalidInputError, match=message):
        columns(tmp_path / name, content)


def test_csv_cells_keep_commas_quotes_newlines_and_length(tmp_path):
    cells = ['a, "b"\r\nc\rd\n', "x" * 200_000, "", " ü "]
    source, output = tmp_path / "p.csv", tmp_path / "a.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["prompt", "id"], *[["q", cell] for cell in cells]])
    limit = csv.field_size_limit()
    run_batch(Parrot().model, Job(source, output))
    assert [row["id"] for row in read_columns(output)] == cells
    assert {row["text"] for row in read_columns(output)} == {"It is q."}
    assert csv.field_size_limit() == limit


def test_csv_has_a_column_for_every_column_that_any_row_has(tmp_path, prompts):
    source = prompts({"prompt": "a"}, {"prompt": "b", "more": {"x": [1, "ü"]}, "yes": True})
    run_batch(Parrot("a").model, Job(source, tmp_path / "a.csv"))
    first, second = read_columns(tmp_path / "a.csv")
    assert (first["more"], first["yes"], first["error"]) == ("", "", "a is broken.")
    assert (second["more"], second["yes"], second["error"]) == ('{"x": [1, "ü"]}', "true", "")


def test_half_a_surrogate_pair_is_kept_in_jsonl_and_shown_in_csv(tmp_path, prompts):
    source = prompts({"prompt": "a", "x": "\ud800"})
    for name in ("a.jsonl", "a.csv"):
        run_batch(Parrot().model, Job(source, tmp_path / name))
    assert read(tmp_path / "a.jsonl")[0]["x"] == "\ud800"
    assert next(read_columns(tmp_path / "a.csv"))["x"] == "\\ud800"


def test_parquet_columns_keep_their_types(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table(
        {
            "prompt": ["a", "b"],
            "day": pa.array([dt.date(2026, 1, 2), None]),
            "price": pa.array([Decimal("1.10"), None], pa.decimal128(9, 2)),
            "small": pa.array([1, None], pa.int8()),
            "raw": [b"\x00", None],
            "tags": pa.array([["x"], []], pa.list_(pa.string())),
        }
    )
    source, output = tmp_path / "p.parquet", tmp_path / "a.parquet"
    pq.write_table(table, source)
    run_batch(Parrot("b").model, Job(source, output))
    found = pq.read_table(output)
    assert found.select(table.column_names).equals(table)
    assert found["error"].to_pylist() == [None, "b is broken."]
    assert (found["input_tokens"].type, found["seconds"].type) == (pa.int64(), pa.float64())
    run_batch(Parrot().model, Job(source, tmp_path / "a.jsonl"))
    row = read(tmp_path / "a.jsonl")[0]
    assert (row["day"], row["price"], row["raw"]) == ("2026-01-02", "1.10", "AA==")


def test_parquet_finds_types_over_all_rows_and_falls_back_to_text(tmp_path, prompts):
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [{"prompt": "a", "n": 1, "mixed": 1, "o": {"x": 1}, "none": None, "empty": {}}] * 1_500
    rows += [{"prompt": "a", "n": 1.5, "mixed": "one", "o": {"y": "z"}, "empty": {}}]
    run_batch(Parrot().model, Job(prompts(*rows), tmp_path / "a.parquet"))
    found = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert len(found) == 1_501
    kept = [{name: row[name] for name in rows[0] if name != "prompt"} for row in found]
    assert kept[0] == {
        "n": 1.0,
        "mixed": "1",
        "o": {"x": 1, "y": None},
        "none": None,
        "empty": "{}",
    }
    assert kept[-1] == {**kept[0], "n": 1.5, "mixed": "one", "o": {"x": None, "y": "z"}}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_messages_may_come_from_every_format(tmp_path, suffix):
    rows = [
        [{"role": "user", "content": "hello"}],
        [
            {"role": "user", "content": "x", "name": "Ann"},
            {"role": "assistant", "content": "y"},
            {"role": "user", "content": "again"},
        ],
    ]
    source = tmp_path / f"p.{suffix}"
    if suffix == "csv":
        with source.open("w", newline="") as file:
            csv.writer(file).writerows([["messages"], *[[json.dumps(row)] for row in rows]])
    else:
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"messages": rows}), source)
    parrot = Parrot()
    run_batch(parrot.model, Job(source, tmp_path / "a.jsonl"))
    assert parrot.asked == ["hello", "again"]


def strict(path):
    """The rows of a JSONL file, if all of it is JSON as RFC 8259 has it."""

    def refuse(constant):
        raise AssertionError(constant)

    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


@pytest.mark.parametrize("output", ["a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz"])
def test_rows_that_a_format_cannot_hold_as_they_are_survive(tmp_path, prompts, output):
    if output.endswith("parquet"):
        pytest.importorskip("pyarrow")
    rows = [
        {"prompt": "a", "x": "\ud800", "n": float("nan"), "big": 2**70, "o": {"\udfff": [1, "y"]}},
        {"prompt": "b\ud800", "x": 1, "n": 2**53 + 1, "big": 1.5, "o": {"z": float("inf")}},
    ]
    source = prompts(*rows)
    progress = run_batch(Parrot().model, Job(source, tmp_path / output))
    assert progress.answered == 2
    found = list(read_columns(tmp_path / output))
    assert [row["text"].startswith("It is ") for row in found] == [True, True]
    assert str(found[0]["big"]) == str(2**70)


def test_jsonl_output_is_strict_json(tmp_path, prompts):
    row = {"prompt": "a", "n": float("nan"), "o": {"x": [float("-inf"), 1.5]}}
    run_batch(Parrot().model, Job(prompts(row), tmp_path / "a.jsonl"))
    (found,) = strict(tmp_path / "a.jsonl")
    assert (found["n"], found["o"]) == (None, {"x": [None, 1.5]})


def test_a_value_that_does_not_fit_the_type_found_for_its_column_makes_it_text(tmp_path, prompts):
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [{"prompt": "a", "n": 0.5}] * 1_000 + [{"prompt": "a", "n": 2**53 + 1}]
    run_batch(Parrot().model, Job(prompts(*rows), tmp_path / "a.parquet"))
    column = pq.read_table(tmp_path / "a.parquet")["n"].to_pylist()
    assert (column[0], column[-1]) == ("0.5", str(2**53 + 1))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [39, 60, 500])
@pytest.mark.parametrize("output", ["a.jsonl", "a.csv", "a.parquet"])
def test_values_that_are_nested_deeply_survive(tmp_path, output, levels, opening):
    if output.endswith("parquet"):
        pytest.importorskip("pyarrow")

    def nested(value):
        return opening * levels + value + ("]" if opening == "[" else "}") * levels

    source = tmp_path / "p.jsonl"
    source.write_text(f'{{"prompt": "a", "n": {nested("NaN")}}}\n')
    run_batch(Parrot().model, Job(source, tmp_path / output))
    (found,) = read_columns(tmp_path / output)
    value = found["n"]
    text = value if isinstance(value, str) else json.dumps(value)
    constant = "NaN" if output.endswith("parquet") and not isinstance(value, str) else "null"
    assert text.replace(" ", "") == nested(constant)


def test_a_prompt_of_bytes_is_the_text_that_they_are(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    source = tmp_path / "p.parquet"
    pq.write_table(pa.table({"prompt": ["é".encode(), b"\xff"]}), source)
    parrot = Parrot()
    progress = run_batch(parrot.model, Job(source, tmp_path / "a.parquet"))
    assert parrot.asked == ["é"]
    assert (progress.answered, progress.failed) == (1, 1)
    assert pq.read_table(tmp_path / "a.parquet")["prompt"].to_pylist() == ["é".encode(), b"\xff"]


@pytest.mark.parametrize("keys", [[2**63, -(2**70), 2**63 - 1], ["\ud800", "int:1", "5"], [5, "5"]])
def test_ids_of_every_size_and_text_are_kept_apart(tmp_path, prompts, keys):
    source = prompts(*({"prompt": str(n), "key": key} for n, key in enumerate(keys)))
    parrot = Parrot()
    for _ in range(2):
        run_batch(parrot.model, Job(source, tmp_path / "a.jsonl", id="key"))
    assert len(parrot.asked) == len(keys)
    assert [row["key"] for row in strict(tmp_path / "a.jsonl")] == keys


_WITHOUT_PANDAS = """
import sys

class NoPandas:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, NoPandas())
from langchain_core.runnables import RunnableLambda
from langchain_qwen_space.jobs import Job, run_batch
run_batch(RunnableLambda(lambda messages: "yes"), Job(sys.argv[1], sys.argv[2]))
run_batch(RunnableLambda(lambda messages: "yes"), Job(sys.argv[1], sys.argv[3]))
"""


def test_nanoseconds_are_kept_without_pandas(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table(
        {
            "prompt": ["a", "b"],
            "when": pa.array([1, None], pa.timestamp("ns")),
            "zoned": pa.array([1, None], pa.timestamp("ns", "Europe/Paris")),
            "clock": pa.array([1, None], pa.time64("ns")),
            "took": pa.array([1, None], pa.duration("ns")),
            "far": pa.array([2**60, None], pa.timestamp("us")),
            "inside": pa.array(
                [[{"t": 1}], None], pa.list_(pa.struct([("t", pa.timestamp("ns"))]))
            ),
            "pair": pa.array([[1, 1], None], pa.list_(pa.timestamp("ns"), 2)),
            "map": pa.array([[("t", 1)], None], pa.map_(pa.string(), pa.duration("ns"))),
            "deep": pa.array([[("t", 2**60)], None], pa.map_(pa.string(), pa.timestamp("us"))),
            "lost": pa.array([1, None], pa.timestamp("us", "Nowhere/Else")),
            "nan": [float("nan"), 1.0],
            "kind": pa.array(["x", None]).dictionary_encode(),
        }
    )
    source = tmp_path / "p.parquet"
    pq.write_table(table, source)
    outputs = [tmp_path / "a.parquet", tmp_path / "a.jsonl"]
    command = [sys.executable, "-c", _WITHOUT_PANDAS, *map(str, [source, *outputs])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = pq.read_table(outputs[0]).select(table.column_names)
    assert kept.drop(["nan"]).equals(pq.read_table(source).drop(["nan"]))
    first, second = strict(outputs[1])
    assert first["when"].endswith("00:00:00.000000001")
    assert first["took"] == 1
    assert first["inside"][0]["t"].endswith(".000000001")
    assert first["nan"] is None
    assert [each.endswith(".000000001") for each in first["pair"]] == [True, True]
    assert first["map"] == [["t", 1]]
    assert str(2**60) in first["deep"][0][1]
    assert first["lost"] == "1"
    nothing = ("when", "clock", "far", "kind", "inside", "pair", "map", "deep", "lost")
    assert [second[name] for name in nothing] == [None] * len(nothing)


def test_parquet_columns_of_one_name_are_refused_before_anything_is_asked(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table([["a"], ["b"]], names=["prompt", "prompt"])
    pq.write_table(table, tmp_path / "p.parquet")
    parrot = Parrot()
    with pytest.raises(InvalidInputError, match="two columns have the same name: 'prompt'"):
        run_batch(parrot.model, Job(tmp_path / "p.parquet", tmp_path / "a.jsonl"))
    assert parrot.asked == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prompt;n\nWhy, then?;1\n", {"prompt": "Why, then?", "n": "1"}),
        ('\ufeff"prompt, asked";"n"\r\n"a;b";1\r\n', {"prompt, asked": "a;b", "n": "1"}),
        ("prompt\tn\na;b\t1\n", {"prompt": "a;b", "n": "1"}),
        ("prompt,a;b\nWhy; then?,1\n", {"prompt": "Why; then?", "a;b": "1"}),
        ("prompt\na;b\n", {"prompt": "a;b"}),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_the_header_of_a_csv_file_tells_its_separator(tmp_path, name, text, expected):
    content = text.encode()
    content = gzip.compress(content) if name.endswith(".gz") else content
    assert columns(tmp_path / name, content) == [expected]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.NDJSON"])
def test_compressed_and_tab_separated_files_are_read_and_written(tmp_path, prompts, name):
    source = prompts({"prompt": "a\tb\n", "n": "1"}, {"prompt": "ü", "n": "2"})
    run_batch(Parrot().model, Job(source, tmp_path / name))
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    again = tmp_path / "again.jsonl"
    run_batch(Parrot().model, Job(tmp_path / name, again, prefix="second_"))
    assert [(row["prompt"], row["n"]) for row in strict(again)] == [("a\tb\n", "1"), ("ü", "2")]


@pytest.mark.parametrize("name", ["a.txt", "a.TXT", "a.txt.gz"])
def test_a_text_file_has_a_prompt_a_line(tmp_path, name):
    content = "\ufeffWhy?\r\n\n \nWhere,\u2028then?\n{}".encode()
    content = gzip.compress(content) if name.endswith(".gz") else content
    asked = [{"prompt": text} for text in ("Why?", "Where,\u2028then?", "{}")]
    assert columns(tmp_path / name, content) == asked
    output = tmp_path / "answers.csv"
    run_batch(Parrot().model, Job(tmp_path / name, output))
    assert [row["prompt"] for row in read_columns(output)] == [row["prompt"] for row in asked]


def test_a_gzip_file_that_breaks_off_is_refused(tmp_path):
    whole = gzip.compress(b'{"prompt": "a"}\n' * 1_000)
    for content in (whole[:-20], b"no gzip"):
        with pytest.raises(InvalidInputError, match="not a complete gzip file"):
            columns(tmp_path / "a.jsonl.gz", content)


def test_two_jobs_at_once_leave_the_limit_of_the_process_as_it_was(tmp_path):
    limit = csv.field_size_limit()
    path = tmp_path / "p.csv"
    path.write_text("a\n" + "x" * 200_000 + "\n" + "y" * 200_000 + "\n")
    one, other = read_columns(path), read_columns(path)
    next(one), next(other)
    one.close()  # the one that began first ends first
    assert len(next(other)["a"]) == 200_000
    other.close()
    assert csv.field_size_limit() == limit
