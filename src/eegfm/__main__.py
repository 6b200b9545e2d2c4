"""Run ``kedro run`` for this project, as ``python -m eegfm`` or as the ``eegfm`` command."""

import sys
from pathlib import Path

from eegfm.stopping import stoppable


def main() -> None:
    """Run the project with Kedro's own ``run`` command."""
    with stoppable():
        # Imported here: a signal that comes while Kedro loads ends the run like any other.
        from kedro.framework.cli.utils import find_run_command
        from kedro.framework.project import configure_project

        package = Path(__file__).parent.name
        configure_project(package)
        run = find_run_command(package)
        run(sys.argv[1:], standalone_mode=True)


if __name__ == "__main__":
    main()
