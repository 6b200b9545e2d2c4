"""A training that predicts codes: whose tokenizer it may be, and what its header and its name say of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eegfm.checkpoint import Checkpoint
from eegfm.errors import CheckpointError, ConfigError, EegfmError, SplitError
from eegfm.jobs.train import fit_pretraining, prepare, pretraining
from eegfm.store.reader import SignalStore
from eegfm.training.config import PretrainParams, TokenizerParams
from eegfm.training.started import with_start
from person_tables import split_table
from two_corpora import N_PERSONS, read_two_corpora, write_two_corpora

RUN: dict[str, Any] = {
    "batch_size": 20, "n_steps": 3, "validation_interval_steps": 3, "log_interval_steps": 1, "accelerator": "cpu",
    "progress_bar": False, "optimizer": {"learning_rate": 3e-3},
}  # fmt: skip
TOKENIZER = TokenizerParams.model_validate({
    **RUN, "encoder": {"n_maps": 4, "n_heads": 4, "n_layers": 1, "patch_samples": 100},
    "objective": {"n_codes": 8, "d_code": 4, "n_decoder_layers": 1},
})  # fmt: skip
CODES = PretrainParams.model_validate({
    **RUN, "encoder": {"name": "patch_transformer", "d_model": 16, "head_size": 8, "n_layers": 1},
    "objective": {"name": "masked", "target": "codes"},
})  # fmt: skip
Tables = tuple[pd.DataFrame, pd.DataFrame, dict[str, SignalStore]]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("corpora")
    write_two_corpora(folder)
    return read_two_corpora(folder)


@pytest.fixture(scope="module")
def tokenizer(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    mixture, splits, stores = tables
    return fit_pretraining(
        mixture, stores, TOKENIZER, tmp_path_factory.mktemp("runs"), splits=splits, phase="tokenizer"
    ).checkpoint


def header_of(tables: Tables, tokenizer: Checkpoint | None, params: PretrainParams = CODES, **more: Any) -> Any:
    mixture, splits, stores = tables
    module, _ = pretraining(params, mixture, splits, stores, tokenizer=tokenizer, **more)
    assert module.header is not None
    return module.header


def with_splits(tables: Tables, **split_of: str) -> Tables:
    """The same with other splits of persons, as ``hbn_p1``."""
    mixture, splits, stores = tables
    table = {person.replace("_", ":"): split for person, split in split_of.items()}
    new = mixture.assign(split=[table.get(row.person, row.split) for row in mixture.itertuples()])
    known = dict(zip(splits["person"], splits["split"], strict=True))
    return new[new["split"].isin(["train", "validation"])], split_table(known | table), stores


def refusal(tables: Tables, tokenizer: Checkpoint | None, kind: type[EegfmError], **more: Any) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "training_data", None)  # no window is looked at
        with pytest.raises(kind) as info:
            header_of(tables, tokenizer, **more)
    [line] = str(info.value).splitlines()
    return line


def test_the_tokenizer_is_trained_like_any_other(tokenizer: Checkpoint) -> None:
    assert tokenizer.header.phase == "tokenizer"
    codebook = tokenizer.tensors["objective.tokenizer.quantizer.codebook"]
    assert codebook.shape == (8, 4)
    np.testing.assert_allclose(np.linalg.norm(codebook, axis=1), 1, rtol=1e-5)
    assert float(tokenizer.tensors["objective.tokenizer.quantizer.usage"].sum()) > 0
    assert tokenizer.header.tokenizer is None


def test_a_start_decides_the_encoder_of_a_tokenizer(tokenizer: Checkpoint) -> None:
    """It is another one than the published."""
    later = TokenizerParams.model_validate({**RUN, "start": "file", "objective": TOKENIZER.objective})
    assert with_start(later, tokenizer.header, "tokenizer").encoder == TOKENIZER.encoder
    other = TokenizerParams.model_validate({**RUN, "start": "file", "encoder": {"n_layers": 2}})
    with pytest.raises(ConfigError, match=r"parameter tokenizer\.encoder\.\w+ is .*; leave tokenizer\.encoder out"):
        with_start(other, tokenizer.header, "tokenizer")


def test_the_header_names_the_tokenizer_and_its_persons(tables: Tables, tokenizer: Checkpoint) -> None:
    fewer = with_splits(tables, hbn_p1="excluded", tuh_p2="excluded")
    header = header_of(fewer, tokenizer)
    assert header.tokenizer == tokenizer.weights_sha256()
    assert header.parents == (tokenizer.header.as_parent(),)
    assert header.n_persons == 2 * N_PERSONS, "those of the tokenizer, too"
    assert ["hbn:p1"] in header.persons
    plain = CODES.model_copy(update={"objective": PretrainParams(n_steps=1).objective})
    assert header_of(fewer, None, plain).n_persons == 2 * N_PERSONS - 2


def test_the_tokenizer_is_part_of_the_name_of_a_run(tables: Tables, tokenizer: Checkpoint) -> None:
    name = "objective.tokenizer.quantizer.codebook"
    other = replace(tokenizer, tensors={**tokenizer.tensors, name: tokenizer.tensors[name][::-1].copy()})
    names = {header_of(tables, one).fingerprint for one in (tokenizer, tokenizer, other)}
    assert len(names) == 2


def test_nothing_of_the_tokenizer_is_trained_or_stored(tables: Tables, tokenizer: Checkpoint) -> None:
    mixture, splits, stores = tables
    module, _ = pretraining(CODES, mixture, splits, stores, tokenizer=tokenizer)
    stored = module.checkpoint().tensors
    assert not [name for name in stored if "quantizer" in name]
    assert sum(value.size for name, value in stored.items() if name.startswith("objective.")) < 500


def test_a_head_of_other_codes_is_not_taken_over(tables: Tables, tokenizer: Checkpoint) -> None:
    mixture, splits, stores = tables
    module, _ = pretraining(CODES, mixture, splits, stores, tokenizer=tokenizer)
    start, later = module.checkpoint(), CODES.model_copy(update={"start": "file"})
    name = "objective.tokenizer.quantizer.codebook"
    other = replace(tokenizer, tensors={**tokenizer.tensors, name: tokenizer.tensors[name][::-1].copy()})
    taken = [header_of(tables, one, later, start=start, phase="adapt") for one in (tokenizer, other)]
    assert [header.start["objective"] for header in taken] == ["start", "fresh"]
    assert taken[0].parents == (start.header.as_parent(), tokenizer.header.as_parent())


def test_without_a_tokenizer_there_are_no_codes(tables: Tables) -> None:
    line = refusal(tables, None, ConfigError)
    assert line == (
        "pretrain.objective.target is codes, and there is no tokenizer; make it with: kedro run --pipelines=tokenizer"
    )


def test_persons_that_the_tokenizer_has_seen_are_not_tested(tables: Tables, tokenizer: Checkpoint) -> None:
    line = refusal(with_splits(tables, hbn_p1="test"), tokenizer, SplitError)
    assert line.startswith(
        "pretrain predicts the codes of a tokenizer that was trained on 1 persons who are tested here: hbn:p1; "
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [({"filters": {"low_hz": 1.0}}, "'low_hz': 1.0"), ({"rate_hz": 200.0}, "'rate_hz': 200.0")],
)
def test_signals_are_those_of_the_tokenizer(
    tables: Tables, tokenizer: Checkpoint, change: dict[str, Any], said: str
) -> None:
    spec = {**tokenizer.header.signal_spec, **{k: v for k, v in change.items() if k == "rate_hz"}}
    header = tokenizer.header.model_copy(update={"signal_spec": spec, "filters": tokenizer.header.filters} | {
        k: v for k, v in change.items() if k == "filters"
    })  # fmt: skip
    line = refusal(tables, replace(tokenizer, header=header), CheckpointError)
    assert line.startswith("the tokenizer was trained on signals with ")
    assert said in line
    assert line.endswith("make it with: kedro run --pipelines=tokenizer")


def test_patches_are_those_of_the_tokenizer(tables: Tables, tokenizer: Checkpoint, tmp_path: Path) -> None:
    halves = CODES.model_copy(update={"encoder": CODES.encoder.model_copy(update={"patch_s": 0.5})})
    assert "the tokenizer has patches of 100 samples, the encoder of 50" in refusal(
        tables, tokenizer, ConfigError, params=halves
    )
