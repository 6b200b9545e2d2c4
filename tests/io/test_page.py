"""The page is written whole, as UTF-8."""

from pathlib import Path

import pytest
from kedro.io import DatasetError

from eegfm.io.page import PageDataset

PAGE = "<!doctype html><title>Müller – µV</title></html>"


def page(folder: Path) -> PageDataset:
    return PageDataset(filepath=str(folder / "08_reporting" / "report.html"))


def test_text_comes_back_and_is_utf8(tmp_path: Path) -> None:
    page(tmp_path).save(PAGE)
    assert page(tmp_path).load() == PAGE
    assert (tmp_path / "08_reporting/report.html").read_bytes() == PAGE.encode()


def test_a_name_that_is_no_utf8_is_shown_by_its_bytes(tmp_path: Path) -> None:
    page(tmp_path).save("<p>\udcff.edf</p></html>")
    assert page(tmp_path).load() == r"<p>\udcff.edf</p></html>"


@pytest.mark.parametrize("n_kept", [0, 10, len(PAGE.encode()) - 4])
def test_a_cut_page_says_how_to_make_it_again(tmp_path: Path, n_kept: int) -> None:
    page(tmp_path).save(PAGE)
    file = tmp_path / "08_reporting/report.html"
    file.write_bytes(PAGE.encode()[:n_kept])
    with pytest.raises(DatasetError, match=r"report\.html: its end is missing; .* kedro run --pipelines=report"):
        page(tmp_path).load()
    page(tmp_path).save(PAGE)
    assert page(tmp_path).load() == PAGE


def test_no_page_yet(tmp_path: Path) -> None:
    assert not page(tmp_path).exists()
    with pytest.raises(DatasetError, match=r"does not exist; make it with: kedro run --pipelines=report"):
        page(tmp_path).load()
