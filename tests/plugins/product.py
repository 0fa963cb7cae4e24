"""The running product: `pacs serve` with all its parts, as a hospital runs it."""

import contextlib
import json
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
import pytest

from tests.plugins.ports import free_port

if TYPE_CHECKING:  # a plugin must not be imported before pytest registers it
    from tests.plugins.seaweed import Seaweed

READY_SECONDS = 120
REFUSAL_SECONDS = 60
_OHIF = Path(__file__).parents[2] / ".cache" / "ohif"  # where scripts/prepare.py puts it
_PACS = [str(Path(sys.executable).parent / "pacs")]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How `pacs serve` ended without having come up, and what it said on standard error."""

    status: int
    lines: list[str]


class Product:
    """`pacs serve` on free ports; the same ports and data directory over restarts."""

    def __init__(
        self, data_dir: Path, environment: Mapping[str, str], parts: str | None = None
    ) -> None:
        self.data_dir = data_dir
        self._only = [] if parts is None else ["--only", parts]
        self.http_port, self.dicom_port = free_port(), free_port()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PACS_")},
            "PACS_DATA_DIR": str(data_dir),
            "PACS_SHOW_UNREGISTERED_MODELS": "true",
            "PACS_OHIF_DIR": str(_OHIF),
            "COLUMNS": "200",  # nothing that it prints is folded
            "PACS_STUDY_QUIET_SECONDS": "1",
            **environment,
        }
        self._process: subprocess.Popen[str] | None = None
        self._clients: list[httpx2.Client] = []
        self.log = data_dir.parent / f"{data_dir.name}.log"

    @property
    def url(self) -> str:
        """Where the web's door answers."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        """Start everything and return once it says `ready`."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start everything, without waiting for it."""
        ports = ["--http-port", str(self.http_port), "--dicom-port", str(self.dicom_port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_PACS, "serve", *ports, *self._only],
                env=self._environment,
                cwd=self.data_dir.parent,  # nothing is found because we stand beside it
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def wait_until_ready(self) -> None:
        """Wait for the line that says `ready`, and take the ports from it."""
        assert self._process is not None
        assert self._process.stdout is not None
        select.select([self._process.stdout], [], [], READY_SECONDS)
        line = self._process.stdout.readline() if self.says_something else ""
        http = re.search(r" http://[^: ]+:(\d+)", line)
        dicom = re.search(r" dicom://[^: ]+:(\d+)", line)
        if not line.startswith("ready") or http is None or dicom is None:
            self.kill()
            pytest.fail(f"pacs serve did not come up: {line!r}\n{self.log_text[-4000:]}")
        self.http_port, self.dicom_port = int(http[1]), int(dicom[1])

    @property
    def says_something(self) -> bool:
        """Whether its standard output can be read without waiting."""
        assert self._process is not None
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def refusal(
        self,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        powerless: bool = False,
    ) -> Refusal:
        """Start it with flags and further settings, where it is expected to give up.

        `powerless`: a root that may not do what others may not do.
        """
        prefix = ["setpriv", "--bounding-set=-all"] if powerless and os.geteuid() == 0 else []
        done = subprocess.run(
            [*prefix, *_PACS, "serve", *self._only, *flags],
            env={**self._environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=REFUSAL_SECONDS,
            check=False,
        )
        assert done.stdout == ""
        return Refusal(done.returncode, done.stderr.splitlines())

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(60)
        self._forget()
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
        self._forget()

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def kill_part(self, name: str) -> None:
        """SIGKILL to the process of one part, or to PostgreSQL's first process."""
        self.process_of(name).kill()

    def process_of(self, name: str) -> psutil.Process:
        """The process of one part, or of `postgres`."""
        return self.processes_of(name)[0]

    def processes_of(self, name: str, seconds: float = 30) -> list[psutil.Process]:
        """The processes of one part, or `postgres`; waits until there are some."""
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = []
            for process in psutil.Process(self._process.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    command = process.cmdline()
                    if name in command or (command and Path(command[0]).name == name):
                        found.append(process)
            if found:
                return found
            time.sleep(0.02)
        pytest.fail(f"no process of {name}\n{self.log_text[-4000:]}")

    @property
    def log_text(self) -> str:
        """All that it has said on standard error so far."""
        return self.log.read_text()

    def assert_no_traceback(self) -> None:
        """What goes wrong in operation is said in lines, not in tracebacks."""
        _, found, rest = self.log_text.partition("Traceback")
        if found:
            pytest.fail(f"{self.log_text.partition('Traceback')[0][-1000:]}{found}{rest[:8000]}")

    def wait_for_log(self, text: str, *, times: int = 1, seconds: float = 60) -> None:
        """Wait until it has said that so many times."""
        deadline = time.monotonic() + seconds
        while self.log_text.count(text) < times:
            if time.monotonic() > deadline:
                pytest.fail(f"it never said {text!r}\n{self.log_text[-4000:]}")
            time.sleep(0.05)

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
        """An HTTP client that signs its requests with a token of that role; closed with us."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        self._clients.append(httpx2.Client(base_url=self.url, headers=headers, timeout=60))
        return self._clients[-1]

    def end(self) -> None:
        """Leave nothing running or open."""
        for client in self._clients:
            client.close()
        if self.running:
            self.kill()

    def wait_for_studies(
        self,
        client: httpx2.Client,
        uids: set[str],
        seconds: float = 180,
        states: Collection[str] = ("triaged",),
    ) -> dict[str, dict[str, Any]]:
        """The list's items of these studies, once all of them are triaged (or in `states`)."""
        deadline = time.monotonic() + seconds
        while True:
            listed = client.get("/api/v1/worklist", params={"limit": 1000})
            listed.raise_for_status()
            items = {item["studyInstanceUID"]: item for item in listed.json()["items"]}
            done = {uid for uid in uids if items.get(uid, {}).get("state") in states}
            if done == uids:
                return {uid: items[uid] for uid in uids}
            if time.monotonic() > deadline:
                found = {uid: items.get(uid, {}).get("state") for uid in uids - done}
                pytest.fail(f"still {found}\n{self.log.read_text()[-6000:]}")
            time.sleep(0.3)


@pytest.fixture
def new_product() -> Iterator[Callable[..., Product]]:
    """Makes products with settings of the environment, not started yet; `parts`: only these.

    All are ended with the test.
    """
    folder = Path(tempfile.mkdtemp(prefix="filmless-product-"))
    folder.chmod(0o711)  # PostgreSQL's own user has to pass
    made: list[Product] = []

    def make(*, parts: str | None = None, **environment: str) -> Product:
        made.append(Product(folder / str(len(made)), environment, parts))
        return made[-1]

    try:
        yield make
    finally:
        for product in made:
            product.end()
        shutil.rmtree(folder)


@pytest.fixture
def start_product(new_product: Callable[..., Product]) -> Callable[..., Product]:
    """Starts products made by `new_product`."""

    def start(*, parts: str | None = None, **environment: str) -> Product:
        product = new_product(parts=parts, **environment)
        product.start()
        return product

    return start


@pytest.fixture(params=["embedded", "hospital"])
def product_on_either(
    request: pytest.FixtureRequest, start_product: Callable[..., Product]
) -> Product:
    """The product on its own database and disk, or on the hospital's PostgreSQL and S3."""
    if request.param == "embedded":
        return start_product()
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    bucket = seaweed.bucket(f"product-{secrets.token_hex(4)}")
    return start_product(
        PACS_DATABASE_URL=request.getfixturevalue("hospital_database_url"),
        PACS_STORE_URL=f"s3://{bucket}?endpoint={seaweed.endpoint}",
        AWS_ACCESS_KEY_ID=seaweed.access_key,
        AWS_SECRET_ACCESS_KEY=seaweed.secret_key,
    )
