"""Stored recordings become stale when the code that decides their samples changes. No other code counts."""

import ast
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pybv
import pytest

import eegfm.jobs.ingest.workers as workers
from bids_tree import convert_file, write_signal, write_tree
from eegfm import source_code
from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus, HbnCorpus, TuhCorpus
from eegfm.jobs.ingest import staleness
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.jobs.ingest.staleness import CONVERSION, NO_SAMPLES, NO_SAMPLES_PACKAGES, READERS, reader_codes, store_code
from eegfm.signal.config import SignalParams
from eegfm.signal.open import FORMATS
from eegfm.source_code import packages
from eegfm.store.index import RejectedEntry
from kedro_project import PROJECT_ROOT
from set_files import TEN_TWENTY, eeg_uv, fields, write_fdt, write_set

SOURCE = PROJECT_ROOT / "src" / "eegfm"
LABELS = TEN_TWENTY[:8]
LAYOUTS: dict[str, CorpusConfig] = {
    "tuh": TuhCorpus(), "hbn": HbnCorpus(), "bids": BidsCorpus(), "edf_folder": EdfFolderCorpus()
}  # fmt: skip


def named(text: str) -> set[str]:
    """Names that stand below their folder: ``signal: text header`` is ``signal.text signal.header``."""
    lines = [line.partition(":") for line in text.strip().splitlines()]
    return {f"{folder.strip()}.{name}" for folder, _, names in lines for name in names.split()} - {"recording."}


ALL_LAYOUTS = {"recording", "json_text"} | named("""
    corpora: base file_events manifest side_file_limits text_files
    jobs.ingest: convert stored_rate stream
    signal: companions expected header named_files open pointers rates sniff text units
    signal.montages: caps electrodes labels layouts references
    signal.processing: bad_stretches filters fingerprint kernels plausible quality quantize
    store: checksums index layout
""")
OWN = {
    "tuh": named("corpora: tuh tuh_annotations text_tables side_faults\nsignal.montages: bipolar"),
    "hbn": named("corpora: hbn hbn_tasks bids_channels bids_sidecars text_tables side_faults"),
    "bids": named("corpora: bids bids_channels bids_parts bids_positions bids_sidecars text_tables side_faults"),
    "edf_folder": named("corpora: edf_folder path_pattern"),
}
"""By layout, the modules that decide what is stored of it, readers apart."""
READER = {
    "edf": {"recording"}
    | named("""
        signal: expected header rates sniff text triggers units
        signal.montages: caps electrodes labels layouts references
        signal.edf: annotations calibration channels checks fields header padding reader records triggers
    """),
    "eeglab": {"recording"}
    | named("""
        signal: companions expected header pointers rates sniff text triggers units
        signal.montages: caps electrodes labels layouts references
        signal.eeglab: fdt fields reader
        signal.matlab: mat5 mat73 read values
    """),
    "brainvision": {"recording"}
    | named("""
        signal: companions expected header pointers rates sniff text triggers units
        signal.montages: caps electrodes labels layouts references
        signal.brainvision: fields header markers reader samples
    """),
}
"""By format, the modules that its reader consists of."""


