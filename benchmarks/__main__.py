"""Command line of the benchmarks: ``python -m benchmarks list``, ``python -m benchmarks run ingest``."""

import argparse
from pathlib import Path

from benchmarks.runner import BENCHMARKS, RESULTS, run


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="eegfm beside its peers, in one run")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names of the benchmarks and their parts")
    runs = commands.add_parser("run", help="run one benchmark")
    runs.add_argument("name", choices=sorted(BENCHMARKS))
    runs.add_argument("parts", nargs="*", help="only these parts, see list; all by default")
    runs.add_argument("--quick", action="store_true", help="smaller inputs, fewer repetitions: does it run at all")
    runs.add_argument("--core", type=int, help="core that everything measured is bound to; the last one by default")
    runs.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args()
    if options.command == "list":
        for name, benchmark in sorted(BENCHMARKS.items()):
            print(f"{name}: {' '.join(benchmark.parts())}")
        return
    run(options.name, options.parts, quick=options.quick, core=options.core, folder=options.results)


if __name__ == "__main__":
    main()
