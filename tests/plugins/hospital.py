"""A running server on an archive, the people who may enter, and clients of every kind."""

import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import data_store
import httpx2
import psycopg
import pydicom
from fastapi import FastAPI
from psycopg import sql
from sqlalchemy.engine import make_url

from pacs.archive import Archive, open_archive
from pacs.audit.events import AuditEvent, events
from pacs.ingest import Received, Source
from pacs.links.share import create_link
from pacs.people.permissions import Role
from pacs.people.tokens import create_token
from pacs.people.users import create_user
from pacs.settings import load_settings
from viewer_api.app import create_app
from viewer_api.server import Server, address, listen

PASSWORD = "mật khẩu dài và khó"

_BIG = Path(data_store.__file__).parent / "data"
_SMALL = Path(pydicom.__file__).parent / "data" / "test_files"

RADIOGRAPH = "RG1_J2KR.dcm"
CT = "CT_small.dcm"
STUDIES = (
    "RG1_J2KR.dcm",
    "CT_small.dcm",
    "MR_small.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "OBXXXX1A_rle_2frame.dcm",
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
    "ExplVR_BigEnd.dcm",
    "JPEG-LL.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "test-SR.dcm",
)


def file_of(name: str) -> Path:
    """A real DICOM file by its name."""
    return _BIG / name if (_BIG / name).is_file() else _SMALL / name


@dataclass(frozen=True)
class Hospital:
    """A running server: where it is, what is behind it, and who may enter."""

    archive: Archive
    app: FastAPI
    url: str
    tokens: Mapping[str, str]
    server: Server
    clients: contextlib.ExitStack
    stored: dict[str, Received] = field(default_factory=dict)

    def client(self, **kwargs: Any) -> httpx2.Client:
        """Somebody without credentials; closed with the hospital."""
        client = httpx2.Client(base_url=self.url, timeout=30, **kwargs)
        return self.clients.enter_context(client)

    def stop(self) -> None:
        """Ask the server to end, as SIGTERM does."""
        self.server.should_exit = True

    def receive(self, name: str) -> Received:
        """Take in a real file by its name."""
        with file_of(name).open("rb") as file:
            received = self.archive.ingest.receive([file.read()], Source("import", "test"))
        self.stored[name] = received
        return received

    def machine(self, role: str = "service") -> httpx2.Client:
        """A machine with a token of that role."""
        return self.client(headers={"Authorization": f"Bearer {self.tokens[role]}"})

    def signed_in(self, username: str = "radiologist") -> httpx2.Client:
        """A browser in which somebody has signed in."""
        client = self.client()
        answer = client.post("/api/v1/session", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return client

    def follower(self, name: str) -> httpx2.Client:
        """A browser that has followed a share link to the study of that file."""
        with self.archive.engine.begin() as connection:
            _, secret = create_link(
                connection,
                self.stored[name].study_instance_uid,
                made_by="user:test",
                basis="the patient asked",
                lifetime=timedelta(hours=1),
            )
        client = self.client()
        assert client.get(f"/s/{secret}").status_code == 303
        return client

    def audit(self, **conditions: Any) -> list[AuditEvent]:
        """Audit events, latest first."""
        with self.archive.engine.connect() as connection:
            return events(connection, **conditions)

    def path(self, name: str, level: str = "instance") -> str:
        """The DICOMweb path of the instance that a file became, or of its series or study."""
        received = self.stored[name]
        path = f"/dicomweb/studies/{received.study_instance_uid}"
        if level == "study":
            return path
        path += f"/series/{received.series_instance_uid}"
        return path if level == "series" else f"{path}/instances/{received.sop_instance_uid}"


@contextlib.contextmanager
def with_real_studies(postgres: str, template: str, folder: Path) -> Iterator[Hospital]:
    """A hospital on a database of its own, which has taken in STUDIES."""
    settings = load_settings(data_dir=folder, institution_name="Bệnh viện tỉnh")
    with (
        database(postgres, template) as url,
        open_archive(settings, url) as archive,
        serving(archive) as running,
    ):
        for name in STUDIES:
            running.receive(name)
        yield running


@contextlib.contextmanager
def database(postgres: str, template: str) -> Iterator[str]:
    name = f"filmless_api_{secrets.token_hex(6)}"

    def url(database: str) -> str:
        return make_url(postgres).set(database=database).render_as_string(hide_password=False)

    def execute(statement: str) -> None:
        with psycopg.connect(url("postgres"), autocommit=True) as connection:
            names = map(sql.Identifier, (name, template)[: statement.count("{}")])
            connection.execute(sql.SQL(statement).format(*names))

    execute("CREATE DATABASE {} TEMPLATE {}")
    try:
        yield url(name)
    finally:
        execute("DROP DATABASE {} WITH (FORCE)")


@contextlib.contextmanager
def serving(archive: Archive, **app_options: Any) -> Iterator[Hospital]:
    """A server on a free port; accounts and tokens of every role are made."""
    with archive.engine.begin() as connection:
        tokens = {role.value: create_token(connection, role, f"a {role}")[1] for role in Role}
        for role in Role:
            create_user(connection, role.value, PASSWORD, role, f"Người {role}")
    app = create_app(archive, **app_options)
    started = threading.Event()
    with contextlib.ExitStack() as clients, listen("127.0.0.1", 0) as listening:
        server = Server(app, listening, lambda _url: started.set())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert started.wait(20)
            yield Hospital(archive, app, address(listening), tokens, server, clients)
        finally:
            server.should_exit = True
            clients.close()
            thread.join(40)
            assert not thread.is_alive()
