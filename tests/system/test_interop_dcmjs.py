"""dcmjs-dimse, DICOM in JavaScript, beside the product."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from tests.plugins.interop import ASKED, FOUND, IN_ASCII, Ours, Studies
from tests.plugins.ports import free_port

pytestmark = pytest.mark.system

ROOT = Path(__file__).parent.parent.parent
PROGRAM = Path(__file__).parent / "dcmjs_dimse" / "talk.mjs"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs it: Node, and the program beside its packages."""
    prepare = [sys.executable, str(ROOT / "scripts" / "prepare.py"), "dcmjs-dimse"]
    done = subprocess.run(prepare, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = ROOT / ".cache" / "dcmjs-dimse"
    return [str(folder / "node"), str(folder / PROGRAM.name)]


def test_it_stores_finds_retrieves_and_asks_for_commitment(
    talk: list[str], ours: Ours, tls: bool, studies: Studies
) -> None:
    aet, in_ascii, port = f"DCMJS{tls:d}", f"DCMJSASCII{tls:d}", free_port()
    ours.know(aet, port=port, tls=tls)
    ours.know(in_ascii, "--character-set", "ISO_IR 6")
    files = {
        "key": ours.key,
        "certificate": ours.certificate,
        "authority": ours.authority.certificate,
    }
    order = {
        "port": ours.port(tls=tls),
        "aet": aet,
        "asciiAet": in_ascii,
        "tls": {name: str(file) for name, file in files.items()} if tls else None,
        "files": [str(file) for file in studies.files],
        "uids": studies.uids,
        "instances": [study.sop_instance_uid for study in studies.all],
        "sopClass": studies.sop_class_uid,
        "asked": ASKED,
        "patientIds": studies.patient_ids,
        "receiver": {"aet": aet, "port": port},
    }
    run = subprocess.run(
        [*talk, json.dumps(order)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    done = json.loads(run.stdout)
    assert done["echo"] == [0]
    assert done["store"] == [0, 0, 0]
    assert sorted(done["found"]) == FOUND
    assert sorted(done["foundInAscii"]) == IN_ASCII
    assert done["commit"] == [0]
    assert done["report"]["transaction"] == done["transaction"]
    assert (done["report"]["event"], done["report"]["safe"]) == (1, order["instances"])
    assert set(done["get"]) == set(done["move"]) == {0}
    sent = [
        {
            "name": study.patient_name,
            "pixels": hashlib.sha256(pydicom.dcmread(study.file).PixelData).hexdigest(),
        }
        for study in studies.all
    ]
    for came in ("got", "moved"):
        assert sorted(done[came], key=lambda one: str(one["name"])) == sorted(
            sent, key=lambda one: str(one["name"])
        )
