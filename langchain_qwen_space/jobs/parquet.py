"""Parquet files, by pyarrow (extra `parquet`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs.text import as_text, encodable

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
_NOT_HELD = (
    *(pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError),
    *(LookupError, RecursionError),
)
"""What pyarrow raises for values that a type cannot hold, or whose time zone is not known."""
_DEEPEST = 40  # levels of lists and objects; pyarrow reads no file with 50 levels of lists
Rows = Callable[[], Iterable[Mapping[str, Any]]]


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a Parquet file as dicts.

    Dates and times that Python's own types cannot hold, those of nanoseconds among them, are text.

    Raises:
        InvalidInputError: It is not a Parquet file, or two of its columns have the same name.
        OSError: It cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            if twice:
                msg = f"{path}: two columns have the same name: {', '.join(map(repr, twice))}."
                raise InvalidInputError(msg)
            for batch in file.iter_batches(batch_size=_BATCH):
                columns = [_values(column) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    yield dict(zip(names, cells, strict=True))
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"{path} is not a Parquet file: {error}.") from error


def _values(column: Any) -> list[Any]:
    """A column as Python objects; with or without pandas, they are the same."""
    kind = _without_nanoseconds(column.type)
    try:
        return list((column if kind == column.type else column.cast(kind)).to_pylist())
    except (*_NOT_HELD, ImportError):
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (*_NOT_HELD, ImportError):
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(each) for name, each in scalar.items()}
        if isinstance(scalar, pa.MapScalar):
            return [tuple(_value(pair).values()) for pair in scalar.values]
        if isinstance(scalar, pa.ListScalar):  # of whatever kind
            return [_value(each) for each in scalar.values]
        try:
            return scalar.cast(_TEXT).as_py()
        except pa.ArrowException:
            return str(getattr(scalar, "value", scalar))


def _without_nanoseconds(kind: Any) -> Any:
    """The type with text where it has dates or times of nanoseconds, and numbers for durations."""
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return _TEXT if kind.unit == "ns" else kind
    if pa.types.is_duration(kind):
        return pa.int64() if kind.unit == "ns" else kind
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_without_nanoseconds(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_without_nanoseconds(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        field = kind.value_field.with_type(_without_nanoseconds(kind.value_type))
        return pa.list_(field, kind.list_size)
    if pa.types.is_map(kind):
        return pa.map_(*map(_without_nanoseconds, (kind.key_type, kind.item_type)))
    if pa.types.is_struct(kind):
        return pa.struct([each.with_type(_without_nanoseconds(each.type)) for each in kind])
    return kind


def write_parquet(
    path: Path, rows: Rows, columns: Mapping[str, type | None], source: Path | None
) -> None:
    """Write rows to a new file, a batch at a time.

    Args:
        path: The file.
        rows: Gives the rows, each time it is called. They are gone through twice or more: types are
            found first. A column whose values have no type in common becomes text, JSON where a
            value is not text; so does one of objects without any key, which Parquet cannot hold, or
            of lists and objects more than 40 levels deep, which it cannot give back.
            Lone surrogates are escaped.
        columns: The columns and what they hold; None where their values tell.
        source: A Parquet file whose columns are kept as they are, value for value; the rows are its
            rows, in its order, and may end before it does.
    """
    kept = pq.read_schema(source) if source is not None else pa.schema([])
    types = {name: _TYPES[kind] if kind else None for name, kind in columns.items()}
    added = {name: kind for name, kind in types.items() if name not in kept.names}
    found = _common_types(rows(), [name for name, kind in added.items() if kind is None])
    added |= found
    while True:
        try:
            return _write(path, rows(), kept, source, added)
        except _ColumnError as error:  # a value that came after its type was found does not fit it
            added[error.name] = _TEXT


class _ColumnError(Exception):
    """A column's values do not fit its type."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _write(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    kept: Any,
    source: Path | None,
    added: Mapping[str, Any],
) -> None:
    schema = kept
    for name, kind in added.items():
        schema = schema.append(pa.field(_name(name), kind))
    with pq.ParquetWriter(path, schema) as writer:
        for batch, arrays in _with_source(rows, source):
            new = [_array(name, [row.get(name) for row in batch], added[name]) for name in added]
            writer.write_batch(pa.record_batch([*arrays, *new], schema=schema))


def _with_source(
    rows: Iterable[Mapping[str, Any]], source: Path | None
) -> Iterator[tuple[list[Mapping[str, Any]], list[Any]]]:
    """Yields rows in batches, each with the source's own columns of it."""
    if source is None:
        yield from ((batch, []) for batch in _batches(rows))
        return
    iterator = iter(rows)
    with pq.ParquetFile(source) as file:
        for read in file.iter_batches(batch_size=_BATCH):
            batch = list(islice(iterator, read.num_rows))
            if batch:
                yield batch, read.slice(0, len(batch)).columns


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _common_types(rows: Iterable[Mapping[str, Any]], names: list[str]) -> dict[str, Any]:
    types = dict.fromkeys(names, pa.null())
    for batch in _batches(rows) if names else ():
        for name in names:
            types[name] = _common(types[name], _type_of([row.get(name) for row in batch]))
    return {name: _TEXT if _cannot_be_written(kind) else kind for name, kind in types.items()}


def _type_of(values: list[Any]) -> Any:
    try:
        return pa.array([encodable(value) for value in values]).type
    except _NOT_HELD:
        return _TEXT


def _common(one: Any, other: Any) -> Any:
    if one == other:
        return one
    fields = [pa.schema([("", each)]) for each in (one, other)]
    try:
        return pa.unify_schemas(fields, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return _TEXT


def _cannot_be_written(kind: Any, levels: int = _DEEPEST) -> bool:
    """Whether it is nothing but null, an object without keys, or nested too deeply to be read back."""
    if not levels:
        return True
    if pa.types.is_struct(kind):
        fields = [_cannot_be_written(field.type, levels - 1) for field in kind]
        return not fields or any(fields)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _cannot_be_written(kind.value_type, levels - 1)
    return bool(pa.types.is_null(kind))


def _name(name: str) -> str:
    return str(encodable(name))


def _array(name: str, values: list[Any], kind: Any) -> Any:
    if kind == _TEXT:
        values = [value if value is None else as_text(value) for value in values]
    try:
        return pa.array([encodable(value) for value in values], kind)
    except _NOT_HELD:
        if kind == _TEXT:
            raise
        raise _ColumnError(name) from None
