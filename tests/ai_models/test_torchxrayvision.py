"""TorchXRayVision's weights, imported, say what its own code says with them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from pydicom import Dataset
from sqlalchemy import text

from ai_models.eligibility import header_verdict
from ai_models.installed import models_folder
from ai_models.model import Model
from ai_models.registry import Bundle, open_folder
from ai_models.study import assess_study
from ai_models.torchxrayvision.bundle import write_bundle
from ai_models.torchxrayvision.catalogue import OUTPUTS, WEIGHTS, by_file, by_name
from pacs import retrieve
from pacs.archive import Archive
from pacs.ingest import Source
from pacs.workflow import settle_quiet_studies
from tests.plugins.command_line import CommandLine

RealFile = Callable[[str], Path]
PACKAGE = Path(__file__).parents[2] / ".cache" / "torchxrayvision"
DCIODVFY = Path(sys.executable).with_name("dciodvfy")
REFERENCE = Path(__file__).parent / "torchxrayvision_reference.py"
SAYING_WHAT_IT_SHOWS = (
    *("AnatomicRegionSequence", "BodyPartExamined", "StudyDescription", "SeriesDescription"),
    *(
        "ProtocolName",
        "ViewPosition",
        "RequestedProcedureDescription",
        "AcquisitionDeviceProcessingDescription",
    ),
    *(
        "PerformedProcedureStepDescription",
        "RequestAttributesSequence",
        "PerformedProtocolCodeSequence",
    ),
)
SIGNED = ("--research-signed-by", "Dr An, head of radiology")
ALL, NIH = "densenet121-res224-all", "densenet121-res224-nih"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights files as torchxrayvision's own classes are pickled, and its own outputs."""
    if not PACKAGE.is_dir():
        pytest.skip("torchxrayvision is not fetched (python3 scripts/prepare.py torchxrayvision)")
    folder = tmp_path_factory.mktemp("torchxrayvision")
    subprocess.run([sys.executable, REFERENCE, PACKAGE, folder], check=True, timeout=240)
    return folder


def imported(file: Path, name: str, root: Path) -> Bundle:
    weights = by_name(name)
    assert weights is not None
    write_bundle(file, weights, root)
    return open_folder(root, name)


def reference_of(published: Path, name: str) -> dict[str, Any]:
    """The images that torchxrayvision was shown, and its outputs."""
    with np.load(published / f"{name}.npz") as stored:
        return {key: stored[key] for key in ("images", "outputs")}


@pytest.mark.parametrize("name", [ALL, NIH])
@pytest.mark.parametrize("format_of", ["old", "new"])
def test_outputs_are_those_of_its_own_forward_pass(
    name: str, format_of: str, published: Path, tmp_path: Path
) -> None:
    model = Model(imported(published / f"{name}.{format_of}.pt", name, tmp_path / "bundle"))
    reference = reference_of(published, name)
    found = model.predict(reference["images"]).probabilities
    assert found.shape == reference["outputs"].shape == (3, 18)
    taught = [i for i, label in enumerate(model.labels) if label]
    assert len(taught) == (18 if name == ALL else 14)
    np.testing.assert_allclose(found[:, taught], reference["outputs"][:, taught], atol=1e-5, rtol=0)
    # The outputs differ by image and by finding: equality says something.
    assert np.ptp(reference["outputs"][:, taught], axis=1).min() > 0.1
    assert np.ptp(reference["outputs"][:, taught], axis=0).max() > 0.01


def test_the_bundle_says_the_same_to_monais_own_tools(published: Path, tmp_path: Path) -> None:
    bundle = imported(published / f"{ALL}.old.pt", ALL, tmp_path / "bundle")
    config = bundle.config("inference") | {"bundle_root": str(bundle.root)}
    parser = ConfigParser(config)
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(parser.get_parsed_content("state"), strict=False)
    reference = reference_of(published, ALL)
    with torch.inference_mode():
        logits = network(torch.from_numpy(reference["images"]))
    found = np.stack(
        [np.asarray(parser.get_parsed_content("postprocessing")(row)) for row in logits]
    )
    np.testing.assert_allclose(found, reference["outputs"], atol=1e-5, rtol=0)


def test_the_catalogue_is_what_the_package_states(published: Path) -> None:
    program = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); sys.argv[1:2] = []\n"
        "import importlib.util as u\n"
        "s = u.spec_from_file_location('reference', sys.argv[1]); m = u.module_from_spec(s)\n"
        "s.loader.exec_module(m)\n"
        "for n in m.STOOD_IN_FOR: m.stand_in(n)\n"
        "from torchxrayvision.models import model_urls\n"
        "print(json.dumps({k: v for k, v in model_urls.items() if k.startswith('densenet')}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, PACKAGE, REFERENCE],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    stated = json.loads(said.stdout)
    assert sorted(stated) == sorted(weights.name for weights in WEIGHTS)
    for weights in WEIGHTS:
        theirs = stated[weights.name]
        assert weights.url == theirs["weights_url"]
        assert by_file(weights.url.rpartition("/")[2]) is weights
        labels = [label.lower().replace(" ", "_") for label in theirs["labels"]]
        assert list(weights.labels) == labels
        points = {
            label: point
            for label, point in zip(OUTPUTS, theirs["op_threshs"], strict=True)
            if not np.isnan(point)
        }
        assert dict(weights.points) == points


