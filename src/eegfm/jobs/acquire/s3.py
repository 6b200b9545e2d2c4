"""List and read objects of an S3 bucket. Only this file knows s3fs."""

import hashlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import aiohttp
from botocore import exceptions as boto
from fsspec.asyn import sync
from s3fs import S3FileSystem

from eegfm.errors import EegfmError
from eegfm.jobs.acquire.config import S3Source
from eegfm.jobs.acquire.selection import RemoteFile

_BLOCK_BYTES = 2**20
_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 20
_FIRST_PAUSE_S = 0.2
N_ATTEMPTS = 5
"""Number of attempts for a request."""

_DENIED = {"403", "AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken"}
_DENIED |= {"RequestTimeTooSkewed", "SignatureDoesNotMatch"}
_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_CUT = (boto.HTTPClientError, boto.IncompleteReadError, aiohttp.ClientError, TimeoutError)
_NETWORK = (*_CUT, boto.ConnectionError)


class UnreachableError(EegfmError):
    """No server answered."""


class ObjectError(EegfmError):
    """One object cannot be fetched, but others can."""


class DamagedError(ObjectError):
    """The received bytes differ from the listed object. Another attempt may succeed."""


class Bucket:
    """The objects below a source's prefix; use as a context manager.

    Args:
        source: Bucket, prefix and access.
        n_attempts: Number of attempts for a request.
    """

    def __init__(self, source: S3Source, n_attempts: int = N_ATTEMPTS) -> None:
        self._source = source
        self._n_attempts = n_attempts
        self._fs = S3FileSystem(
            anon=source.anonymous,
            endpoint_url=source.endpoint_url,
            config_kwargs={
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "read_timeout": _READ_TIMEOUT_S,
                "max_pool_connections": source.n_parallel,
                "retries": {"mode": "standard", "total_max_attempts": n_attempts},
            },
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        self._fs.retries = 1  # only botocore, above, retries; otherwise the two numbers would multiply

    def __enter__(self) -> Self:
        try:
            self._fs.connect()
        except (boto.BotoCoreError, ValueError) as error:
            raise self._explained(error, self._source.url) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sync(self._fs.loop, self._fs.s3.close)

    def files(self) -> list[RemoteFile]:
        """List all objects, without the markers of empty folders.

        Raises:
            UnreachableError: No server answers.
            EegfmError: The bucket does not exist, or access is denied.
        """
        found: list[RemoteFile] = []
        request = {"Bucket": self._source.bucket, "Prefix": self._source.prefix}
        while True:
            page = self._call(self._source.url, "list_objects_v2", **request)
            found += [self._file(row) for row in page.get("Contents", []) if not row["Key"].endswith("/")]
            if not page.get("IsTruncated"):
                return found
            request["ContinuationToken"] = page["NextContinuationToken"]

    def download(self, file: RemoteFile, write: Callable[[bytes], Any]) -> str:
        """Read one object from its first byte to its last. A cut connection is resumed where it broke.

        Args:
            file: The listed object; another version of it is never read.
            write: Function that takes the bytes, block by block.

        Returns:
            MD5 of the bytes, as hexadecimal text; the ETag's MD5 if it has one.

        Raises:
            UnreachableError: The server does not answer any more.
            DamagedError: Size or checksum of the received bytes differ from the listed ones.
            ObjectError: The object is gone, changed or not accessible.
        """
        what = f"{self._source.url}/{file.path}"
        md5, n_bytes, n_fruitless, etag_is_md5 = hashlib.md5(usedforsecurity=False), 0, 0, False
        while True:
            n_before, cut = n_bytes, "the connection ends early"
            try:
                answer = self._get(file, n_bytes, what)
                etag_is_md5 = _etag_is_md5(file, answer)
                for block in self._blocks(answer["Body"]):
                    write(block)
                    md5.update(block)
                    n_bytes += len(block)
            except _CUT as error:
                cut = str(error)
            except boto.FlexibleChecksumError as error:
                raise DamagedError(f"{what}: damaged on its way ({error})") from error
            if n_bytes >= file.n_bytes:
                break
            n_fruitless = n_fruitless + 1 if n_bytes == n_before else 0
            if n_fruitless == self._n_attempts:
                raise ObjectError(f"{what}: {n_bytes} of {file.n_bytes} bytes arrive, then {cut}")
            time.sleep(_FIRST_PAUSE_S * 2**n_fruitless)
        if n_bytes != file.n_bytes or (etag_is_md5 and md5.hexdigest() != file.md5):
            raise DamagedError(
                f"{what}: damaged on its way: listed are {file.n_bytes} bytes with ETag {file.etag}, "
                f"{n_bytes} bytes with MD5 {md5.hexdigest()} arrived"
            )
        return md5.hexdigest()

    def _file(self, row: dict[str, Any]) -> RemoteFile:
        path = row["Key"].removeprefix(self._source.prefix)
        mtime_ns = int(row["LastModified"].timestamp()) * 10**9
        return RemoteFile(path, row["Size"], row["ETag"].strip('"'), mtime_ns)

    def _get(self, file: RemoteFile, start: int, what: str) -> dict[str, Any]:
        ranged = {"Range": f"bytes={start}-"} if start else {}
        try:
            return self._call(
                what,
                "get_object",
                Bucket=self._source.bucket,
                Key=self._source.prefix + file.path,
                IfMatch=f'"{file.etag}"',
                ChecksumMode="ENABLED",
                **ranged,
            )
        except UnreachableError:
            raise
        except EegfmError as error:
            raise ObjectError(str(error)) from error

    def _blocks(self, body: Any) -> Iterator[bytes]:
        try:
            while block := sync(self._fs.loop, _block, body):
                yield block
        finally:
            sync(self._fs.loop, body.aclose)

    def _call(self, what: str, method: str, **request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._fs.call_s3(method, **request)
        except (boto.BotoCoreError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._explained(error, what) from error
        return answer

    def _explained(self, error: Exception, what: str) -> EegfmError:
        """The error in words of this project. s3fs keeps the server's answer as the cause of its own errors."""
        answer = getattr(error.__cause__, "response", {}).get("Error", {})
        code = answer.get("Code", "")
        if code == "NoSuchBucket":
            return EegfmError(f"{what}: bucket {self._source.bucket} does not exist; correct acquire.source.url")
        if code in _DENIED or isinstance(error, _CREDENTIALS):
            return EegfmError(f"{what}: {self._denied(error)}")
        if code in {"NoSuchKey", "404"}:
            return EegfmError(f"{what}: removed since it was listed")
        if code in {"PreconditionFailed", "412"}:
            return EegfmError(f"{what}: changed since it was listed")
        if isinstance(error, _NETWORK):
            return UnreachableError(f"{what}: {error}; check network, acquire.source.endpoint_url, AWS_ENDPOINT_URL")
        return EegfmError(f"{what}: {error}" + (f" ({code})" if code else ""))

    def _denied(self, error: Exception) -> str:
        if self._source.anonymous:
            return (
                f"access denied without credentials ({error}); set acquire.source.anonymous: false, and "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) in the environment"
            )
        return (
            f"access denied ({error}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or "
            "AWS_PROFILE; an open bucket takes acquire.source.anonymous: true"
        )


def _etag_is_md5(file: RemoteFile, answer: dict[str, Any]) -> bool:
    """True if the object is encrypted with a key of the owner. Its ETag then looks like an MD5 but is none."""
    keyed = answer.get("ServerSideEncryption", "").startswith("aws:kms") or "SSECustomerAlgorithm" in answer
    return bool(file.md5) and not keyed


async def _block(body: Any) -> bytes:
    """The next full block (the last may be shorter). It is empty at the end, where the body checks its checksum."""
    parts, n_missing = [], _BLOCK_BYTES
    while n_missing and (part := await body.read(n_missing)):
        parts.append(part)
        n_missing -= len(part)
    return b"".join(parts)
