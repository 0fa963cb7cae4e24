"""The benchmark itself works: every server takes a tiny load, and the page says what came of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pydicom

from benchmarks import loads


def test_a_tiny_load_goes_to_every_server_and_into_the_page(tmp_path: Path) -> None:
    words = "ingest --loads small --associations 2 --rounds 1 --scale 0.01 --parts dicom"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words.split(), "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    numbers = json.loads((tmp_path / "RESULTS-ingest.json").read_text())
    samples = {sample["server"]: sample for sample in numbers["samples"]}
    assert set(samples) == {"Filmless", "Orthanc", "storescp", "pynetdicom"}
    for sample in samples.values():
        assert (sample["instances"], sample["associations"]) == (5, 2)
        assert sample["cpu_seconds"] <= sample["cpu_seconds_with_deferred"]
        assert sample["peak_memory_bytes"] > 0

    page = (tmp_path / "RESULTS.md").read_text()
    assert "| MR 64×64, 9 KB | 2 |" in page
    assert numbers["versions"]["Orthanc"] in page


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "ingest", "--results", str(tmp_path)],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "storescu is not installed: apt-get install dcmtk\n"


def test_equal_seeds_make_equal_files_and_others_share_no_uid(tmp_path: Path) -> None:
    small = loads.LOADS["small"]
    made = {}
    for name, seed in {"first": "1", "again": "1", "other": "2"}.items():
        shares = loads.write(small, 5, 2, tmp_path / name, seed)
        made[name] = [file for share in shares for file in sorted(share.iterdir())]
        assert [len(list(share.iterdir())) for share in shares] == [3, 2]

    assert [f.read_bytes() for f in made["first"]] == [f.read_bytes() for f in made["again"]]
    uids = {name: {_uid(file) for file in files} for name, files in made.items()}
    assert len(uids["first"]) == 5
    assert not uids["first"] & uids["other"]


def _uid(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
