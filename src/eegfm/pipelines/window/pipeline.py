"""Window pipeline of one corpus: recordings to windows."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.window.nodes import cut_recordings


def create_pipeline(corpus: str) -> Pipeline:
    """Cut the windows of one corpus, in its namespace."""
    node = Node(
        cut_recordings,
        inputs=["recordings", "events", "params:window"],
        outputs={"windows": "windows", "window_counts": "window_counts"},
        name="cut_windows",
        tags=["data"],
    )
    return Pipeline([node], namespace=corpus)
