"""Arrays of a Parquet file as views of the mapped file, without reading or copying.

An uncompressed, plain-encoded column chunk of one page is a small header and then the values one after the other, so
it can be used as a memory map. Columns that are laid out otherwise are read as usual.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_MAX_HEADER_BYTES = 256


def map_part(part: Path, columns: Sequence[str]) -> pa.Table:
    """Some columns of a file; fixed-length binary ones are views of the file if its layout allows that.

    Checksums of mapped pages are not verified: `cache.verify_latents` does that. Raises FileNotFoundError.
    """
    with pq.ParquetFile(part) as file, pa.memory_map(str(part)) as mapped:
        groups = [_read_group(file, mapped, group, columns) for group in range(file.num_row_groups)]
        return pa.concat_tables(groups) if groups else file.read(list(columns))


def _read_group(
    file: pq.ParquetFile, mapped: pa.MemoryMappedFile, group: int, columns: Sequence[str]
) -> pa.Table:
    arrays = {name: _map_column(file, mapped, group, name) for name in columns}
    unmapped = [name for name in columns if arrays[name] is None]
    read = file.read_row_group(group, columns=unmapped)
    schema = pa.schema([file.schema_arrow.field(name) for name in columns])
    return pa.table([read[name] if arrays[name] is None else arrays[name] for name in columns], schema=schema)


def _map_column(
    file: pq.ParquetFile, mapped: pa.MemoryMappedFile, group: int, name: str
) -> pa.FixedSizeBinaryArray | None:
    """The column as a view of the file; None if the bytes of the column chunk are more than the values."""
    type_ = file.schema_arrow.field(name).type
    if not pa.types.is_fixed_size_binary(type_):
        return None
    chunk = file.metadata.row_group(group).column(file.schema_arrow.names.index(name))
    num_bytes = chunk.num_values * type_.byte_width
    header_bytes = chunk.total_compressed_size - num_bytes
    is_as_it_lies = (
        chunk.compression == "UNCOMPRESSED"
        and not chunk.has_dictionary_page
        and set(chunk.encodings) <= {"PLAIN", "RLE"}
        and 0 < header_bytes <= _MAX_HEADER_BYTES
    )
    if not is_as_it_lies:
        return None
    mapped.seek(chunk.data_page_offset)
    if _page_bytes(mapped.read(header_bytes)) != num_bytes:
        return None
    return pa.FixedSizeBinaryArray.from_buffers(
        type_, chunk.num_values, [None, mapped.read_buffer(num_bytes)]
    )


def _page_bytes(header: bytes) -> int:
    """The size of the first page, from its header; 0 if the header is not of the expected form.

    The header is a struct in Thrift's compact protocol, and its field 2 is the size (parquet.thrift, PageHeader).
    """
    # pyarrow does not tell where the values of a page begin. In an Arrow IPC file this module would be three lines
    # (`pa.ipc.open_file(pa.memory_map(path)).read_all()`), but the contract is that any Parquet reader reads the table.
    # Fields 1 and 2 are each a marker byte 0x15 (next field, i32) and a zigzag varint of 7 bits per byte.
    fields: list[int] = []
    position = 0
    while len(fields) < 2:
        if header[position : position + 1] != b"\x15":
            return 0
        value, shift = 0, 0
        for byte in header[position + 1 :]:
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        position += 1
        fields.append(value >> 1)
    return fields[1]
