"""Cut a Parquet file into batches that are small once decoded.

A dictionary holds each value of a column once, so a file of some kilobytes can decode to any size, which its own
figures do not tell. Where its dictionaries hold long values, texts are therefore read as what they are in the file, a
dictionary and numbers, and decoded in pieces whose size is known before. Others are read the fast way.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAX_BYTES = 64 << 20  # of a batch once decoded; a single row may have more


def open_parquet(source: "Path | Any", texts: list[str] | None = None) -> "pq.ParquetFile":
    """Open a file or a seekable stream; the columns `texts` are read as dictionaries.

    No pre-buffering and a small buffer: a file of any size takes the memory of a few batches.
    """
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        source, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True, read_dictionary=texts
    )


def cut_batches(source: "Path | Any", file: "pq.ParquetFile", rows: int) -> Iterator["pa.RecordBatch"]:
    """Yield the batches of `file`, which is `source` opened: `rows` rows each, fewer where those would be too large.

    Raises ValueError where the file's parts bear other names than its columns: it is damaged.
    """
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    average = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    rows = max(1, min(rows, MAX_BYTES // max(average, 1)))
    skipped = tuple(field.name for field in file.schema_arrow if not _can_be_coded(field.type))
    texts = [
        column.path
        for column in file.schema
        if column.physical_type == "BYTE_ARRAY" and not f"{column.path}.".startswith(tuple(f"{n}." for n in skipped))
    ]
    with open_parquet(source, texts) as coded:
        if not any(_may_swell(coded, number, texts, rows) for number in range(len(groups))):
            yield from file.iter_batches(batch_size=rows)
            return
        for batch in coded.iter_batches(batch_size=rows):
            yield from _cut(batch, file.schema_arrow)


def decoded_bytes(columns: "list[pa.Array]") -> int:
    """Return how many bytes columns have once every dictionary in them is decoded."""
    return sum(map(_decoded, columns))


def _can_be_coded(kind: "pa.DataType") -> bool:
    """Tell whether Arrow can turn dictionaries in a column back into its type: not in maps, nor in views in lists."""
    import pyarrow as pa

    if kind.num_fields:
        parts = [kind.field(place).type for place in range(kind.num_fields)]
        is_known = pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
        return is_known and all(map(_can_be_coded, parts))
    return not (pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _may_swell(coded: "pq.ParquetFile", number: int, texts: list[str], rows: int) -> bool:
    """Tell whether so many rows of a row group may decode to too much, by the longest values in its dictionaries."""
    group = coded.metadata.row_group(number)
    if not group.num_rows:
        return False
    # A row is read first: where figures of a column are damaged that raises, and asking for them ends the process.
    next(coded.iter_batches(batch_size=1, row_groups=[number]), None)
    rows = min(rows, group.num_rows)
    chunks = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    if not chunks.keys() >= set(texts):
        raise ValueError("the parts of a row group bear other names than the columns")
    for chunk in chunks.values():
        if chunk.num_values > group.num_rows * 1_000:  # long lists: their values may be few, and their numbers nothing
            return True
    if rows * sum(chunks[path].total_uncompressed_size for path in texts) <= MAX_BYTES:
        return False
    width = 0
    for path in texts:
        if {"RLE_DICTIONARY", "PLAIN_DICTIONARY", "DELTA_BYTE_ARRAY"}.isdisjoint(chunks[path].encodings):
            continue
        per_row = -(-chunks[path].num_values // group.num_rows)
        width += per_row * _longest(coded, number, path)
        if width * rows > MAX_BYTES:
            return True
    return False


def _longest(coded: "pq.ParquetFile", number: int, path: str) -> int:
    """Return the length of the longest value in a column's dictionary, which comes whole with the first value."""
    import pyarrow.compute as pc

    for batch in coded.iter_batches(batch_size=1, row_groups=[number], columns=[path]):
        lengths = [pc.max(pc.binary_length(part.dictionary)).as_py() for part in _dictionaries(batch.column(0))]
        if any(length is not None for length in lengths):
            return max(length or 0 for length in lengths)
    return 0


def _cut(batch: "pa.RecordBatch", schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    if batch.num_rows > 1 and decoded_bytes(batch.columns) > MAX_BYTES:
        half = batch.num_rows // 2
        yield from _cut(batch.slice(0, half), schema)
        yield from _cut(batch.slice(half), schema)
        return
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _parts(column: "pa.Array") -> "list[pa.Array]":
    """Return what a column of lists or objects is made of, without what it only refers to; else nothing."""
    import pyarrow as pa

    if pa.types.is_struct(column.type):
        return list(column.flatten())
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return [column.flatten()]
    return []


def _dictionaries(column: "pa.Array") -> "Iterator[pa.DictionaryArray]":
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        yield column
    for part in _parts(column):
        yield from _dictionaries(part)


def _decoded(column: "pa.Array") -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        values = column.dictionary
        if not len(values):
            return 0
        if pa.types.is_primitive(values.type):
            return 8 * len(column)
        lengths = pc.binary_length(values).cast(pa.int64())
        return int(pc.sum(lengths.take(column.indices)).as_py() or 0) + 4 * len(column)
    parts = _parts(column)
    return sum(map(_decoded, parts)) + 4 * len(column) if parts else int(column.nbytes)
