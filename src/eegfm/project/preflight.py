"""Ask before the first step whether the machine can do what the run asks: packages, devices, folders to write into."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import BaseModel

from eegfm.checkpoint import CheckpointHeader
from eegfm.encoders.braindecode.config import BraindecodeConfig
from eegfm.errors import CheckpointError, ConfigError, EegfmError
from eegfm.evaluation.config import ProbeParams
from eegfm.io.folder import FolderDataset, WorkspaceDataset
from eegfm.io.foreign_file import ForeignFileDataset
from eegfm.jobs.acquire.config import AcquireParams, FolderSource
from eegfm.jobs.ingest.config import WorkerParams
from eegfm.jobs.probe.exposure import refuse_declared
from eegfm.jobs.weights.config import ExportParams, ImportParams
from eegfm.project.encoder_steps import header_of, made_encoder, parents_of, trains
from eegfm.ranks.start import Nodes, rank_command
from eegfm.signal.config import SignalParams
from eegfm.training.config import PretrainParams
from eegfm.training.supervised.config import TuningBase

Catalog = CatalogProtocol[Any, Any]

_N_BYTES = 4096
"""Bytes that are written for a try: a full disk refuses them."""
_BRAINDECODE = ("braindecode", "zoo", ("braindecode", "torchaudio"))


def check_machine(pipeline: Pipeline, catalog: Catalog) -> None:
    """Check packages, devices and folders of all steps of a run. Torch is imported only if a parameter asks for a GPU.

    Raises:
        ConfigError: A package or a device is missing.
        EegfmError: A folder cannot be written.
    """
    named = (name for name in sorted(pipeline.inputs()) if name.startswith("params:") and name in catalog)
    params = {name: catalog.load(name) for name in named}
    _check_packages(params, pipeline, catalog)
    _check_signals(params, pipeline, catalog)
    _check_import(pipeline, catalog)
    _check_exposure(params, pipeline, catalog)
    _check_folders(pipeline, catalog)
    _check_devices(params)


def _check_packages(params: Mapping[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
    needs = [need for name, value in params.items() for need in _needs(value, name.removeprefix("params:"))]
    headers = _stored_headers(pipeline, catalog)
    needs += [(f"{n}: encoder", *_BRAINDECODE) for n, h in headers.items() if h.encoder.get("name") == "braindecode"]
    for key, what, extra, packages in needs:
        missing = [package for package in packages if package not in sys.modules and find_spec(package) is None]
        if missing:
            raise ConfigError(
                f'{key}: {what} needs {", ".join(missing)}; install it with pip install "eegfm[{extra}]", or leave '
                f"{what} out"
            )


def _needs(value: Any, key: str) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Key, choice, extra and packages of each choice inside a parameter that needs packages of an extra."""
    if isinstance(value, ExportParams) and "onnx" in value.formats:
        yield f"{key}.formats", "onnx", "export", ("onnx", "onnxruntime", "onnxscript")
    if isinstance(value, BraindecodeConfig):
        yield (key, *_BRAINDECODE)
    if isinstance(value, WorkerParams) and value.backend == "dask":
        yield f"{key}.backend", "dask", "dask", ("distributed",)
    inner: Any = ()
    if isinstance(value, BaseModel):
        inner = ((f"{key}.{name}", getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        inner = ((f"{key}.{name}", one) for name, one in value.items())
    elif isinstance(value, list | tuple):
        inner = ((key, one) for one in value)
    for name, one in inner:
        yield from _needs(one, name)


def _check_signals(params: Mapping[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
    """Refuse to use an encoder that expects signals of another rate or filter than those that the run makes."""
    signal, imports = params.get("params:signal"), params.get("params:import")
    made = any(name.endswith(".signals") for name in pipeline.all_outputs())
    if not isinstance(signal, SignalParams) or not made:
        return
    expected: dict[str, Any] | None = None
    if isinstance(imports, ImportParams) and "params:probe" in params and not _is_export(catalog):
        expected = {"rate_hz": imports.rate_hz, **imports.filters.model_dump()}
    for header in _stored_headers(pipeline, catalog).values():
        expected = {"rate_hz": header.signal_spec["rate_hz"], **header.filters}
    differ = [name for name, value in (expected or {}).items() if getattr(signal, name, None) != value]
    if expected and differ:
        here = {name: _yaml(getattr(signal, name, None)) for name in differ}
        said = ", ".join(f"signal.{name} {here[name]} -> {_yaml(expected[name])}" for name in differ)
        given = ",".join(f"signal.{name}={_yaml(expected[name])}" for name in differ)
        raise CheckpointError(
            f"the stored encoder expects signals with other parameters than those of this run: {said}; take another "
            f"encoder, or make the data with these: --params=data=FOLDER,{given} (all models over one data folder "
            "share its signals)"
        )


def _stored_headers(pipeline: Pipeline, catalog: Catalog) -> dict[str, CheckpointHeader]:
    """Headers of the weights that a run reads and does not make, by entry."""
    found = {name: header_of(catalog.get(name)) for name in sorted(pipeline.inputs())}
    return {name: header for name, header in found.items() if header is not None}


def _yaml(value: Any) -> str:
    return "null" if value is None else str(value)


def _check_import(pipeline: Pipeline, catalog: Catalog) -> None:
    """Refuse an import without a file before another step runs."""
    dataset = catalog.get("import_weights.file") if "import_weights.file" in pipeline.inputs() else None
    if isinstance(dataset, ForeignFileDataset):
        dataset.check()


def _check_exposure(params: Mapping[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
    """Refuse a probe of imported weights that may have been trained on the probed corpus, by the names of corpora."""
    probe, stored = params.get("params:probe"), _stored_headers(pipeline, catalog)
    if not isinstance(probe, ProbeParams) or probe.allow_pretrained_persons:
        return
    parents = {made_encoder(node): parents_of(node) for node in pipeline.nodes if trains(node)}
    for node in (node for node in pipeline.nodes if "params:probe" in node.inputs):
        names = [*node.inputs]
        for name in names:  # the encoder, what its training starts from and predicts the codes of, and so on
            names += parents.get(name, [])
        corpora = [name.removesuffix(".windows") for name in node.inputs if name.endswith(".windows")]
        for header, corpus in product((stored[name] for name in names if name in stored), corpora):
            refuse_declared(header, corpus)


def _is_export(catalog: Catalog) -> bool:
    """True if the file to import lies in an export of eegfm, which says everything about itself."""
    file = Path(str(catalog["import_weights.file"]._describe()["filepath"]))
    return file.with_name("config.json").is_file()


def _check_devices(params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        key = name.removeprefix("params:")
        if isinstance(value, PretrainParams | TuningBase | ProbeParams) and value.accelerator in ("cuda", "mps"):
            from eegfm.nn.device import refuse_missing_gpu

            refuse_missing_gpu(f"{key}.accelerator", value.accelerator, precision=value.precision)
        if isinstance(value, PretrainParams):
            _check_ranks(value, key)


def _check_ranks(params: PretrainParams, key: str) -> None:
    """Refuse devices that this machine lacks, and nodes that could not meet."""
    if params.devices != "auto":
        nodes = Nodes(params.devices, params.num_nodes, params.rendezvous, key)
        rank_command("", Path(), nodes, os.environ)
    if params.devices != 1 and params.accelerator != "cpu":
        from eegfm.jobs.train.devices import with_devices

        with_devices(params, key)


def _check_folders(pipeline: Pipeline, catalog: Catalog) -> None:
    tried: set[Path] = set()
    for name, folder in _written(pipeline, catalog):
        existing = folder
        while not os.path.lexists(existing):
            existing = existing.parent
        if existing not in tried:
            _try_to_write(name, folder, existing)
            tried.add(existing)


def _written(pipeline: Pipeline, catalog: Catalog) -> Iterator[tuple[str, Path]]:
    """Entries that the run writes, each with the folder that it writes into."""
    folders = {
        node.namespace
        for node in pipeline.nodes
        if f"params:{node.namespace}.acquire" in node.inputs
        and isinstance(_acquire(catalog, node.namespace).source, FolderSource)
    }
    only_read = {f"{corpus}.{what}" for corpus in folders for what in ("raw", "raw_folder")}
    for name in sorted(pipeline.datasets() - only_read):
        dataset = catalog[name] if not name.startswith("params:") and name in catalog else None
        is_made = name in pipeline.all_outputs()
        described = dataset._describe() if dataset is not None else {}
        if isinstance(dataset, WorkspaceDataset) or (is_made and described.get("path")):
            folder = Path(str(described["path"]))
            yield name, folder
            if isinstance(dataset, FolderDataset) and name.endswith(".export_folder"):
                yield name, folder.parent  # the folder itself is replaced
        elif is_made and described.get("filepath"):
            file = Path(str(described["filepath"]))
            if file.is_dir():
                raise EegfmError(f"{name} cannot be written: {file} is a folder; move it away")
            yield name, file.parent


def _acquire(catalog: Catalog, corpus: str | None) -> AcquireParams:
    found: AcquireParams = catalog.load(f"params:{corpus}.acquire")
    return found


def _try_to_write(name: str, folder: Path, existing: Path) -> None:
    """Write a temporary file into the folder, or into the nearest one above it that exists."""
    if not existing.is_dir():
        raise EegfmError(
            f"{name} cannot be written into {folder}: {existing} is no folder; move it away, or write elsewhere with "
            "--params=data=FOLDER"
        )
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".eegfm-try-") as file:
            file.write(b"\0" * _N_BYTES)
            file.flush()
    except OSError as error:
        raise EegfmError(
            f"{name} cannot be written into {folder}: a file in {existing} could not be written ({error.strerror}); "
            "make room or allow writing there, or write elsewhere with --params=data=FOLDER"
        ) from error
