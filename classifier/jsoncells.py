"""Write the columns of an Arrow batch as the tails of JSON objects, a column at a time instead of a row at a time.

Most of our columns hold few distinct values (decisions, notes, the model), so what stands between two numbers is
written once for each way in which it comes up. Numbers are cast by Arrow: the digits may be spelled another way than
orjson would, the number read back is the same.
"""

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import pyarrow as pa

_SPLIT = "\x1f"  # stands in no tag and no note; a list that holds it is written the slow way
_MANY = 4_096  # texts between two numbers: more than this are not worth writing beforehand


def json_members(batch: "pa.RecordBatch") -> "pa.Array":
    r"""Return, for each row, `,"name":value,...}` and a line feed: what ends a JSON object that has members already."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pieces: list[Any] = []
    between = _Between()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        lead = f",{orjson.dumps(name).decode()}:"
        numbers = _numbers(column)
        if numbers is not None:
            pieces += [between.end(lead), numbers]
            between = _Between()
            continue
        written, codes = _coded(column)
        if len(between.texts) * len(written) > _MANY:
            pieces.append(between.end(""))
            between = _Between()
        between.add([lead + text for text in written], codes)
    tails = pc.binary_join_element_wise(*pieces, between.end("}\n"), pa.scalar(""))
    if isinstance(tails, pa.Scalar):  # no column varies by row
        tails = pa.repeat(tails, batch.num_rows)
    return tails.cast(pa.binary())


class _Between:
    """What stands between two numbers: the distinct texts, and which of them each row has."""

    def __init__(self) -> None:
        self.texts = [""]
        self._codes: Any = None  # None: all rows have the one text

    def add(self, texts: list[str], codes: "pa.Array") -> None:
        import pyarrow.compute as pc

        if self._codes is None:
            self.texts, self._codes = [self.texts[0] + text for text in texts], codes
            return
        both = pc.add(pc.multiply(self._codes, len(texts)), codes).dictionary_encode()
        pairs = (divmod(code, len(texts)) for code in both.dictionary.to_pylist())
        self.texts, self._codes = [self.texts[a] + texts[b] for a, b in pairs], both.indices

    def end(self, text: str) -> Any:
        import pyarrow as pa

        if self._codes is None:
            return pa.scalar(self.texts[0] + text)
        return pa.array([before + text for before in self.texts], pa.string()).take(self._codes)


def _numbers(column: "pa.Array") -> "pa.Array | None":
    """Return the numbers of a column as texts, or None where it is no column of numbers that JSON can hold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_float64(column.type) or column.null_count or not pc.all(pc.is_finite(column)).as_py():
        return None
    text = column.cast(pa.string())
    if pc.any(pc.equal(column, pc.floor(column))).as_py():
        # Arrow writes a whole number without its ".0": a reader would take it for an integer.
        whole = pc.match_substring_regex(text, r"^-?\d+$")
        text = pc.if_else(whole, pc.binary_join_element_wise(text, ".0", ""), text)
    return text


def _coded(column: "pa.Array") -> "tuple[list[str], pa.Array]":
    """Return the distinct values of a column as JSON, and which of them each row has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string(kind):
        coded = pc.dictionary_encode(column, null_encoding="encode")
        return [orjson.dumps(value).decode() for value in coded.dictionary.to_pylist()], coded.indices
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type) and not column.null_count:
        parts = column.flatten()
        odd = pc.or_(pc.equal(parts, ""), pc.match_substring(parts, _SPLIT))
        if not parts.null_count and not pc.any(odd).as_py():
            coded = pc.binary_join(column, _SPLIT).dictionary_encode()
            values = (text.split(_SPLIT) if text else [] for text in coded.dictionary.to_pylist())
            return [orjson.dumps(value).decode() for value in values], coded.indices
    written = [orjson.dumps(value).decode() for value in column.to_pylist()]
    return written, pa.array(range(len(written)), pa.int32())
