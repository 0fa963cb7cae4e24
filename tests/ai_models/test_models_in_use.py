"""Models are added, activated, shadowed and retired by the command line; the worker follows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ai_models.errors import ModelAltered, ModelMissing
from ai_models.study import assess_study
from pacs import retrieve
from pacs.archive import Archive
from pacs.ingest import Source
from pacs.study import study_detail
from pacs.workflow import settle_quiet_studies
from pacs.worklist import worklist
from tests.plugins.command_line import CommandLine

RealFile = Callable[[str], Path]
Edit = Callable[..., None]
SIGNED = ("--research-signed-by", "Dr An, head of radiology")
CHESTS = ("RG1_UNCR.dcm", "RG1_J2KR.dcm")


def receive(archive: Archive, content: bytes) -> str:
    study = archive.ingest.receive([content], Source("dimse", "CR1")).study_instance_uid
    with archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)
    return study


def rows(archive: Archive, statement: str) -> list[Any]:
    with archive.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def assessed_by(archive: Archive) -> list[Any]:
    return rows(archive, "SELECT model, model_version FROM assessments ORDER BY id")


def states(command_line: CommandLine) -> dict[str, str]:
    listed = command_line("models", "list", "--json").json
    return {f"{model['name']} {model['version']}": model["state"] for model in listed}


def test_the_model_that_comes_with_the_program_is_there_and_active(
    command_line: CommandLine,
) -> None:
    (model,) = command_line("models", "list", "--json").json
    assert (model["name"], model["state"], model["builtIn"]) == ("cxr_triage", "active", True)
    assert model["problem"] is None
    assert not model["registered"]
    assert "not a registered medical device" in model["researchStatement"]
    assert "Kermany" in model["trainingData"]
    assert len(model["files"]["models/model.safetensors"]) == 64
    assert "as it was released" in command_line("models", "verify").stderr


def test_adding_needs_somebodys_word(
    command_line: CommandLine, other_bundle: Path, edited: Edit, archive: Archive
) -> None:
    assert "--research-signed-by" in command_line("models", "add", other_bundle, status=1).stderr
    said = command_line(
        "models", "add", other_bundle, *SIGNED, "--registration-number", "7", status=1
    )
    assert "not registered" in said.stderr
    model = command_line("models", "add", other_bundle, *SIGNED, "--json").json
    assert (model["state"], model["signedBy"]) == ("added", SIGNED[1])

    edited(other_bundle, "configs/metadata.json", name="cxr_device", registered=True)
    assert "--registration-number" in command_line("models", "add", other_bundle, status=1).stderr
    device = command_line(
        "models", "add", other_bundle, "--registration-number", "2400123/BYT", "--json"
    ).json
    assert (device["registered"], device["registrationNumber"]) == (True, "2400123/BYT")
    assert device["researchStatement"] is None
    assert set(states(command_line).values()) == {"active", "added"}
    events = rows(archive, "SELECT action, detail->>'model' FROM audit_events ORDER BY id")
    assert events == [("model.add", "cxr_other"), ("model.add", "cxr_device")]


def test_a_version_has_one_set_of_files(
    command_line: CommandLine, other_bundle: Path, edited: Edit
) -> None:
    command_line("models", "add", other_bundle, *SIGNED)
    command_line("models", "add", other_bundle, *SIGNED)
    edited(other_bundle, "configs/metadata.json", description="another one")
    said = command_line("models", "add", other_bundle, *SIGNED, status=1).stderr
    assert "give it another version" in said
    edited(other_bundle, "configs/metadata.json", version="2.10.0")
    command_line("models", "add", other_bundle, *SIGNED)
    assert list(states(command_line)) == ["cxr_other 2.10.0", "cxr_other 2.0.0", "cxr_triage 1.0.0"]


def test_another_model_takes_over_without_a_restart_and_results_stay(
    archive: Archive, real_file: RealFile, command_line: CommandLine, other_bundle: Path
) -> None:
    study = receive(archive, real_file("RG1_UNCR.dcm").read_bytes())
    assess_study(archive, study)
    assert assessed_by(archive) == [("cxr_triage", "1.0.0")]

    command_line("models", "add", other_bundle, *SIGNED)
    command_line("models", "activate", "cxr_other")
    assert states(command_line) == {"cxr_other 2.0.0": "active", "cxr_triage 1.0.0": "retired"}
    assess_study(archive, study)
    assert assessed_by(archive) == [("cxr_triage", "1.0.0"), ("cxr_other", "2.0.0")]
    with archive.engine.connect() as connection:
        found = retrieve.instances(connection, study=study)
        detail = study_detail(connection, study, show_unregistered=True)
    assert sorted(instance.modality for instance in found) == ["CR", "OT", "OT", "SR", "SR"]
    assert len(detail.assessments) == 2

    command_line("models", "activate", "cxr_triage")
    assert states(command_line)["cxr_triage 1.0.0"] == "active"
    changes = command_line("models", "show", "cxr_other", "--json").json["states"]
    assert [change["state"] for change in changes] == ["added", "active", "retired"]
    assert all(change["by"].startswith("console:") for change in changes)
    events = rows(
        archive, "SELECT action FROM audit_events WHERE action LIKE 'model.%' ORDER BY id"
    )
    taken = ["model.activate", "model.retire"]
    assert [action for (action,) in events] == ["model.add", *taken, *taken]


def test_a_shadow_looks_too_and_nobody_sees_what_it_says(
    archive: Archive, real_file: RealFile, command_line: CommandLine, other_bundle: Path
) -> None:
    command_line("models", "add", other_bundle, *SIGNED)
    assert "active" in command_line("models", "shadow", "cxr_triage", status=1).stderr
    command_line("models", "shadow", "cxr_other")
    study = receive(archive, real_file("RG1_UNCR.dcm").read_bytes())
    assess_study(archive, study)
    assess_study(archive, study)
    assert assessed_by(archive) == [("cxr_triage", "1.0.0")]
    said = "SELECT model, triage_class, abnormal FROM shadow_assessments"
    ((model, triage_class, abnormal),) = rows(archive, said)
    # The same network under another name: it says the same of the same image.
    ours = rows(archive, "SELECT triage_class, abnormal FROM assessments")[0]
    assert (model, triage_class) == ("cxr_other", ours[0])
    assert abnormal == pytest.approx(ours[1], abs=1e-5)
    with archive.engine.connect() as connection:
        found = retrieve.instances(connection, study=study)
        detail = study_detail(connection, study, show_unregistered=True)
        (item,) = worklist(connection, show_unregistered=True).items
    assert sorted(instance.modality for instance in found) == ["CR", "OT", "SR"]
    assert [word.triage.model for word in detail.assessments] == ["cxr_triage"]
    assert item.triage.model == "cxr_triage"

    command_line("models", "retire", "cxr_other")
    other = receive(archive, real_file("RG3_UNCR.dcm").read_bytes())
    assess_study(archive, other)
    assert len(rows(archive, said)) == 1
    actions = rows(
        archive, "SELECT action FROM audit_events WHERE action LIKE 'model.%' ORDER BY id"
    )
    assert actions == [("model.add",), ("model.shadow",), ("model.retire",)]


def test_a_broken_shadow_keeps_nothing_back(
    archive: Archive, real_file: RealFile, command_line: CommandLine, other_bundle: Path
) -> None:
    command_line("models", "add", other_bundle, *SIGNED)
    command_line("models", "shadow", "cxr_other")
    installed(archive, "models/model.safetensors").unlink()
    assess_study(archive, receive(archive, real_file("RG3_UNCR.dcm").read_bytes()))
    assert assessed_by(archive) == [("cxr_triage", "1.0.0")]


def installed(archive: Archive, file: str) -> Path:
    return archive.settings.data_dir / "models" / "cxr_other" / "2.0.0" / file


def test_an_altered_file_is_refused_also_when_it_is_sealed_anew(
    archive: Archive,
    real_file: RealFile,
    command_line: CommandLine,
    other_bundle: Path,
    edited: Edit,
) -> None:
    command_line("models", "add", other_bundle, *SIGNED)
    study = receive(archive, real_file("RG3_UNCR.dcm").read_bytes())
    command_line("models", "activate", "cxr_other")
    triage = installed(archive, "configs/triage.json")
    right = triage.read_bytes()
    triage.write_bytes(right.replace(b"0.88953", b"0.18953"))
    with pytest.raises(ModelAltered, match=r"configs/triage\.json is not the released one"):
        assess_study(archive, study)
    said = command_line("models", "verify", "cxr_other", status=1).stderr
    assert "configs/triage.json is not the released one" in said
    edited(installed(archive, "."), "configs/triage.json")
    with pytest.raises(ModelAltered, match=r"another configs/triage\.json than was registered"):
        assess_study(archive, study)
    (other, ours) = command_line("models", "list", "--json").json
    assert "than was registered" in other["problem"]
    assert ours["problem"] is None
    (installed(archive, ".") / "LICENSE").unlink()
    assert assessed_by(archive) == []
    # As its message says: the bundle is put back, and work goes on.
    command_line("models", "add", other_bundle, *SIGNED)
    assess_study(archive, study)
    assert assessed_by(archive) == [("cxr_other", "2.0.0")]


def test_a_model_that_this_machine_lacks_is_waited_for(
    archive: Archive, real_file: RealFile, command_line: CommandLine, other_bundle: Path
) -> None:
    command_line("models", "add", other_bundle, *SIGNED)
    command_line("models", "activate", "cxr_other")
    installed(archive, ".").rename(archive.settings.data_dir / "elsewhere")
    study = receive(archive, real_file("RG3_UNCR.dcm").read_bytes())
    with pytest.raises(ModelMissing, match=r"this machine has no .*pacs models add"):
        assess_study(archive, study)


def test_without_a_model_the_reason_is_on_record(
    archive: Archive, real_file: RealFile, command_line: CommandLine
) -> None:
    assert "no model judges" in command_line("models", "retire", "cxr_triage").stderr
    study = receive(archive, real_file("RG1_UNCR.dcm").read_bytes())
    assess_study(archive, study)
    with archive.engine.connect() as connection:
        (item,) = worklist(connection, show_unregistered=False).items
    assert (item.state, item.triage.status, item.triage.reason) == (
        "triaged", "not_assessed", "no_model",
    )  # fmt: skip
    command_line("models", "activate", "cxr_triage")
    assess_study(archive, study)
    with archive.engine.connect() as connection:
        (item,) = worklist(connection, show_unregistered=True).items
    assert item.triage.status == "assessed"


def test_models_that_are_not_there_are_named(command_line: CommandLine) -> None:
    for verb in ("activate", "shadow", "retire", "show", "verify"):
        said = command_line("models", verb, "nothing", status=1).stderr
        assert "not among the models of this installation (there: cxr_triage 1.0.0)" in said
