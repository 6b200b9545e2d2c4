"""Parameters of ingestion that contradict each other."""

from typing import Any

import pytest
from pydantic import ValidationError

from eegfm.jobs.ingest.config import IngestParams


@pytest.mark.parametrize(
    ("corpus", "renames"),
    [
        ({"name": "edf_folder"}, {"Ch1": "Fp1", "Ch2": "T3", "Ch3": None}),
        ({"name": "edf_folder", "layout": "biosemi64"}, {"Ch1": "Fp1", "Ch2": "B32"}),
        ({"name": "bids", "layout": "gsn129"}, {"Ch1": "E1", "Ch2": "Cz"}),
        ({"name": "hbn"}, {"Ch1": "E1"}),
        ({"name": "tuh"}, {"EEG C3P-REF": "C3"}),
    ],
)
def test_a_rename_is_an_electrode_of_the_layout_or_none(corpus: dict[str, Any], renames: dict[str, Any]) -> None:
    assert IngestParams.model_validate({"corpus": corpus, "reading": {"renames": renames}}).reading.renames == renames


@pytest.mark.parametrize(
    ("corpus", "name", "layout"),
    [
        ({"name": "edf_folder"}, "Fp9", "1005"),
        ({"name": "edf_folder"}, "E1", "1005"),
        ({"name": "edf_folder"}, "B32", "1005"),
        ({"name": "edf_folder"}, "C3-P3", "1005"),
        ({"name": "edf_folder"}, "ECG", "1005"),
        ({"name": "edf_folder", "layout": "biosemi32"}, "B1", "biosemi32"),
        ({"name": "bids", "layout": "gsn129"}, "Fp1", "gsn129"),
        ({"name": "hbn"}, "Fp1", "gsn129"),
        ({"name": "tuh"}, "Fp9", "1005"),
    ],
)
def test_another_rename_is_refused_in_one_line(corpus: dict[str, Any], name: str, layout: str) -> None:
    with pytest.raises(ValidationError) as caught:
        IngestParams.model_validate({"corpus": corpus, "reading": {"renames": {"Ch1": name}}})
    [error] = caught.value.errors()
    assert error["msg"] == (
        f"Value error, reading.renames: 'Ch1' becomes {name!r}, which is no electrode of layout {layout!r}; "
        "name one, or null to leave the channel out"
    )


@pytest.mark.parametrize("reading", [{"prefix": ["POL"]}, {"prefixes": [""]}, {"renames": {"": "Fp1"}}])
def test_wrong_options_for_names_are_refused(reading: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestParams.model_validate({"corpus": {"name": "edf_folder"}, "reading": reading})
