"""Runs the cells of the notebook in this process: a kernel of its own costs seconds."""

import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from kedro_project import PROJECT_ROOT

EXPLORE = PROJECT_ROOT / "notebooks" / "explore.ipynb"


def run_cells(session: KedroSession) -> tuple[str, dict[str, Any]]:
    """Run all cells on the results of a session's environment.

    Returns:
        What they print, and their variables. ``shown`` are the objects that cells display.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    context = session.load_context()
    shown: list[Any] = []
    names: dict[str, Any] = {
        "context": context, "catalog": context.catalog, "pipelines": pipelines, "session": session,
        "display": shown.append, "shown": shown,
    }  # fmt: skip
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in _cells():
            *body, last = cell.rstrip().splitlines()
            try:
                compile(last, "last line", "eval")
            except SyntaxError:
                exec(cell, names)  # noqa: S102  the project's own notebook
                continue
            exec("\n".join(body), names)  # noqa: S102
            shown.append(eval(last, names))  # noqa: S307
    plt.close("all")
    return printed.getvalue(), names


def _cells() -> list[str]:
    cells: list[Mapping[str, Any]] = json.loads(EXPLORE.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [source for source in sources if not source.startswith("%")]
