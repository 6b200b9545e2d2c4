"""Check that the inputs of a step belong to one generation, before a run and before each step."""

import logging
import multiprocessing
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kedro.io import CatalogProtocol, SharedMemoryDataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.config import StrictModel
from eegfm.errors import CheckpointError, EegfmError, LineageError
from eegfm.inference.encoder_code import implementations, refuse_other_code
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.recorded import Identified, Recorded
from eegfm.project.encoder_steps import TOKENIZER_ENTRY, maker_key, start_of, trains
from eegfm.provenance import Record, Stale, described, differing, find_stale
from eegfm.source_code import code_sha256

logger = logging.getLogger(__name__)

Catalog = CatalogProtocol[Any, Any]

DATA_TAG = "data"
REPORT_TAG = "report"
_DATA_PIPELINES = ("ingest", "window", "mix")
_KEPT = "the stored encoder is kept unless told, so add model=NAME or {phase}.overwrite=true to --params; "
"""What a run that makes an encoder again would say, too, see ``eegfm.overwrite``."""


class Lineage:
    """Origins of the files that a run reads and writes.

    Args:
        pipelines: All pipelines of the project by name. They tell which command makes an entry.
        parameters: Parameters of this run by name (``params:…``), as far as they decide a result.
        options: Options of the command line, for the commands in messages.
        phases: Names of the phases of training, which are those of their pipelines.
    """

    def __init__(
        self,
        pipelines: Mapping[str, Pipeline],
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        options: str = "",
        phases: Collection[str] = ("pretrain",),
    ) -> None:
        self._phases = phases
        self._pipelines = pipelines
        self._parameters = parameters or {}
        self._options = options
        self._read: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {}
        self._before_load: dict[tuple[str, str], str | None] = {}
        self._code: dict[tuple[str, ...], str] = {}

    def check_run(self, pipeline: Pipeline, catalog: Catalog) -> None:
        """Check existing files before the first step of a run. Files that the run makes are checked later.

        Raises:
            LineageError: Files that a step reads do not belong together, or are damaged.
            CheckpointError: An encoder was made by other code, or is damaged.
        """
        unmade = pipeline.all_outputs()
        for node in pipeline.nodes:
            self.check(node, catalog, unmade)
        self._refuse_damage(pipeline.inputs(), catalog)

    def check(self, node: Node, catalog: Catalog, unmade: Collection[str] = ()) -> list[Stale]:
        """Check the inputs of a step.

        Args:
            node: The step.
            catalog: Catalog of its inputs.
            unmade: Entries that this run will still make.

        Returns:
            Differences that a parameter of the step accepts.

        Raises:
            LineageError: The inputs do not belong together.
            CheckpointError: An encoder was made by other code.
        """
        entries = [name for name in node.inputs if name not in unmade and self._identified(catalog, name)]
        self._refuse_unrecorded(entries, catalog)
        self._refuse_other_code(node, entries, catalog)
        changed = self._changed if REPORT_TAG not in node.tags else _nothing_changed
        stale = self._stale(entries, catalog, unmade, changed)
        accepted = [s for s in stale if s.entry in entries and _accepts_other_data(node, catalog, s.entry)]
        refused = [one for one in stale if one not in accepted]
        if refused:
            raise LineageError(self._described(refused, entries) + _or_accept(node, catalog, refused))
        return accepted

    def before_load(self, node: Node, name: str, catalog: Catalog) -> None:
        """Note the identity of an input that a step is about to load."""
        if (dataset := self._identified(catalog, name)) is not None:
            self._before_load[node.name, name] = dataset.identity()

    def begin(self, node: Node, catalog: Catalog, inputs: Mapping[str, Any]) -> None:
        """Check the inputs of a step, and note their identities and the code. Both may change during the step."""
        accepted = tuple(f"{one.entry} was {one.why}" for one in self.check(node, catalog))
        for text in accepted:
            logger.warning("%s; the parameter accept_other_data accepts that", text)
        self._code_sha256(_roots(node, inputs))
        read = self._identities(node.inputs, catalog)
        for name in node.inputs:
            if self._before_load.pop((node.name, name), read.get(name)) != read.get(name):
                raise LineageError(
                    f"{name} ({_path(catalog[name])}) was replaced while {node.name} read it, by another run; "
                    "wait until it has ended, and start this one again"
                )
        self._read[node.name] = read, accepted

    def end(self, node: Node, catalog: Catalog, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Give the records of a step's outputs to the entries that will save them."""
        identities = {
            name: found.identity_of(data)
            for name, data in outputs.items()
            if (found := self._identified(catalog, name))
        }
        typed = {name: value for name, value in inputs.items() if isinstance(value, StrictModel)}
        roots = _roots(node, inputs)
        made_from, accepted = self._read.pop(node.name)
        for name, identity in identities.items():
            dataset = catalog[name]
            if isinstance(dataset, Recorded):
                record = Record(
                    contents=identity,
                    made_by=node.name,
                    is_data=DATA_TAG in node.tags,
                    made_from=made_from,
                    made_with={other: value for other, value in identities.items() if other != name},
                    parameters={key: value.identity() for key, value in typed.items()},
                    code=(roots, self._code_sha256(roots)),
                    accepted=accepted,
                )
                dataset.keep(record)

    def _identities(self, names: Iterable[str], catalog: Catalog) -> dict[str, str]:
        found = {name: dataset.identity() for name in names if (dataset := self._identified(catalog, name))}
        return {name: identity for name, identity in found.items() if identity is not None}

    def _identified(self, catalog: Catalog, name: str) -> Any:
        """The entry's dataset if its contents have an identity. Its messages name the command of this run."""
        if name.startswith("params:") or name == "parameters" or name not in catalog:
            return None
        dataset = catalog[name]
        if isinstance(dataset, Recorded) and dataset.command == Recorded.command:
            dataset.command = self._command([name])
            if isinstance(dataset, CheckpointDataset) and dataset.is_imported():
                dataset.command = self._run(["import_weights"])
        return dataset if isinstance(dataset, Identified) else None

    def _refuse_damage(self, names: Iterable[str], catalog: Catalog) -> None:
        """Compare files with their records before the first step, and thus before torch is imported."""
        for name in sorted(names):
            dataset = self._identified(catalog, name)
            if isinstance(dataset, Recorded) and dataset.identity() is not None:
                dataset.check()

    def _refuse_unrecorded(self, entries: Iterable[str], catalog: Catalog) -> None:
        for name in entries:
            dataset = catalog[name]
            if isinstance(dataset, Recorded) and dataset.identity() == Recorded.UNKNOWN:
                raise LineageError(
                    f"{name} ({_path(catalog[name])}) does not say what it was made from: another version of eegfm "
                    f"wrote it, or another program, or it is damaged; make it again with: {dataset.command}"
                )

    def _refuse_other_code(self, node: Node, entries: Iterable[str], catalog: Catalog) -> None:
        for name in entries:
            dataset = catalog[name]
            # Nothing accepts another tokenizer: it is made again in less time than what predicts its codes.
            key, params = ("", None) if name == TOKENIZER_ENTRY and trains(node) else _params(node, catalog)
            accept = bool(getattr(params, "accept_other_code", False))
            if isinstance(dataset, CheckpointDataset) and dataset.exists() and not accept:
                try:
                    refuse_other_code(dataset.header(), accept=False, key=key, options=self._options)
                except CheckpointError as error:
                    raise CheckpointError(f"{_path(dataset)}: {error}") from error

    def _stale(self, entries: list[str], catalog: Catalog, unmade: Collection[str], changed: Any) -> list[Stale]:
        def record_of(name: str) -> Record | None:
            dataset = self._identified(catalog, name)
            return dataset.record() if isinstance(dataset, Recorded) else None

        def identity_of(name: str) -> str | None:
            dataset = self._identified(catalog, name)
            return dataset.identity() if dataset else None

        return find_stale(entries, record_of, identity_of, unmade, changed)

    def _changed(self, record: Record) -> str | None:
        """Parameters and code of the step that have changed since it made the entry, in words."""
        now = {name: self._parameters[name] for name in record.parameters if name in self._parameters}
        made = {name: record.parameters[name] for name in now}
        for text in differing(made, now):
            return f"made with other parameters ({text.removeprefix('params:')})"
        roots, sha256 = record.code
        return "made by other code" if self._code_sha256(roots) != sha256 else None

    def _code_sha256(self, roots: tuple[str, ...]) -> str:
        """Hash of the code at the start of this run. Later edits do not run."""
        if roots not in self._code:
            self._code[roots] = code_sha256(*roots)
        return self._code[roots]

    def _described(self, stale: list[Stale], entries: list[str]) -> str:
        first = [one for one in stale if one.is_data] or stale
        # Data that is made again may be the same again, and then the encoder of it is no other generation.
        command = self._command([one.entry for one in first], entries)
        makers = [name for one in first if (name := self._pipeline_of(one.entry)) in self._phases]
        kept = _KEPT.format(phase=makers[0]) if makers else ""
        return f"two generations: {described(first)}; {kept}make them again with: {command}"

    def command_for(self, missing: Collection[str]) -> str:
        """The smallest command that makes entries which do not exist yet."""
        for name, pipeline in self._pipelines.items():
            if name != "__default__" and set(missing) <= pipeline.all_outputs():
                return self._run([name])
        return self._command(missing)

    def _run(self, pipelines: Collection[str]) -> str:
        file = "FOREIGN_WEIGHTS=FILE " if "import_weights" in pipelines else ""
        chosen = f" --pipelines={','.join(pipelines)}" if pipelines else ""
        return f"{file}kedro run{chosen}{self._options}"

    def _command(self, stale: Iterable[str], entries: Iterable[str] = ()) -> str:
        """The command that makes entries again, with all data before them."""
        wanted = {self._pipeline_of(name) for name in stale}
        if wanted & {*_DATA_PIPELINES}:
            # If data is made again, everything between it and the step's inputs is made again too.
            last = max(({*wanted, *map(self._pipeline_of, entries)} & {*_DATA_PIPELINES}), key=_DATA_PIPELINES.index)
            wanted = wanted - {*_DATA_PIPELINES} | {last}
        if wanted & {*self._phases}:
            wanted -= {*_DATA_PIPELINES}
        order = [name for name in self._pipelines if name in wanted]
        return self._run(order)

    def _pipeline_of(self, entry: str) -> str:
        """The first pipeline that makes an entry; an empty name if there is none."""
        names = [name for name in self._pipelines if name != "__default__"]
        return next((name for name in names if entry in self._pipelines[name].all_outputs()), "")


def refuse_workers(catalog: Catalog) -> None:
    """Refuse worker processes without hooks. Their outputs would have no record of their origin.

    Args:
        catalog: Catalog of the run; only ``ParallelRunner`` has one that its workers share.

    Raises:
        EegfmError: ``ParallelRunner`` would start such processes.
    """
    method = os.environ.get("KEDRO_MP_CONTEXT") or multiprocessing.get_start_method()
    if isinstance(catalog, SharedMemoryDataCatalog) and method != "fork":
        raise EegfmError(
            f"ParallelRunner starts its workers by {method!r}, and Kedro runs no hooks in those, so that nothing would "
            "be checked or recorded; use --runner=ThreadRunner, or KEDRO_MP_CONTEXT=fork"
        )


def _roots(node: Node, inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Root modules of the code that a step runs. Their imports count too."""
    return node.func.__module__, *sorted({m for value in inputs.values() for m in implementations(value)})


def _block(node: Node, catalog: Catalog) -> tuple[str, Any]:
    """Key and value of the parameters of a step; its name and None where it has none."""
    names = [name for name in node.inputs if name.startswith("params:")]
    if not names:
        return node.name, None
    own = next((name for name in names if name.removeprefix("params:") in node.tags), names[0])
    return own.removeprefix("params:"), catalog.load(own)


def _params(node: Node, catalog: Catalog) -> tuple[str, Any]:
    """Name of the switch of a step that reads an encoder, if it has one, and the block of parameters that holds it."""
    key, params = _block(node, catalog)
    if params is not None and hasattr(params, "load"):  # a training, which says there what it accepts of its start
        key, params = f"{key}.load", params.load
    return f"{key}.accept_other_code" if hasattr(params, "accept_other_code") else "", params


def _accepts_other_data(node: Node, catalog: Catalog, entry: str) -> bool:
    if not isinstance(catalog[entry], CheckpointDataset):
        return False
    return bool(getattr(_block(node, catalog)[1], "accept_other_data", False))


def _or_accept(node: Node, catalog: Catalog, stale: Iterable[Stale]) -> str:
    """Further advice if only the encoder belongs to another generation."""
    is_one = all(isinstance(catalog[one.entry], CheckpointDataset) for one in stale)
    if is_one and trains(node) and {one.entry for one in stale} == {start_of(node)}:
        file = _path(catalog[start_of(node)])
        return f", or start from the file as it is: ENCODER={file} with --params={maker_key(node)}.start=file"
    own_key, block = _block(node, catalog)
    if not is_one or not hasattr(block, "accept_other_data"):
        return ""
    return f", or set {own_key}.accept_other_data=true"


def _nothing_changed(record: Record) -> str | None:
    return None


def _path(dataset: Any) -> str:
    return str(dataset._describe().get("filepath", ""))
