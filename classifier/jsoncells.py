"""Write the columns of an Arrow batch as the tails of JSON objects, a column at a time instead of a row at a time.

Most of our columns hold few distinct values (decisions, notes, the model), so each distinct value is written once.
Numbers are cast by Arrow: the digits may be spelled another way than orjson would, the number read back is the same.
"""

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import pyarrow as pa

_SPLIT = "\x1f"  # stands in no tag and no note; a list that holds it is written the slow way


def json_members(batch: "pa.RecordBatch") -> list[bytes]:
    r"""Return, for each row, `,"name":value,...}` and a line feed: what ends a JSON object that has members already."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not batch.num_rows:
        return []
    pieces: list[Any] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        pieces += _pieces(f",{orjson.dumps(name).decode()}:", column)
    tails = pc.binary_join_element_wise(*pieces, pa.scalar("}\n"), pa.scalar(""))
    found: list[bytes] = tails.cast(pa.binary()).to_pylist()
    return found


def _pieces(lead: str, column: "pa.Array") -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string(kind):
        return [_each_once(column, lead, lambda text: text)]
    if column.null_count == 0:
        if pa.types.is_float64(kind) and pc.all(pc.is_finite(column)).as_py():
            text = column.cast(pa.string())
            if pc.any(pc.equal(column, pc.floor(column))).as_py():
                # Arrow writes a whole number without its ".0": a reader would take it for an integer.
                whole = pc.match_substring_regex(text, r"^-?\d+$")
                text = pc.if_else(whole, pc.binary_join_element_wise(text, ".0", ""), text)
            return [pa.scalar(lead), text]
        if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
            parts = column.flatten()
            odd = pc.or_(pc.equal(parts, ""), pc.match_substring(parts, _SPLIT))
            if parts.null_count == 0 and not pc.any(odd).as_py():
                joined = pc.binary_join(column, _SPLIT)
                return [_each_once(joined, lead, lambda text: text.split(_SPLIT) if text else [])]
    return [pa.array([lead + orjson.dumps(value).decode() for value in column.to_pylist()], pa.string())]


def _each_once(column: "pa.Array", lead: str, value_of: Any) -> "pa.Array":
    import pyarrow as pa

    coded = column.dictionary_encode("encode")
    written = [lead + orjson.dumps(value_of(text)).decode() for text in coded.dictionary.to_pylist()]
    return pa.array(written, pa.string()).take(coded.indices)
