"""Listing and reading objects, against a real server and a wire that breaks."""

import os
import re
from collections.abc import Iterator

import pytest

import eegfm.jobs.acquire.s3
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.config import S3Source
from eegfm.jobs.acquire.s3 import Bucket, DamagedError, ObjectError, UnreachableError
from s3_server import KEYS, S3Server, md5

BIG = bytes(range(256)) * (3 * 2**12) + b"end"
"""A little over three blocks."""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        server.put(
            "plain", {"set/a.bin": b"small", "set/b c+ü.bin": BIG, "set/empty": b"", "set/": b"", "settle/x": b""}
        )
        server.put("private", {"set/a.bin": b"small"}, acl="private")
        yield server


@pytest.fixture(autouse=True)
def _clean(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reset()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setattr(eegfm.jobs.acquire.s3, "_FIRST_PAUSE_S", 0.001)


def source(server: S3Server, bucket: str = "plain", **options: object) -> S3Source:
    return S3Source.model_validate({"url": f"s3://{bucket}/set", "endpoint_url": server.url, **options})


def download(server: S3Server, path: str = "b c+ü.bin", bucket: str = "plain", **options: object) -> tuple[bytes, str]:
    blocks: list[bytes] = []
    with Bucket(source(server, bucket, **options)) as opened:
        file = next(f for f in opened.files() if f.path == path)
        digest = opened.download(file, blocks.append)
    return b"".join(blocks), digest


def test_objects_below_the_prefix_without_folder_markers(server: S3Server) -> None:
    with Bucket(source(server)) as bucket:
        files = {f.path: f for f in bucket.files()}
    assert sorted(files) == ["a.bin", "b c+ü.bin", "empty"]
    listed = {row["Key"]: row for row in server.client.list_objects_v2(Bucket="plain")["Contents"]}
    assert files["a.bin"].n_bytes == 5
    assert files["a.bin"].md5 == md5(b"small") == files["a.bin"].etag
    assert files["a.bin"].mtime_ns == int(listed["set/a.bin"]["LastModified"].timestamp()) * 10**9


def test_whole_bucket(server: S3Server) -> None:
    with Bucket(S3Source(url="s3://plain/", endpoint_url=server.url)) as bucket:
        assert sorted(f.path for f in bucket.files()) == ["set/a.bin", "set/b c+ü.bin", "set/empty", "settle/x"]


def test_long_lists_come_in_pages(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    with Bucket(source(server)) as bucket:
        assert sorted(f.path for f in bucket.files()) == ["a.bin", "b c+ü.bin", "empty"]
    assert len(server.requests) == 2


@pytest.mark.parametrize(("path", "content"), [("a.bin", b"small"), ("b c+ü.bin", BIG), ("empty", b"")])
def test_bytes_and_their_md5(server: S3Server, path: str, content: bytes) -> None:
    assert download(server, path) == (content, md5(content))
    assert len(server.downloads()) == 1


def test_endpoint_of_the_environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    with Bucket(S3Source(url="s3://plain/set")) as bucket:
        assert len(bucket.files()) == 3
    assert len(server.requests) == 1


def test_several_parts_have_no_md5_and_are_read_all_the_same(server: S3Server) -> None:
    parts = [b"x" * 5 * 2**20, b"y" * 100]
    server.put("parts", {})
    server.put_in_parts("parts", "set/a", parts)
    content = b"".join(parts)
    with Bucket(source(server, "parts")) as bucket:
        assert [f.md5 for f in bucket.files()] == [""]
    assert download(server, "a", "parts") == (content, md5(content))
    server.fault = lambda path, n_before: "" if "list-type" in path else "long"
    with pytest.raises(DamagedError, match=r"listed are 5242980 bytes .* 5242984 bytes with MD5 \w+ arrived"):
        download(server, "a", "parts")


def test_cut_connection_is_resumed_where_it_broke(server: S3Server) -> None:
    server.fault = lambda path, n_before: "cut" if "bin" in path and n_before == 0 else ""
    assert download(server) == (BIG, md5(BIG))
    ranges = [headers.get("range") for path, headers in server.requests if "bin" in path]
    assert ranges == [None, "bytes=1048576-"], "half of the file arrived, a block of it was handed on"


def test_a_wire_that_never_holds_is_given_up(server: S3Server) -> None:
    server.fault = lambda path, n_before: "cut" if "a.bin" in path else ""
    with pytest.raises(ObjectError, match=r"s3://plain/set/a\.bin: 0 of 5 bytes arrive, then "):
        download(server, "a.bin")
    assert len(server.downloads()) == 5


def test_fewer_bytes_than_listed_are_never_taken_for_all(server: S3Server) -> None:
    server.fault = lambda path, n_before: "short" if "a.bin" in path else ""
    with pytest.raises(EegfmError, match=r"a\.bin"):
        download(server, "a.bin")


@pytest.mark.parametrize("path", ["a.bin", "b c+ü.bin"])
def test_one_wrong_bit_is_noticed_by_the_etag(server: S3Server, path: str) -> None:
    server.fault = lambda path, n_before: "flip" if "list-type" not in path else ""
    with pytest.raises(DamagedError, match=r"damaged on its way: listed are \d+ bytes with ETag"):
        download(server, path)


def test_etag_under_a_key_of_the_owner_is_no_md5_but_the_checksum_counts(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("keyed", {})
    keyed = {"ServerSideEncryption": "aws:kms", "ACL": "public-read"}
    server.client.put_object(Bucket="keyed", Key="set/a", Body=b"content", **keyed)
    server.fault = lambda path, n_before: "" if "list-type" in path else "flip"
    assert download(server, "a", "keyed")[0] == b"bontent", "the ETag looks like an MD5 and says nothing"
    server.fault = lambda path, n_before: "" if "list-type" in path else "flip_kept"
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")  # whatever others want of it
    with pytest.raises(DamagedError, match=r"damaged on its way \(Expected checksum"):
        download(server, "a", "keyed")


def test_object_that_changes_after_the_listing_is_not_mixed(server: S3Server) -> None:
    server.put("moving", {"set/a": b"old"})
    with Bucket(source(server, "moving")) as bucket:
        file = bucket.files()[0]
        server.put("moving", {"set/a": b"new"})
        with pytest.raises(ObjectError, match="changed since it was listed"):
            bucket.download(file, lambda block: None)
        server.client.delete_object(Bucket="moving", Key="set/a")
        with pytest.raises(ObjectError, match="removed since it was listed"):
            bucket.download(file, lambda block: None)


def test_server_that_is_busy_is_asked_again(server: S3Server) -> None:
    server.fault = lambda path, n_before: "busy" if n_before < 1 else ""
    assert download(server, "a.bin")[0] == b"small"


def test_a_server_that_hangs_up_is_asked_as_often_as_said(server: S3Server) -> None:
    server.fault = lambda path, n_before: "hang_up"
    with Bucket(source(server), n_attempts=2) as bucket, pytest.raises(UnreachableError):
        bucket.files()
    assert 2 <= len(server.requests) <= 4, "aiohttp itself sends a request once more where a connection is lost"


def test_private_objects_need_credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = r"s3://private/set/a\.bin: access denied without credentials .*anonymous: false.*AWS_ACCESS_KEY_ID"
    with pytest.raises(ObjectError, match=expected):
        download(server, "a.bin", "private")
    assert not any("authorization" in headers for _, headers in server.requests)
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    assert download(server, "a.bin", "private", anonymous=False)[0] == b"small"
    assert all("Credential=testing/" in headers["authorization"] for _, headers in server.requests[-2:])


def listing_error(source: S3Source) -> str:
    with Bucket(source, n_attempts=1) as bucket, pytest.raises(EegfmError) as found:
        bucket.files()
    return str(found.value)


def test_errors_name_what_to_mend(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = listing_error(source(server, "nowhere"))
    assert missing == "s3://nowhere/set: bucket nowhere does not exist; correct acquire.source.url"
    server.fault = lambda path, n_before: "deny"
    anonymous, with_keys = source(server), source(server, anonymous=False)
    assert re.search(
        r"access denied without credentials \(Access Denied\); .*anonymous: false", listing_error(anonymous)
    )
    no_keys = r"access denied \(Unable to locate credentials\); check AWS_ACCESS_KEY_ID"
    assert re.search(no_keys, listing_error(with_keys))
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    assert re.search(r"access denied \(Access Denied\); check .*; an open bucket takes", listing_error(with_keys))


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = S3Source(url="s3://plain", endpoint_url="http://127.0.0.1:9")
    assert re.search(r"s3://plain: .*127\.0\.0\.1:9.*; check network", listing_error(nobody))
    with Bucket(nobody, n_attempts=1) as bucket, pytest.raises(UnreachableError):
        bucket.files()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(EegfmError, match=r"s3://plain: Invalid endpoint: nonsense"), Bucket(S3Source(url="s3://plain")):
        pass


@pytest.mark.parametrize("url", ["openneuro.org/ds1", "s3:/b/x", "s3://", "https://b/x", "s3:///x", "s3://b c/x"])
def test_url_names_a_bucket(url: str) -> None:
    with pytest.raises(ValueError, match=re.escape("expected s3://bucket")):
        S3Source(url=url)


def test_bucket_and_prefix() -> None:
    parsed = [
        S3Source(url=url) for url in ("s3://open.org", "s3://open.org/", "s3://open.org/a/b", "s3://open.org/a/b/")
    ]
    assert [(s.bucket, s.prefix) for s in parsed] == [("open.org", "")] * 2 + [("open.org", "a/b/")] * 2
