from collections.abc import Iterator, Sequence
from os import PathLike
from types import TracebackType
from typing import IO, Any, Self

from pyarrow import RecordBatch, Schema, Table

class RowGroupMetaData:
    num_rows: int
    total_byte_size: int

class FileMetaData:
    num_rows: int
    num_row_groups: int
    metadata: dict[bytes, bytes] | None
    def row_group(self, i: int) -> RowGroupMetaData: ...

class ParquetFile:
    metadata: FileMetaData
    schema_arrow: Schema
    num_row_groups: int
    def __init__(
        self,
        source: str | PathLike[str] | IO[bytes] | Any,
        *,
        metadata: FileMetaData | None = None,
        page_checksum_verification: bool = False,
        memory_map: bool = False,
        pre_buffer: bool = False,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def close(self) -> None: ...
    def read(self, columns: Sequence[str] | None = None) -> Table: ...
    def read_row_group(
        self, i: int, columns: Sequence[str] | None = None, use_threads: bool = True
    ) -> Table: ...
    def iter_batches(
        self,
        batch_size: int = 65536,
        row_groups: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        use_threads: bool = True,
    ) -> Iterator[RecordBatch]: ...

class ParquetWriter:
    def __init__(
        self,
        where: str | PathLike[str] | IO[bytes] | Any,
        schema: Schema,
        *,
        compression: str = "snappy",
        use_dictionary: bool | Sequence[str] = True,
        write_statistics: bool | Sequence[str] = True,
        write_page_checksum: bool = False,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def write_table(self, table: Table, row_group_size: int | None = None) -> None: ...
    def write_batch(self, batch: RecordBatch, row_group_size: int | None = None) -> None: ...
    def add_key_value_metadata(self, key_value_metadata: dict[Any, Any]) -> None: ...
    def close(self) -> None: ...

def read_table(source: Any, *, columns: Sequence[str] | None = None, **options: Any) -> Table: ...
def read_metadata(where: Any) -> FileMetaData: ...
def read_schema(where: Any) -> Schema: ...
def write_table(table: Table, where: Any, row_group_size: int | None = None, **options: Any) -> None: ...
