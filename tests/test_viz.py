"""kedro viz shows the lineage with layers, and something to look at behind every result."""

import pytest

from kedro_project import PROJECT_ROOT, Run

LAYERS = ["raw", "intermediate", "primary", "model_input", "models", "model_output", "reporting"]
WITHOUT_PREVIEW = {"raw", "raw_folder", "workspace", "runs", "report", "test_ledger"}


@pytest.mark.filterwarnings("ignore")  # those of kedro-viz and of what it is built on
def test_lineage_has_layers_and_previews(run: Run) -> None:
    from fastapi.testclient import TestClient
    from kedro_viz.api.apps import create_api_app_from_project
    from kedro_viz.server import load_and_populate_data

    load_and_populate_data(PROJECT_ROOT, env="test", extra_params={"data": str(run.data)}, package_name="eegfm")
    client = TestClient(create_api_app_from_project(PROJECT_ROOT))
    shown = client.get("/api/main").json()
    assert shown["layers"] == [layer for layer in LAYERS if layer in shown["layers"]]
    assert {"raw", "intermediate", "primary", "model_input", "models", "reporting"} <= set(shown["layers"])
    data = [node for node in shown["nodes"] if node["type"] == "data"]
    assert len(data) > 20
    for node in data:
        name = node["name"].rsplit(".", 1)[-1]
        details = client.get(f"/api/nodes/{node['id']}").json()
        assert bool(details.get("preview")) == (name not in WITHOUT_PREVIEW), node["name"]
