"""Parameters that one corpus may have."""

import pytest
from pydantic import ValidationError

from eegfm.corpora.config import EdfFolderCorpus, HbnCorpus
from eegfm.corpora.simulated.config import SimulatedTuh
from eegfm.jobs.acquire.config import FolderSource
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.project.corpus_params import CorpusParams

WINDOW = {"cuts": {"pretrain": {"name": "fixed", "length_s": 4, "stride_s": 4}}}


def test_least_that_a_corpus_needs() -> None:
    params = CorpusParams.model_validate({"ingest": {"corpus": {"name": "hbn"}}, "window": WINDOW})
    assert params.acquire.source == FolderSource()
    assert params.ingest == IngestParams(
        corpus=HbnCorpus(), workers=WorkerParams(n_workers="auto"), max_rejected_ratio=0.2
    )


def test_members_are_chosen_by_name() -> None:
    params = CorpusParams.model_validate(
        {
            "acquire": {"source": {"name": "simulated_tuh", "n_subjects": 3}},
            "ingest": {"corpus": {"name": "edf_folder", "pattern": "{subject}.bdf"}},
            "window": WINDOW,
        }
    )
    assert params.acquire.source == SimulatedTuh(n_subjects=3)
    assert params.ingest.corpus == EdfFolderCorpus(pattern="{subject}.bdf")


@pytest.mark.parametrize(
    ("ingest", "message"),
    [
        ({"corpus": {"name": "bidz"}}, "'tuh', 'hbn', 'bids', 'edf_folder'"),
        ({"corpus": {"name": "tuh", "pattern": "x"}}, "Extra inputs"),
        ({"corpus": {"name": "tuh"}, "max_rejected_ratio": 1.5}, "less than or equal to 1"),
        ({"corpus": {"name": "tuh"}, "workers": {"n_workers": "all"}}, "'auto'"),
        ({"corpus": {"name": "tuh"}, "workers": {"n_workers": 0}}, "greater than or equal to 1"),
        ({"corpus": {"name": "tuh"}, "rates_hz": [-5]}, "greater than 0"),
        ({"corpus": {"name": "tuh"}, "rates_hz": [float("nan")]}, "finite|greater than 0"),
        (
            {"corpus": {"name": "edf_folder", "reference": "nose"}},
            "'average', 'linked_ears', 'Cz', 'A1', .* or 'unknown'",
        ),
        ({"corpus": {"name": "tuh"}, "workers": {"address": "tcp://a:1"}}, "set backend to dask"),
        ({"corpus": {"name": "tuh"}, "reading": {"units": {"uv": "microvolt"}}}, "'V', 'mV', 'uV' or 'nV'"),
        ({}, "Field required"),
    ],
)
def test_what_is_refused(ingest: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CorpusParams.model_validate({"ingest": ingest, "window": WINDOW})