def published_file(published: Path, folder: Path) -> Path:
    """The file under the name that the releases give it."""
    weights = by_name(ALL)
    assert weights is not None
    return Path(shutil.copy(published / f"{ALL}.old.pt", folder / weights.file))


def test_it_is_imported_activated_and_judges_a_study(
    published: Path,
    tmp_path: Path,
    command_line: CommandLine,
    archive: Archive,
    real_file: RealFile,
) -> None:
    file = published_file(published, tmp_path)
    said = command_line("models", "import", "torchxrayvision", file, status=1).stderr
    assert "--research-signed-by" in said
    model = command_line("models", "import", "torchxrayvision", file, *SIGNED, "--json").json
    assert (model["name"], model["state"]) == ("torchxrayvision_all", "added")
    assert "PadChest" in model["trainingData"]
    command_line("models", "activate", "torchxrayvision_all")
    row = judged(archive, real_file("RG1_UNCR.dcm").read_bytes())
    assert (row["model"], row["reason"]) == ("torchxrayvision_all", None)
    assert row["triage_class"] in {"urgent", "routine"}
    assert {finding["code"] for finding in row["findings"]} == set(OUTPUTS)
    assert row["abnormal"] == pytest.approx(max(f["probability"] for f in row["findings"]))
    with archive.engine.connect() as connection:
        study = connection.execute(text("SELECT study_instance_uid FROM studies")).scalar_one()
        found = retrieve.instances(connection, study=study)
    assert sorted(instance.modality for instance in found) == ["CR", "OT", "SR"]
    made = {instance.modality: instance for instance in found}
    for modality in ("OT", "SR"):
        file = tmp_path / f"{modality}.dcm"
        file.write_bytes(b"".join(retrieve.read_object(archive, made[modality])))
        told = subprocess.run([DCIODVFY, "-new", file], capture_output=True, text=True, check=False)
        lines = (told.stdout + told.stderr).splitlines()
        assert lines
        assert [line for line in lines if line.startswith(("Error", "Failed"))] == []


def judged(archive: Archive, content: bytes) -> Mapping[Any, Any]:
    """The row about an image that arrives now."""
    study = archive.ingest.receive([content], Source("dimse", "CR1")).study_instance_uid
    with archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)
    assess_study(archive, study)
    with archive.engine.connect() as connection:
        return (
            connection.execute(text("SELECT * FROM assessments ORDER BY id DESC LIMIT 1"))
            .mappings()
            .one()
        )


def test_what_no_header_calls_a_chest_is_left_alone(
    published: Path,
    tmp_path: Path,
    command_line: CommandLine,
    archive: Archive,
    radiograph: Callable[[str], Dataset],
) -> None:
    file = published_file(published, tmp_path)
    command_line("models", "import", "torchxrayvision", file, *SIGNED)
    command_line("models", "activate", "torchxrayvision_all")
    silent = radiograph("RG1_UNCR.dcm")
    for keyword in SAYING_WHAT_IT_SHOWS:
        silent.pop(keyword, None)
    assert not header_verdict(silent).certain
    silent.save_as(tmp_path / "silent.dcm")
    row = judged(archive, (tmp_path / "silent.dcm").read_bytes())
    # These weights have no gate that could look at the picture instead.
    assert (row["reason"], row["abnormal"]) == ("not_chest", None)


def test_a_file_under_another_name_has_to_be_named(
    published: Path, command_line: CommandLine
) -> None:
    file = published / f"{NIH}.new.pt"
    said = command_line("models", "import", "torchxrayvision", file, *SIGNED, status=1).stderr
    assert "say --weights" in said
    command_line("models", "import", "torchxrayvision", file, "--weights", NIH, *SIGNED)
    shown = command_line("models", "show", "torchxrayvision_nih", "--json").json
    labels = list(shown["network_data_format"]["outputs"]["pred"]["channel_def"].values())
    assert labels[14:] == ["", "", "", ""]


def test_nothing_is_left_of_a_file_that_is_refused(
    tmp_path: Path, command_line: CommandLine, archive: Archive
) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"no weights")
    said = command_line(
        "models", "import", "torchxrayvision", file, "--weights", ALL, *SIGNED, status=1
    ).stderr
    assert said == "pacs: model weights.pt: weights.pt is damaged, or no network of PyTorch's\n"
    assert list(models_folder(archive.settings).iterdir()) == []
