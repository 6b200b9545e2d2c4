"""Catalog dataset of Parquet tables, written whole or not at all."""

import hashlib
import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from eegfm.files import write_atomically
from eegfm.io.parquet_seal import footer_is_whole, is_whole, sealed
from eegfm.io.recorded import Recorded, parsed, written
from eegfm.provenance import RECORD_KEY, Record


class TableDataset(Recorded, AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A pandas table as one Parquet file; its record stands in the metadata of the schema."""

    def load(self) -> pd.DataFrame:
        """Read the table."""
        return pd.read_parquet(io.BytesIO(self._checked()))

    def save(self, data: pd.DataFrame) -> None:
        """Write the table in one step."""
        table, record = pa.Table.from_pandas(data, preserve_index=False), self._take(data)
        if record is not None:
            said = {RECORD_KEY.encode(): json.dumps(written(record)).encode()}
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **said})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        write_atomically(self._path, sealed(sink.getvalue().to_pybytes()))

    def preview(self, nrows: int = 20) -> TablePreview:
        """First rows for kedro viz."""
        return TablePreview(self.load().head(nrows).astype("str").to_dict(orient="split"))

    def identity_of(self, data: pd.DataFrame) -> str:
        """Hash of names, types and values, in the table's order."""
        # In one piece: how a table was put together leaves no trace.
        table = pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def check(self) -> None:
        """See ``Recorded``. All bytes are compared with their checksum, and the record is among them."""
        self._checked()

    def _checked(self) -> bytes:
        data = self._bytes()
        if not is_whole(data):
            self._refuse("damaged, or written by another program")
        return data

    def _read_record(self) -> Record | None:
        if not footer_is_whole(self._path):
            return None
        said = (pq.read_schema(self._path).metadata or {}).get(RECORD_KEY.encode())
        return parsed(json.loads(said)) if said else None
