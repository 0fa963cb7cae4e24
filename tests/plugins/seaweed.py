"""A real S3 server for the tests: SeaweedFS, one a session, to be stopped, killed and restarted."""

import io
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from minio import Minio
from minio.error import MinioException

from tests.plugins.ports import free_port

_PARTS = ("s3", "master", "volume", "filer", "admin")
_START_SECONDS = 30


class Seaweed:
    """`weed mini` in `folder`; `endpoint` stays over restarts. Its data are not fsynced."""

    def __init__(self, folder: Path) -> None:
        self.access_key = "filmless"
        self.secret_key = secrets.token_hex(16)
        self._folder = folder
        self._ports = dict(zip(_PARTS, _free_port_pairs(len(_PARTS)), strict=True))
        self.endpoint = f"http://127.0.0.1:{self._ports['s3'][0]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return once it stores objects."""
        if self._process is not None:
            return
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }
        with (self._folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), env=environment, stdout=log, stderr=log, cwd=self._folder
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._stores():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                text = (self._folder / "weed.log").read_text(errors="replace")
                raise RuntimeError(f"weed mini did not come up:\n{text[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server in good order."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
            self._remove_sockets()

    def kill(self) -> None:
        """End the server at once, as kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._remove_sockets()

    def bucket(self, name: str) -> str:
        """Make a bucket unless it is there; returns its name."""
        client = self._client()
        if not client.bucket_exists(name):
            client.make_bucket(name)
        return name

    def store_url(self, bucket: str) -> str:
        """Return the store URL of a bucket that is made where it is missing."""
        return f"s3://{self.bucket(bucket)}?endpoint={self.endpoint}"

    def _client(self) -> Minio:
        http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=5), retries=False)
        return Minio(
            self.endpoint.removeprefix("http://"),
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            http_client=http,
        )

    def _remove_sockets(self) -> None:
        # These cannot be sent elsewhere, and are left behind in /tmp.
        for part in _PARTS:
            socket_path = Path(f"/tmp/seaweedfs-{part}-grpc-{self._ports[part][1]}.sock")
            socket_path.unlink(missing_ok=True)

    def _stores(self) -> bool:
        client = self._client()
        try:
            if not client.bucket_exists("is-it-ready"):
                client.make_bucket("is-it-ready")
            client.put_object("is-it-ready", "probe", io.BytesIO(b"ready"), 5)
        except (MinioException, urllib3.exceptions.HTTPError):
            return False
        return True

    def _command(self) -> list[str]:
        options = [
            f"-dir={self._folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            f"-s3.localSocket={self._folder / 's3.sock'}",
            f"-filer.localSocket={self._folder / 'filer.sock'}",
        ]
        for part, (port, grpc_port) in self._ports.items():
            options += [f"-{part}.port={port}", f"-{part}.port.grpc={grpc_port}"]
        return [str(Path(sys.executable).parent / "weed"), "mini", *options]


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """A running S3 server. Who stops or kills it starts it again."""
    folder = Path(tempfile.mkdtemp(prefix="filmless-"))
    server = Seaweed(folder)
    try:
        server.start()
        yield server
    finally:
        # In good order takes seconds, and nobody wants these data any more.
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port_pairs(count: int) -> list[tuple[int, int]]:
    chosen: set[int] = set()
    while len(chosen) < 2 * count:
        chosen.add(free_port())
    ports = sorted(chosen)
    return list(zip(ports[::2], ports[1::2], strict=True))
