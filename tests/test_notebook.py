"""The notebook runs from top to bottom on the results of a run."""

import json

import pytest

from kedro_project import PROJECT_ROOT, Run

EXPLORE = PROJECT_ROOT / "notebooks" / "explore.ipynb"


# The kernel client's event loop warns about its own sockets when it is closed.
@pytest.mark.filterwarnings("ignore")
def test_explore_runs_from_top_to_bottom(run: Run) -> None:
    import nbformat  # here, as it takes seconds that both workers of pytest-xdist would pay
    from nbclient import NotebookClient

    notebook = nbformat.read(EXPLORE, as_version=4)
    reload = nbformat.v4.new_code_cell(f"%reload_kedro --env=test --params=data={run.data}")
    load = next(k for k, cell in enumerate(notebook.cells) if cell.source.startswith("%load_ext"))
    notebook.cells.insert(load + 1, reload)
    notebook.metadata.kernelspec.name = "python3"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": PROJECT_ROOT / "notebooks"}}).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert any("pretrained" in str(out.get("data", {})) for out in outputs)
    assert not [out for out in outputs if "Loading data from" in str(out.get("text", ""))]


def test_explore_is_committed_without_outputs() -> None:
    cells = json.loads(EXPLORE.read_text(encoding="utf-8"))["cells"]
    assert len(cells) > 5
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
