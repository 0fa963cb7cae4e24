"""The command line on a real data directory: results on stdout, one line of trouble on stderr."""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pydicom
import pytest

from pacs.cli import main
from pacs.database.engine import connect
from pacs.rejection import reject
from tests.plugins.dcmtk import StoreScp

PACS = [sys.executable, "-m", "pacs.cli"]
CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
PASSWORD = "mật khẩu dài và khó"

Run = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    """What a command has said."""

    stdout: str
    stderr: str


@pytest.fixture
def pacs(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs the command line in this process, on a database and a data directory of its own."""
    for name in [name for name in os.environ if name.startswith("PACS_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, typed: str = "", status: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["pacs", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capfd.readouterr()
        ended = 0
        try:
            main()
        except SystemExit as end:
            ended = int(end.code or 0)
        done = Done(*capfd.readouterr())
        assert ended == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    with tempfile.TemporaryDirectory(prefix="filmless-cli-") as folder:
        monkeypatch.setenv("PACS_DATA_DIR", folder)
        monkeypatch.setenv("PACS_DATABASE_URL", database_url)
        yield run


def test_help_is_quick_and_names_every_command() -> None:
    took = []
    for _ in range(3):
        started = time.monotonic()
        told = subprocess.run([*PACS, "--help"], capture_output=True, text=True, check=True)
        took.append(time.monotonic() - started)
    for command in (
        *("serve", "demo", "import", "export", "reindex", "scrub", "status", "conformance"),
        *("users", "tokens", "devices", "models", "rejected"),
    ):
        assert f" {command} " in told.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import pacs.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"sqlalchemy", "fastapi", "pydicom", "torch", "numpy", "psycopg"} & set(loaded)
    assert min(took) < 2


def test_the_conformance_statement_is_of_this_installation(
    pacs: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACS_AET", "PROVINCE")
    said = pacs("conformance").stdout
    assert said.startswith("# DICOM conformance statement\n")
    assert "`aet` | `PROVINCE`" in said


def test_an_account_from_its_beginning_to_its_end(pacs: Run, database_url: str) -> None:
    pacs("users", "add", "An", "--role", "radiologist", "--full-name", "Nguyễn Văn An",
         "--password-stdin", typed=f"{PASSWORD}\n")  # fmt: skip
    taken = pacs("users", "add", "an", "--role", "admin", "--generate", status=1)
    assert taken.stderr == "pacs: a user named 'an' exists already\n"
    assert taken.stdout == ""
    assert "Nguyễn Văn An" in pacs("users", "list").stdout

    generated = pacs("users", "passwd", "an", "--generate").stdout.strip()
    assert len(generated) >= 16
    pacs("users", "disable", "an")
    (user,) = json.loads(pacs("users", "list", "--json").stdout)
    assert (user["username"], user["role"], user["disabled"]) == ("an", "radiologist", True)
    assert "password" not in json.dumps(user)
    pacs("users", "enable", "an")

    with psycopg.connect(database_url) as connection:
        actions = connection.execute(
            "SELECT actor, action FROM audit_events ORDER BY id"
        ).fetchall()
    assert [action for _, action in actions] == [
        "user.create",
        "user.password",
        "user.disable",
        "user.enable",
    ]
    assert all(str(actor).startswith("console:") for actor, _ in actions)


def test_a_weak_password_or_none_is_refused(pacs: Run) -> None:
    weak = pacs(
        "users", "add", "an", "--role", "admin", "--password-stdin", typed="short\n", status=1
    )
    assert weak.stderr.startswith("pacs: ")
    assert weak.stderr.count("\n") == 1
    pacs("users", "add", "an", "--role", "admin", status=2)
    pacs("users", "add", "an", "--role", "service", "--generate", status=2)
    assert json.loads(pacs("users", "list", "--json").stdout) == []


def test_a_token_is_shown_once_and_revoked(pacs: Run) -> None:
    made = json.loads(
        pacs("tokens", "create", "--role", "service", "--name", "emr", "--json").stdout
    )
    secret = pacs("tokens", "create", "--role", "service", "--expires-in-days", "1").stdout.strip()
    assert secret != made["secret"]
    listed = pacs("tokens", "list", "--json").stdout
    assert made["secret"] not in listed
    assert secret not in listed
    assert [token["name"] for token in json.loads(listed)] == ["emr", "service"]
    pacs("tokens", "revoke", str(made["token"]["id"]))
    assert "revoked" in pacs("tokens", "list").stdout
    unknown = pacs("tokens", "revoke", "999", status=1)
    assert unknown.stderr == "pacs: there is no token number 999\n"
    refused = pacs("tokens", "create", "--role", "service", "--scope", "users:write", status=1)
    assert "does not permit" in refused.stderr


def test_a_device_comes_and_goes(pacs: Run, storescp: StoreScp) -> None:
    pacs("devices", "add", "CR1", "--network", "10.1.2.3/24", "--description", "X-quang 1")
    (device,) = json.loads(pacs("devices", "list", "--json").stdout)
    assert (device["aet"], device["network"]) == ("CR1", "10.1.2.0/24")
    wrong = pacs("devices", "add", "CR2", "--network", "here", status=1)
    assert "neither an IP address nor a network" in wrong.stderr
    pacs("devices", "set", "CR1", "--host", "10.1.2.3", "--port", "104", "--services", "store,echo",
         "--takes", "ImplicitVRLittleEndian,1.2.840.10008.1.2.1")  # fmt: skip
    pacs("devices", "pause", "CR1")
    (device,) = json.loads(pacs("devices", "list", "--json").stdout)
    assert (device["host"], device["port"], device["paused"]) == ("10.1.2.3", 104, True)
    assert device["services"] == ["echo", "store"]
    assert device["takes"] == ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]
    assert (device["description"], device["network"]) == ("X-quang 1", "10.1.2.0/24")
    pacs("devices", "resume", "CR1")
    pacs(
        "devices",
        "set",
        "CR1",
        "--host",
        "none",
        "--services",
        "all",
        "--character-set",
        "ISO_IR 6",
    )
    (device,) = json.loads(pacs("devices", "list", "--json").stdout)
    assert (device["port"], device["services"], device["paused"]) == (None, None, False)
    assert device["character_set"] == "ISO_IR 6"
    assert "ISO_IR 6" in pacs("devices", "list").stdout
    assert (
        "character set"
        in pacs("devices", "set", "CR1", "--character-set", "UTF-8", status=1).stderr
    )
    assert "listens" in pacs("devices", "echo", "CR1", status=1).stderr
    pacs("devices", "set", "CR1", "--host", "127.0.0.1", "--port", str(storescp.port))
    assert json.loads(pacs("devices", "echo", "CR1", "--json").stdout)["aet"] == "CR1"
    pacs("devices", "remove", "CR1")
    pacs("devices", "remove", "CR1", status=1)


def test_objects_are_imported_once_found_sound_and_indexed_again(
    pacs: Run, tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "ct.dcm").write_bytes(CT.read_bytes())
    first = pacs("import", str(tmp_path), "--json", status=1)
    told = json.loads(first.stdout)
    assert told["outcomes"] == {"stored": 1, "refused": 1}
    assert told["refused_files"][0]["path"].endswith("notes.txt")
    again = pacs("import", str(tmp_path / "ct.dcm"), "--json")
    assert json.loads(again.stdout)["outcomes"] == {"duplicate": 1}
    pacs("import", str(tmp_path / "nowhere"), status=1)

    status = json.loads(pacs("status", "--json").stdout)
    assert (status["studies"], status["instances"], status["store_problem"]) == (1, 1, None)
    assert json.loads(pacs("scrub", "--json").stdout)["outcomes"] == {"sound": 1}
    assert "known" in pacs("reindex").stdout

    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE patients, studies, series, instances CASCADE")
    assert json.loads(pacs("reindex", "--json").stdout)["outcomes"] == {"stored": 1}


def test_studies_are_exported_as_media_and_each_time_on_record(
    pacs: Run, tmp_path: Path, database_url: str
) -> None:
    pacs("import", str(CT))
    study = str(pydicom.dcmread(CT, stop_before_pixels=True).StudyInstanceUID)
    zipped, folder = tmp_path / "media.zip", tmp_path / "media"
    told = pacs("export", study, "--to", str(zipped), "--json")
    assert json.loads(told.stdout) == {"to": str(zipped), "studies": 1, "objects": 1}
    pacs("export", study, "--to", str(folder))
    with zipfile.ZipFile(zipped) as media:
        assert media.read("DICOM/S0000001/I0000001") == CT.read_bytes()
        assert {name for name in media.namelist() if "/" not in name} == {
            file.name for file in folder.iterdir() if file.is_file()
        }
    assert "no object 1.2.3" in pacs("export", "1.2.3", "--to", str(zipped), status=1).stderr
    assert "not an empty" in pacs("export", study, "--to", str(folder), status=1).stderr
    with psycopg.connect(database_url) as connection:
        asked = "SELECT actor, study_instance_uid FROM audit_events WHERE action = 'study.exported'"
        events = connection.execute(asked).fetchall()
    assert [event[1] for event in events[:2]] == [study, study]
    assert events[0][0].startswith("console:")


def test_what_is_rejected_is_listed_and_restored(pacs: Run, database_url: str) -> None:
    pacs("import", str(CT))
    study = str(pydicom.dcmread(CT, stop_before_pixels=True).StudyInstanceUID)
    assert json.loads(pacs("rejected", "list", "--json").stdout) == []
    engine = connect(database_url)
    with engine.begin() as connection:
        rejection = reject(
            connection, "113037", study=study, reason="nhầm bệnh nhân", by="user:test"
        )
    engine.dispose()
    assert rejection is not None
    (listed,) = json.loads(pacs("rejected", "list", "--json").stdout)
    assert (listed["id"], listed["code"], listed["reason"], listed["rejected_by"]) == (
        rejection.id,
        "113037",
        "nhầm bệnh nhân",
        "user:test",
    )
    assert "nhầm" in pacs("rejected", "list").stdout
    assert json.loads(pacs("status", "--json").stdout)["instances"] == 0
    assert json.loads(pacs("scrub", "--json").stdout)["outcomes"] == {"sound": 1}
    pacs("rejected", "restore", str(rejection.id))
    assert json.loads(pacs("status", "--json").stdout)["instances"] == 1
    assert json.loads(pacs("rejected", "list", "--json").stdout) == []
    (listed,) = json.loads(pacs("rejected", "list", "--all", "--json").stdout)
    assert listed["restored_by"].startswith("console:")
    assert "taken back already" in pacs("rejected", "restore", str(rejection.id), status=1).stderr
    assert "no rejection" in pacs("rejected", "restore", "999", status=1).stderr


def test_an_altered_object_is_found(pacs: Run, database_url: str) -> None:
    pacs("import", str(CT))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE instances SET dataset_crc32 = dataset_crc32 # 1")
    found = pacs("scrub", "--json", status=1)
    (problem,) = json.loads(found.stdout)["problems"]
    assert problem["problem"] == "changed"


def test_models_that_are_not_there_are_named(pacs: Run) -> None:
    assert "not among the models" in pacs("models", "verify", "nothing", status=1).stderr
    assert pacs("models", "show", "nothing", status=1).stderr.startswith("pacs: model nothing")
    json.loads(pacs("models", "list", "--json").stdout)


def test_wrong_use_is_status_2(pacs: Run) -> None:
    for arguments in (["nothing"], ["users", "add"], ["tokens", "create"], ["import"]):
        pacs(*arguments, status=2)
