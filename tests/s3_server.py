"""An S3 server on this machine: moto's, behind a proxy that counts requests and can break them on the wire."""

import functools
import hashlib
import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import boto3
import botocore.session
from moto.server import ThreadedMotoServer

KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "secret"}
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"

Fault = Literal["cut", "short", "long", "flip", "flip_kept", "deny", "busy", "hang_up", "slow", ""]
"""Faults of an answer: cut in its middle; half of it, or more than it, declared as all; one bit flipped, while
the checksum of the upload is dropped, or kept; refused; told to come back later; none at all; sent slowly."""


class S3Server:
    """Use as a context manager. Buckets live until the process ends: give each test its own.

    Attributes:
        fault: Decides on each GET, by its path and how often that was asked for before.
        requests: Path (with query) and headers of every request, in order.
        n_at_once: The most slow answers that were under way at the same time.
    """

    def __init__(self) -> None:
        self.fault: Callable[[str, int], Fault] = lambda path, n_before: ""
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.n_at_once = self._n_open = 0
        self._lock = Lock()
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._proxy.daemon_threads = True

    def __enter__(self) -> "S3Server":
        self._create_loader = botocore.session.create_loader
        # Reading the description of S3 costs more than most tests; all clients share one loader, with its cache.
        botocore.session.create_loader = functools.cache(self._create_loader)
        self._moto.start()
        self._moto_address = self._moto.get_host_and_port()
        host, port = self._moto_address
        self.client: Any = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **KEYS)
        Thread(target=self._proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        botocore.session.create_loader = self._create_loader
        self.client.close()
        self._proxy.shutdown()
        self._proxy.server_close()
        self._moto.stop()

    @property
    def url(self) -> str:
        """Of the proxy."""
        return f"http://127.0.0.1:{self._proxy.server_port}"

    def reset(self) -> None:
        """Forget faults and requests."""
        self.fault = lambda path, n_before: ""
        self.requests.clear()
        self.n_at_once = 0

    def put(self, bucket: str, files: Mapping[str, bytes], acl: str = "public-read") -> None:
        """Upload objects, each in one part."""
        if bucket not in [b["Name"] for b in self.client.list_buckets()["Buckets"]]:
            self.client.create_bucket(Bucket=bucket)
        for key, content in files.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=content, ACL=acl)

    def put_in_parts(self, bucket: str, key: str, parts: list[bytes]) -> None:
        """Upload one object in several parts: its ETag is no MD5. All parts but the last are 5 MiB or more."""
        upload = self.client.create_multipart_upload(Bucket=bucket, Key=key, ACL="public-read")["UploadId"]
        named = {"Bucket": bucket, "Key": key, "UploadId": upload}
        etags = [self.client.upload_part(PartNumber=n, Body=p, **named)["ETag"] for n, p in enumerate(parts, start=1)]
        rows = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
        self.client.complete_multipart_upload(MultipartUpload={"Parts": rows}, **named)

    def downloads(self) -> list[str]:
        """Keys that were asked for, without their bucket; one that was resumed stands there twice."""
        paths = [urlsplit(path).path for path, _ in list(self.requests) if "list-type" not in path]
        return [unquote(path).removeprefix("/").partition("/")[2] for path in paths]

    @contextmanager
    def _open_download(self) -> Iterator[None]:
        with self._lock:
            self._n_open += 1
            self.n_at_once = max(self.n_at_once, self._n_open)
        try:
            yield
        finally:
            with self._lock:
                self._n_open -= 1

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805  self is the handler inside
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                n_before = sum(path == self.path for path, _ in server.requests)
                server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                fault = server.fault(unquote(self.path), n_before)
                if fault in {"deny", "busy"}:
                    self._answer(403 if fault == "deny" else 503, {}, DENIED if fault == "deny" else b"")
                elif fault != "hang_up":
                    self._forward(fault)

            def _forward(self, fault: Fault) -> None:
                upstream = http.client.HTTPConnection(*server._moto_address)
                upstream.request("GET", self.path, headers=dict(self.headers))
                answer = upstream.getresponse()
                content, headers = answer.read(), dict(answer.getheaders())
                upstream.close()
                if fault in {"flip", "long"}:
                    headers = {k: v for k, v in headers.items() if not k.lower().startswith("x-amz-checksum")}
                if fault in {"flip", "flip_kept"}:
                    content = bytes([content[0] ^ 1]) + content[1:]
                elif fault == "short":
                    content = content[: len(content) // 2]
                elif fault == "long":
                    content += b"more"
                self._answer(answer.status, headers, content, fault)

            def _answer(self, status: int, headers: Mapping[str, str], content: bytes, fault: Fault = "") -> None:
                kept = {k: v for k, v in headers.items() if k.lower() not in {"content-length", "connection"}}
                self.send_response_only(status)
                for name, value in {**kept, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.close_connection = True
                if fault == "cut":
                    content = content[: len(content) // 2]
                try:
                    if fault == "slow":
                        with server._open_download():
                            for start in range(0, len(content) - 1, 4096):
                                self.wfile.write(content[start : min(start + 4096, len(content) - 1)])
                                time.sleep(0.01)
                        content = content[-1:]
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client was killed, which is what the test is about

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def md5(content: bytes) -> str:
    """MD5 as hexadecimal text: the ETag of an object that was uploaded in one part."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of all files that readers see, by path."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
