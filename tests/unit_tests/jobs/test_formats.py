"""JSONL, CSV and Parquet, in and out."""

import csv
import datetime as dt
import json
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
        ("a.jsonl", '{"a": 1}\n\n{"a": }\n', "line 3 is no JSON"),
        ("a.jsonl", '{"a": 1}\n["a"]\n', "line 2 is no JSON object"),
        ("a.jsonl", "[" * 100_000, "line 1 is no JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', "is no UTF-8 text"),
        ("a.csv", "a,b\n1,2\n3\n", "line 3: 1 cells under 2 column names"),
        ("a.csv", "a,a\n1,2\n", "two columns have the same name"),
        ("a.csv", 'a\n"x', "line 2: unexpected end of data"),
        ("a.csv", b"a\n\xff\n", "is no UTF-8 text"),
        ("a.parquet", "PAR1 not", "is no Parquet file"),
    ],
)
def test_a_broken_file_is_told_with_the_place(tmp_path, name, content, message):
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
