"""Ingest pipeline of one corpus: raw files to signal store."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.ingest.nodes import acquire_raw_files, describe_recordings, index_raw_files, ingest_recordings


def create_pipeline(corpus: str) -> Pipeline:
    """Acquire, index and ingest one corpus; everything but ``params:signal`` lives in its namespace."""
    return Pipeline(
        [
            Node(
                acquire_raw_files,
                inputs=["params:acquire", "params:ingest", "raw_folder", "workspace"],
                outputs="raw",
                name="acquire_raw_files",
                tags=["data"],
            ),
            Node(
                index_raw_files,
                inputs=["raw", "params:ingest", "workspace"],
                outputs="raw_files",
                name="index_raw_files",
                tags=["data"],
            ),
            Node(
                ingest_recordings,
                inputs=["raw_files", "raw", "params:acquire", "params:ingest", "params:signal", "workspace"],
                outputs={k: k for k in ("signals", "recordings", "events", "rejected", "file_outcomes")},
                name="ingest_recordings",
                tags=["data"],
            ),
            Node(
                describe_recordings,
                inputs=["signals", "recordings", "rejected", "file_outcomes", "params:ingest", "workspace"],
                outputs={k: k for k in ("ingest_summary", "montages", "unknown_channels", "spectrum")},
                name="describe_recordings",
                tags=["data"],
            ),
        ],
        namespace=corpus,
        parameters={"params:signal"},
    )
