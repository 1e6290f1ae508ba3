"""Put Parquet files together by their bytes: pages are copied as they are, and the footers become one.

Decoding and encoding the pages again would cost as much as making them. A footer is a Thrift structure in compact
protocol; of it only the places of pages in the file change, each by the same number of bytes. Nothing here knows more
of Parquet than which fields those are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAGIC = b"PAR1"

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_NUM_ROWS, _ROW_GROUPS = 3, 4  # of FileMetaData
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7  # of RowGroup
_META_DATA, _CHUNK_OFFSETS = 3, (2, 4, 6)  # of ColumnChunk: file, offset index, column index
_PAGE_OFFSETS = (9, 10, 11, 14)  # of ColumnMetaData: data, index and dictionary pages, Bloom filter

Struct = dict[int, tuple[int, Any]]  # field number -> Thrift type, value; in the order of the file


@dataclass(frozen=True, slots=True)
class Part:
    """One file's footer, and where its first byte after the magic number went in the joined file."""

    footer: bytes
    offset: int


def split(file: memoryview) -> tuple[memoryview, bytes]:
    """Return a whole Parquet file's pages (what stands between magic number and footer) and its footer."""
    size = int.from_bytes(file[-8:-4], "little")
    return file[len(MAGIC) : len(file) - 8 - size], bytes(file[len(file) - 8 - size : -8])


def joined_end(parts: Sequence[Part]) -> bytes:
    """Return the end of a file that holds the pages of all parts; its schema is that of the first."""
    result: Struct = {}
    groups: list[Any] = []
    rows = 0
    for part in parts:
        footer = _Reader(part.footer).struct()
        result = result or footer
        rows += footer[_NUM_ROWS][1]
        for group in footer[_ROW_GROUPS][1][1]:
            _move(group, part.offset - len(MAGIC))
            if _ORDINAL in group:
                group[_ORDINAL] = (group[_ORDINAL][0], len(groups))
            groups.append(group)
    result[_NUM_ROWS] = (result[_NUM_ROWS][0], rows)
    result[_ROW_GROUPS] = (_LIST, (_STRUCT, groups))
    out = bytearray()
    _write_struct(out, result)
    return bytes(out) + len(out).to_bytes(4, "little") + MAGIC


def _move(group: Struct, by: int) -> None:
    _shift(group, (_GROUP_OFFSET,), by)
    for chunk in group[_COLUMNS][1][1]:
        _shift(chunk, _CHUNK_OFFSETS, by)
        _shift(chunk[_META_DATA][1], _PAGE_OFFSETS, by)


def _shift(struct: Struct, fields: Sequence[int], by: int) -> None:
    for field in fields:
        if field in struct and struct[field][1]:  # 0 says: not given
            struct[field] = (struct[field][0], struct[field][1] + by)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._signed()
            fields[number] = (kind, kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._signed()
        if kind == _BINARY:
            return self._take(self._unsigned())
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            head = self._byte()
            size = head >> 4 if head >> 4 < 15 else self._unsigned()
            return head & 15, [self._value(head & 15) for _ in range(size)]
        if kind == _DOUBLE:
            return self._take(8)
        if kind in (_BYTE, _TRUE, _FALSE):  # in a list, a truth value takes a byte of its own
            return self._take(1)
        raise ValueError(f"Thrift type {kind} in a Parquet footer")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)


def _write_struct(out: bytearray, struct: Struct) -> None:
    before = 0
    for number, (kind, value) in struct.items():
        if kind in (_TRUE, _FALSE):
            kind = _TRUE if value else _FALSE
        if 0 < number - before < 16:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _write_unsigned(out, number << 1)
        before = number
        if kind not in (_TRUE, _FALSE):
            _write_value(out, kind, value)
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_unsigned(out, value << 1 if value >= 0 else (-value << 1) - 1)
    elif kind == _BINARY:
        _write_unsigned(out, len(value))
        out += value
    elif kind == _STRUCT:
        _write_struct(out, value)
    elif kind in (_LIST, _SET):
        inner, items = value
        if len(items) < 15:
            out.append(len(items) << 4 | inner)
        else:
            out.append(15 << 4 | inner)
            _write_unsigned(out, len(items))
        for item in items:
            _write_value(out, inner, item)
    else:
        out += value


def _write_unsigned(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
