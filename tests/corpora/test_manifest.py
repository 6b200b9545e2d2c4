"""Facts that were published with the files are believed more than the files."""

import hashlib
import re
from pathlib import Path

import pytest

from eegfm.corpora.manifest import (
    SOURCE_MANIFEST,
    KnownFile,
    annex_key,
    check_published,
    manifest_line,
    published_files,
    published_text,
    read_manifest,
)
from eegfm.errors import EegfmError, RecordingError

CONTENT = b"signal"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}"


def test_nothing_published_is_nothing_known(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {}


def test_the_manifest_of_our_own_sources(tmp_path: Path) -> None:
    known = {"a/b.edf": KnownFile(6, MD5), "c.set": KnownFile(9)}
    (tmp_path / SOURCE_MANIFEST).write_text("".join(manifest_line(path, file) for path, file in known.items()))
    assert read_manifest(tmp_path) == known
    assert published_files(published_text(known)) == known


def test_what_the_publisher_says_counts_more_than_what_arrived(tmp_path: Path) -> None:
    (tmp_path / SOURCE_MANIFEST).write_text(manifest_line("a.edf", KnownFile(6, MD5)))
    for mark in ("", "\ufeff"):  # some editors write a byte order mark
        (tmp_path / "SHA256SUMS.txt").write_text(f"{mark}{SHA256[7:]} a.edf\n", encoding="utf-8")
        assert read_manifest(tmp_path) == {"a.edf": KnownFile(checksum=SHA256)}


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{SHA256[7:]}  a.edf\nnonsense\n")
    with pytest.raises(EegfmError, match=r"SHA256SUMS: line 2 is no SHA-256"):
        read_manifest(tmp_path)


def test_the_name_of_annexed_content_states_size_and_checksum(tmp_path: Path) -> None:
    link = tmp_path / "a.set"
    link.symlink_to(f"../.git/annex/objects/xx/SHA256E-s6--{SHA256[7:]}.set/SHA256E-s6--{SHA256[7:]}.set")
    assert annex_key(link) == KnownFile(6, SHA256)
    (tmp_path / "b.set").symlink_to("elsewhere.set")
    assert annex_key(tmp_path / "b.set") is None
    (tmp_path / "c.set").write_bytes(CONTENT)
    assert annex_key(tmp_path / "c.set") is None


@pytest.mark.parametrize("known", [KnownFile(), KnownFile(6), KnownFile(6, SHA256), KnownFile(checksum=MD5)])
def test_what_agrees_passes(tmp_path: Path, known: KnownFile) -> None:
    (tmp_path / "a.edf").write_bytes(CONTENT)
    check_published(tmp_path, published_text({"a.edf": known, "gone.fdt": known}))


@pytest.mark.parametrize(
    ("known", "code", "message"),
    [
        (KnownFile(7), "size_mismatch", "a.edf: 6 bytes, published with 7"),
        (KnownFile(6, SHA256[:-1] + "x"), "checksum_mismatch", "a.edf: its SHA256 is not the one"),
        (KnownFile(checksum=MD5[:-1] + "x"), "checksum_mismatch", "a.edf: its MD5 is not the one"),
    ],
)
def test_what_differs_is_rejected(tmp_path: Path, known: KnownFile, code: str, message: str) -> None:
    (tmp_path / "a.edf").write_bytes(CONTENT)
    with pytest.raises(RecordingError, match=message) as info:
        check_published(tmp_path, published_text({"other.fdt": KnownFile(), "a.edf": known}))
    assert info.value.code == code


@pytest.mark.parametrize("text", ['{"path": "a.edf"}\n', "{\n", "[1]\n", '"a"\n'])
def test_a_damaged_manifest_of_ours_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / SOURCE_MANIFEST).write_text(text)
    with pytest.raises(EegfmError, match=rf"{re.escape(SOURCE_MANIFEST)}: is no list of fetched files"):
        read_manifest(tmp_path)


def test_a_list_of_checksums_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS.txt").write_bytes(b"\xff\xfe\n")
    with pytest.raises(EegfmError, match=r"SHA256SUMS\.txt: its bytes are no UTF-16"):
        read_manifest(tmp_path)
