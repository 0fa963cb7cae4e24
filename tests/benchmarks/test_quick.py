"""Each benchmark works from end to end; what it measures in a try means nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import hospital


@pytest.mark.parametrize(
    ("name", "heading", "servers"),
    [
        ("query", "## Asking", {"Filmless", "Orthanc", "Orthanc, PostgreSQL"}),
        ("move", "## Sending", {"Filmless", "Orthanc", "storescp"}),
        ("scale", "## Growing", {"Filmless"}),
        ("web", "## DICOMweb", {"Filmless", "Orthanc", "Orthanc, PostgreSQL"}),
        pytest.param(
            *("first-image", "## The first image", {"Filmless", "Orthanc", "OHIF", "Chromium"}),
            marks=pytest.mark.skipif(
                shutil.which("nginx", path="/usr/sbin:/usr/bin") is None,
                reason="nginx is not installed; as a package it would begin to serve this machine",
            ),
        ),
        ("memory", "## Memory", {"Filmless", "Orthanc"}),
    ],
)
def test_a_try_ends_in_a_page(name: str, heading: str, servers: set[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--quick", "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = json.loads((tmp_path / f"RESULTS-{name.replace('-', '_')}.json").read_text())
    assert set(numbers["versions"]) == servers
    assert not [sample for sample in numbers["samples"] if sample.get("failure")]
    page = (tmp_path / "RESULTS.md").read_text()
    assert heading in page
    assert "| goal | wanted |" in page
    if name == "query":
        named = [s for s in numbers["samples"] if s["kind"] in ("patient ID", "name as written")]
        assert all(sample["answers"] > 0 for sample in named)


def test_the_hospital_is_the_same_each_time_and_has_common_names() -> None:
    made, again, other = (list(hospital.studies(500, seed)) for seed in ("1", "1", "2"))
    assert made == again
    assert not {study.uid for study in made} & {study.uid for study in other}
    assert [study.day for study in made] == sorted(study.day for study in made)
    families = [study.person.name.partition("^")[0] for study in made]
    assert 0.25 < families.count("Nguyễn") / len(families) < 0.55
