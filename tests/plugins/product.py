"""The running product: `pacs serve` with all its parts, as a hospital runs it."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

READY_SECONDS = 120
_PACS = [sys.executable, "-m", "pacs.cli"]


class Product:
    """`pacs serve` on free ports; the same ports and data directory over restarts."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self.http_port = self.dicom_port = 0
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PACS_")},
            "PACS_DATA_DIR": str(data_dir),
            "PACS_SHOW_UNREGISTERED_MODELS": "true",
            "PACS_STUDY_QUIET_SECONDS": "1",
            **environment,
        }
        self._process: subprocess.Popen[str] | None = None
        self.log = data_dir.parent / f"{data_dir.name}.log"

    @property
    def url(self) -> str:
        """Where the web's door answers."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        """Start everything and return once it says `ready`."""
        ports = ["--http-port", str(self.http_port), "--dicom-port", str(self.dicom_port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_PACS, "serve", *ports],
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        http = re.search(r" http://[^: ]+:(\d+)", line)
        dicom = re.search(r" dicom://[^: ]+:(\d+)", line)
        if not line.startswith("ready") or http is None or dicom is None:
            self.kill()
            pytest.fail(f"pacs serve did not come up: {line!r}\n{self.log.read_text()[-4000:]}")
        self.http_port, self.dicom_port = int(http[1]), int(dicom[1])

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(60)
        self._process = None
        return status

    def kill(self) -> None:
        """SIGKILL to every process, PostgreSQL's too, at once."""
        assert self._process is not None
        try:
            parent = psutil.Process(self._process.pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        for member in family:
            try:
                member.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        self._process.wait(30)
        psutil.wait_procs(family, timeout=30)
        self._process = None

    @property
    def running(self) -> bool:
        """Whether it has been started and neither stopped nor killed."""
        return self._process is not None

    def pacs(self, *arguments: str, typed: str = "") -> str:
        """What a command of the command line prints, given `typed`; it must succeed."""
        done = subprocess.run(
            [*_PACS, *arguments],
            env=self._environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"pacs {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def token(self, role: str) -> str:
        """A new bearer token of that role."""
        name = f"test-{secrets.token_hex(4)}"
        made = json.loads(self.pacs("tokens", "create", "--role", role, "--name", name, "--json"))
        return str(made["secret"])

    def client(self, role: str = "radiologist") -> httpx2.Client:
        """An HTTP client that signs its requests with a token of that role."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60)

    def wait_for_studies(
        self, client: httpx2.Client, uids: set[str], seconds: float = 180
    ) -> dict[str, dict[str, Any]]:
        """The list's items of these studies, once all of them are triaged."""
        deadline = time.monotonic() + seconds
        while True:
            listed = client.get("/api/v1/worklist", params={"limit": 1000})
            listed.raise_for_status()
            items = {item["studyInstanceUID"]: item for item in listed.json()["items"]}
            done = {uid for uid in uids if items.get(uid, {}).get("state") == "triaged"}
            if done == uids:
                return {uid: items[uid] for uid in uids}
            if time.monotonic() > deadline:
                states = {uid: items.get(uid, {}).get("state") for uid in uids - done}
                pytest.fail(f"not triaged: {states}\n{self.log.read_text()[-6000:]}")
            time.sleep(0.3)


@pytest.fixture
def start_product() -> Iterator[Callable[..., Product]]:
    """Starts products with settings of the environment; all are ended with the test."""
    folder = Path(tempfile.mkdtemp(prefix="filmless-product-"))
    started: list[Product] = []

    def start(**environment: str) -> Product:
        product = Product(folder / str(len(started)), environment)
        product.start()
        started.append(product)
        return product

    try:
        yield start
    finally:
        for product in started:
            if product.running:
                product.kill()
        shutil.rmtree(folder)