def modules() -> list[str]:
    paths = (path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


def file_of(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that the hashes are made of."""
    root = tmp_path / "source"
    shutil.copytree(SOURCE, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_code, "_ROOT", root)
    return root


def codes() -> dict[str, str]:
    """Hash of each layout and of each reader."""
    return {name: store_code(f"eegfm.corpora.{name}") for name in OWN} | reader_codes()


WANTED = {name: ALL_LAYOUTS | own for name, own in OWN.items()} | READER


def change(path: Path) -> None:
    with path.open("a") as file:
        file.write("\n_ANOTHER = 1\n")


def test_a_module_makes_stale_what_rests_on_it(source: Path) -> None:
    before = codes()
    for module in sorted(set().union(*WANTED.values())):
        path = file_of(source, module)
        text = path.read_text()
        change(path)
        stale = {name for name, code in codes().items() if code != before[name]}
        assert stale == {name for name, wanted in WANTED.items() if module in wanted}, module
        path.write_text(text)
        os.utime(path, ns=(1, 1))
    assert codes() == before


def test_all_other_modules_make_nothing_stale(source: Path) -> None:
    """All at once; the test above has changed each of the rest alone, and saw it count where it is wanted only."""
    before, wanted = codes(), set().union(*WANTED.values())
    others = [module for module in modules() if module not in wanted]
    assert len(others) > 250
    for module in others:
        change(file_of(source, module))
    assert codes() == before


def test_words_make_nothing_stale(source: Path) -> None:
    before = codes()
    for module in modules():
        path = file_of(source, module)
        text = path.read_text()
        path.write_text("# said\n" + text.replace('"""', '"""Otherwise: ', 1) + "\n# said\n")
        assert "Otherwise" in path.read_text() or "__main__" in module
    assert codes() == before


def test_libraries_count_where_they_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def made_stale(library: str) -> set[str]:
        before = codes()
        with monkeypatch.context() as patch:
            real = staleness.version
            patch.setattr(staleness, "version", lambda name: "0.0" if name == library else real(name))
            return {name for name, code in codes().items() if code != before[name]}

    assert made_stale("numpy") == {*OWN, *FORMATS}
    assert made_stale("scipy") == made_stale("xxhash") == {*OWN}
    assert made_stale("mne") == {*OWN, *FORMATS}
    assert made_stale("h5py") == {"eeglab"}
    assert made_stale("pandas") == made_stale("torch") == set()


def test_what_is_left_out_is_there() -> None:
    """A name that is no module any more would leave out nothing, and nobody would see it."""
    folders = {module.rpartition(".")[0] for module in modules()}
    assert {*NO_SAMPLES, *READERS} <= {*modules(), *folders}
    roots = [CONVERSION, *(f"eegfm.corpora.{name}" for name in OWN)]
    assert set(packages(*roots)) >= NO_SAMPLES_PACKAGES
    assert {config.implementation.partition(":")[0] for config in LAYOUTS.values()} == set(roots[1:])
    assert {path.parent.name for path in (SOURCE / "signal").glob("*/reader.py")} == set(FORMATS)


def functions(path: Path) -> set[str]:
    """Functions of a module that pydantic does not call to check values, which count as they come out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
            found |= set() if "_validator(" in decorators else {node.name}
    return found


def test_configuration_holds_no_code_that_decides_samples() -> None:
    assert functions(SOURCE / "corpora" / "config.py") == functions(SOURCE / "signal" / "config.py") == set()
    assert functions(SOURCE / "jobs" / "ingest" / "config.py") == {"identity"}
    helpers = {"build", "check", "first_problem", "listed", "refuse_repeated", "refuse_unused", "unnamed_is"}
    assert functions(SOURCE / "config.py") == {"identity", *helpers}


def test_packages_of_what_counts_hold_no_code() -> None:
    """Importing a module runs the files of its packages, which the hashes do not see; that of eegfm is about torch."""
    counted = sorted(set().union(*WANTED.values()))
    packages_above = {parent for module in counted for parent in Path(*module.split(".")).parents} - {Path()}
    assert {Path("jobs/ingest"), Path("jobs"), Path("signal/edf")} <= packages_above
    for package in packages_above:
        body = ast.parse((SOURCE / package / "__init__.py").read_text()).body
        assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body), package


def running(run: Callable[[], Any]) -> set[str]:
    """Modules of this package whose functions run."""
    seen: set[str] = set()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and name.startswith("eegfm.") and frame.f_code.co_name != "<module>":
            seen.add(name.removeprefix("eegfm."))

    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(None)
    return seen


NO_MATTER = {"config", "errors", "jobs.ingest.memory"}
"""Modules that run in every conversion, and decide nothing: building the layout, wording, memory."""


def write_eeglab(path: Path, labels: tuple[str, ...] = LABELS, *, fdt: str = "", container: str = "v5") -> None:
    """Ten seconds of EEGLAB under any name; with ``fdt``, its samples lie in a file of that name."""
    uv = eeg_uv(len(labels), 1000, 100.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    if fdt:
        write_fdt(path.with_name(fdt), uv)
    write_set(path, fields(labels, 1000, 100.0), fdt or uv, container=container)


def write_brainvision(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pybv.write_brainvision(
        data=eeg_uv(8, 1000, 100.0) * 1e-6, sfreq=100.0, ch_names=list(LABELS), fname_base=path.stem,
        folder_out=path.parent, unit="µV", fmt="binary_float32", events=[],
    )  # fmt: skip


SHARED_EVENTS = {"sub-01/eeg/sub-01_task-x_events.tsv": [("onset", "duration", "trial_type"), (1, 0, "go")]}
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "TUH": ("tuh", "edf/aaaaaaaa/s001_2010/01_tcp_ar/aaaaaaaa_s001_t000.edf", ("edf",)),
    "EDF folder": ("edf_folder", "a.edf", ("edf",)),
    "EEGLAB in an EDF folder": ("edf_folder", "swapped.edf", ("eeglab",)),
    "HBN": ("hbn", "sub-NDARAA000AAA/eeg/sub-NDARAA000AAA_task-RestingState_eeg.set", ("eeglab",)),
    "BDF of HBN": ("hbn", "sub-NDARAA000AAA/eeg/sub-NDARAA000AAA_task-RestingState_eeg.bdf", ("edf",)),
    "BIDS": ("bids", "sub-01/eeg/sub-01_task-x_eeg.edf", ("edf",)),
    "EEGLAB 7.3": ("bids", "sub-01/eeg/sub-01_task-x_eeg.set", ("eeglab",)),
    "BrainVision": ("bids", "sub-01/eeg/sub-01_task-x_eeg.vhdr", ("brainvision",)),
    "parts": ("bids", "sub-01/eeg/sub-01_task-x_split-02_eeg.edf", FORMATS),
}


def write_case(case: str, root: Path) -> None:
    layout, name, _ = CASES[case]
    path, labels = root / name, tuple(f"E{k}" for k in range(1, 17)) if layout == "hbn" else LABELS
    if case in {"EEGLAB in an EDF folder", "EEGLAB 7.3", "HBN"}:
        write_eeglab(path, labels, container="v7.3" if "7.3" in case else "v5")
    elif case == "BrainVision":
        write_brainvision(path)
    else:
        write_signal(path, [f"EEG {n.upper()}-REF" for n in labels] if layout == "tuh" else labels)
    if case == "parts":
        write_eeglab(path.with_name("sub-01_task-x_split-01_eeg.set"))
    if case in {"parts", "BIDS", "BrainVision"}:
        write_tree(root, SHARED_EVENTS)


@pytest.mark.parametrize("case", list(CASES))
def test_all_code_that_a_conversion_runs_counts(case: str, tmp_path: Path) -> None:
    layout, name, formats = CASES[case]
    write_case(case, tmp_path / "raw")

    def run() -> Converted | RejectedEntry:
        return convert_file(LAYOUTS[layout], tmp_path / "raw", name, tmp_path / "spool")

    done = run()  # what is imported on the way runs once
    assert isinstance(done, Converted), done
    assert done.formats == formats
    [row] = LAYOUTS[layout].build("corpus").index(tmp_path / "raw").query("path == @name").to_dict("records")
    params = IngestParams(corpus=LAYOUTS[layout])
    task = Task(tmp_path / "raw", row, "key", params, SignalParams(min_channels=2), tmp_path / "spool")
    ran = running(lambda: convert(task))
    assert {"jobs.ingest.stream", "signal.processing.filters", f"corpora.{layout}"} <= ran
    assert ran - NO_MATTER <= (ALL_LAYOUTS | OWN[layout]).union(*(READER[f] for f in formats))


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    def watched(task: Task) -> Converted | RejectedEntry:
        seen.append(Path(task.row["path"]).name)
        return convert(task)

    monkeypatch.setattr(workers, "convert", watched)
    return seen


def ingested(root: Path) -> Ingested:
    params = IngestParams(corpus=BidsCorpus(), workers=WorkerParams(n_workers=1))
    raw_files = params.corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(), root.parent / "signals", simulated=False)


def test_recordings_of_a_changed_reader_are_converted_again_and_no_others(
    tmp_path: Path, source: Path, conversions: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "raw"
    eeg, names = root / "sub-01" / "eeg", {k: f"sub-01_task-{k}_eeg" for k in "abcdef"}
    write_signal(eeg / f"{names['a']}.edf", LABELS)
    write_eeglab(eeg / f"{names['b']}.set")
    write_brainvision(eeg / f"{names['c']}.vhdr")
    write_eeglab(eeg / f"{names['d']}.edf")  # read for what it is
    write_signal(eeg / f"{names['e']}.edf", LABELS, duration_s=2)  # too short
    edf, eeglab, brainvision = f"{names['a']}.edf", [f"{names['b']}.set", f"{names['d']}.edf"], f"{names['c']}.vhdr"
    rejected, everything = f"{names['e']}.edf", sorted([f"{names['a']}.edf", *eeglab, brainvision, f"{names['e']}.edf"])

    def converted_after(*modules: str) -> list[str]:
        conversions.clear()
        for module in modules:
            change(file_of(source, module))
        ingested(root)
        return sorted(conversions)

    digest = ingested(root).store.digest()
    assert sorted(conversions) == everything
    assert converted_after() == []
    assert converted_after("signal.eeglab.fdt") == sorted([*eeglab, rejected])
    assert "3 recordings were read by a reader that changed" in caplog.text
    assert converted_after("signal.matlab.mat73") == sorted([*eeglab, rejected])
    assert converted_after("signal.edf.records") == sorted([edf, rejected])
    assert converted_after("signal.brainvision.reader") == sorted([brainvision, rejected])
    assert converted_after("corpora.hbn", "corpora.tuh", "corpora.config", "jobs.ingest.tables", "nn.weights") == []
    assert converted_after("corpora.bids_sidecars") == everything
    assert converted_after("signal.processing.kernels") == everything
    assert converted_after() == []
    assert ingested(root).store.digest() == digest


def test_an_eeglab_file_of_another_suffix_knows_the_file_that_it_names(tmp_path: Path, conversions: list[str]) -> None:
    path = tmp_path / "raw" / "sub-01" / "eeg" / "sub-01_task-x_eeg.edf"
    write_eeglab(path, fdt="old name.fdt")
    ingested(tmp_path / "raw")
    ingested(tmp_path / "raw")
    assert len(conversions) == 1
    os.utime(path.with_name("old name.fdt"), ns=(1, 1))
    ingested(tmp_path / "raw")
    assert len(conversions) == 1
    write_fdt(path.with_name("old name.fdt"), 2 * eeg_uv(len(LABELS), 1000, 100.0))
    ingested(tmp_path / "raw")
    assert len(conversions) == 2
