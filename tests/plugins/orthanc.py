"""Orthanc, as Debian ships it, as another archive beside the product."""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from tests.plugins.ports import free_port

READY_SECONDS = 20
ANSWER_SECONDS = 20


class Orthanc:
    """A running Orthanc; a context manager."""

    def __init__(
        self,
        folder: Path,
        aet: str,
        modalities: Mapping[str, Mapping[str, object]],
        settings: Mapping[str, object],
    ) -> None:
        """`modalities`: whom it knows; `settings`: its own, besides ports and folders."""
        found = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
        assert found, "Orthanc is missing: apt install orthanc"
        self.aet = aet
        self.port, http_port = free_port(), free_port()
        folder.mkdir()
        self._log = folder / "log"
        configuration = folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "storage"),
                    "DicomAet": aet,
                    "DicomPort": self.port,
                    "HttpPort": http_port,
                    "DefaultEncoding": "Utf8",
                    "DicomModalities": modalities,
                    **settings,
                }
            )
        )
        self._command = [found, str(configuration)]
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=60)

    def __enter__(self) -> "Orthanc":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._client.get("/system").raise_for_status()
            except httpx2.TransportError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(20)

    def get(self, path: str) -> Any:
        """An answer of its REST interface, of JSON."""
        answer = self._client.get(path)
        assert answer.is_success, answer.text + self._log.read_text()
        return answer.json()

    def post(self, path: str, body: object) -> Any:
        """What it answers to JSON, or to bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body)
        answer = self._client.post(path, content=content)
        assert answer.is_success, answer.text + self._log.read_text()
        return answer.json()

    def delete_all(self) -> None:
        """Forget every study."""
        for study in self.get("/studies"):
            assert self._client.delete(f"/studies/{study}").is_success

    def files(self) -> list[bytes]:
        """Everything that it holds, as files."""
        ids = self.get("/instances")
        return [self._client.get(f"/instances/{one}/file").content for one in ids]

    def wait_for(self, path: str, **expected: object) -> Any:
        """An answer, once it has these members."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            answer = self.get(path)
            if all(answer[name] == value for name, value in expected.items()):
                return answer
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
