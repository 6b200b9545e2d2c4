"""Encodings of side files: what Python's own codecs write is read back, and what is no text is refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.corpora.text_files import decode_file

TEXT = "name\tunits\nFp1\t\u00b5V\nCz\tgr\u00fcn\n"
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "windows-1252", *WIDE])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    assert decode_file(path) == (TEXT, encoding.startswith("utf-8"))


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20), st.sampled_from(["utf-8", *WIDE]))
def test_any_text_that_starts_like_a_table(tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str) -> None:
    path = tmp_path_factory.mktemp("t") / "t.tsv"
    path.write_bytes(f"id{text}".encode(encoding))
    assert decode_file(path).text == f"id{text}"


def test_bytes_without_a_meaning_in_windows_1252_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b"gr\x81n")  # of code page 850
    assert decode_file(path) == ("gr\x81n", False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\n1\t\xff\x00\n", "it is no text: byte 0x00 in line 2"),
        (b"\x1f\x8b\x08\x00\xb5", "it is no text: byte 0x1f in line 1"),
        ("ab".encode("utf-16")[:-1], "its bytes are no UTF-16: truncated data"),
    ],
)
def test_what_is_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        decode_file(path)


def test_names_of_files_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfgr\xfcn.edf\n")
    assert decode_file(path, keeps_bytes=True).text == "gr\udcfcn.edf\n"
