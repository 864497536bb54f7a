"""Parquet files, by pyarrow (extra `parquet`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs.text import as_text

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("pyarrow"):
        raise
    raise InvalidInputError(
        "Parquet files need pyarrow, which is not installed. "
        'Install it: pip install "langchain-qwen-space[parquet]"'
    ) from None

_BATCH = 1_000  # rows in memory at a time
_TEXT = pa.string()
_TYPES = {str: _TEXT, int: pa.int64(), float: pa.float64()}
Types = dict[str, Any]


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a Parquet file as dicts.

    Raises:
        InvalidInputError: It is no Parquet file.
        OSError: It cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"{path} is no Parquet file: {error}.") from error


def types_of(path: Path) -> Types:
    """The types of a Parquet file's columns, by name."""
    schema = pq.read_schema(path)
    return dict(zip(schema.names, schema.types, strict=True))


def write_parquet(
    path: Path,
    rows: Callable[[], Iterable[Mapping[str, Any]]],
    columns: Mapping[str, type | None],
    known: Types,
) -> None:
    """Write rows to a new file, a batch at a time.

    Args:
        path: The file.
        rows: Gives the rows, each time it is called. They are gone through twice: types are found
            first. A column whose values have no type in common becomes text, JSON where a value is
            no text; so does one of objects without any key, which Parquet cannot hold.
        columns: The columns and what they hold; None where their values tell.
        known: Types of columns that keep them.
    """
    known = {**known, **{name: _TYPES[kind] for name, kind in columns.items() if kind is not None}}
    types = {name: known.get(name, pa.null()) for name in columns}
    for batch in _batches(rows()):
        for name in columns:
            if name not in known:
                found = _type_of([row.get(name) for row in batch])
                types[name] = _common(types[name], found)
    schema = pa.schema(
        [(name, _TEXT if _cannot_be_written(kind) else kind) for name, kind in types.items()]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _batches(rows()):
            arrays = [_array([row.get(f.name) for row in batch], f.type) for f in schema]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _type_of(values: list[Any]) -> Any:
    try:
        return pa.array(values).type
    except (pa.ArrowException, OverflowError):
        return _TEXT


def _common(one: Any, other: Any) -> Any:
    if one == other:
        return one
    fields = [pa.schema([("", each)]) for each in (one, other)]
    try:
        return pa.unify_schemas(fields, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return _TEXT


def _cannot_be_written(kind: Any) -> bool:
    """Whether it is nothing but null, or an object without keys."""
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_cannot_be_written(field.type) for field in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _cannot_be_written(kind.value_type)
    return bool(pa.types.is_null(kind))


def _array(values: list[Any], kind: Any) -> Any:
    if kind == _TEXT:
        values = [value if value is None else as_text(value) for value in values]
    return pa.array(values, kind)
