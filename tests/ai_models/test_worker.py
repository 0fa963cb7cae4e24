"""A study goes through the worker: on a real database and store, with the real model."""

import asyncio
import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import procrastinate
import pydicom
import pytest
from procrastinate.jobs import Job
from pydicom.uid import generate_uid
from sqlalchemy import text

from ai_models.batching import LARGEST_BATCH, Batcher
from ai_models.errors import ModelAltered, ModelMissing
from ai_models.installed import register_built_in
from ai_models.model import Model
from ai_models.study import assess_study, loaded
from ai_models.worker import Patience, register
from pacs import jobs, retrieve
from pacs.archive import Archive
from pacs.ingest import Source
from pacs.models.registry import in_use
from pacs.study import study_detail
from pacs.workflow import settle_quiet_studies

MODALITY = Source("dimse", "CR1")
MakeFile = Callable[..., bytes]
RealFile = Callable[[str], Path]


def receive(archive: Archive, content: bytes) -> str:
    uid = archive.ingest.receive([content], MODALITY).study_instance_uid
    with archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)
    return uid


def assessments(archive: Archive) -> list[dict[str, Any]]:
    with archive.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM assessments ORDER BY id")).mappings()
        return [dict(row) for row in rows]


def state(archive: Archive, study: str) -> str:
    statement = text("SELECT state FROM studies WHERE study_instance_uid = :uid")
    with archive.engine.connect() as connection:
        return str(connection.execute(statement, {"uid": study}).scalar_one())


def stored(archive: Archive, study: str) -> dict[str, int]:
    with archive.engine.connect() as connection:
        found = retrieve.instances(connection, study=study)
    count: dict[str, int] = {}
    for instance in found:
        count[instance.modality] = count.get(instance.modality, 0) + 1
    return count


def test_a_radiograph_gets_its_class_report_and_heat_map(
    archive: Archive, real_file: RealFile, caplog: pytest.LogCaptureFixture
) -> None:
    study = receive(archive, real_file("RG1_J2KR.dcm").read_bytes())
    with caplog.at_level(logging.INFO):
        assess_study(archive, study)
    assert study not in caplog.text
    assert "CompressedSamples" not in caplog.text
    (row,) = assessments(archive)
    assert row["triage_class"] in {"critical", "urgent"}
    assert row["reason"] is None
    assert not row["registered"]
    assert len(row["findings"]) == 14
    assert state(archive, study) == "triaged"
    assert stored(archive, study) == {"CR": 1, "SR": 1, "OT": 1}
    with archive.engine.connect() as connection:
        report = retrieve.find_instance(connection, row["sr_instance_uid"])
        heat = retrieve.find_instance(connection, row["heatmap_instance_uid"])
        detail = study_detail(connection, study, show_unregistered=True)
    content = b"".join(retrieve.read_object(archive, report))
    assert pydicom.dcmread(io.BytesIO(content)).Modality == "SR"
    assert retrieve.pixels(archive, heat).shape[2] == 3
    assert detail.assessments


def test_running_again_changes_nothing(archive: Archive, real_file: RealFile) -> None:
    study = receive(archive, real_file("RG1_UNCR.dcm").read_bytes())
    assess_study(archive, study)
    once = assessments(archive), stored(archive, study)
    assess_study(archive, study)
    assert (assessments(archive), stored(archive, study)) == once
    # As after a crash between the objects and the row:
    with archive.engine.begin() as connection:
        connection.execute(text("DELETE FROM assessments"))
    assess_study(archive, study)
    (row,) = assessments(archive)
    assert row["sr_instance_uid"] == once[0][0]["sr_instance_uid"]
    assert stored(archive, study) == once[1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("RG3_UNCR.dcm", "not_chest"), ("MR2_UNCR.dcm", "not_radiograph")],
)
def test_what_is_left_alone_has_its_reason_on_record(
    name: str, reason: str, archive: Archive, real_file: RealFile
) -> None:
    study = receive(archive, real_file(name).read_bytes())
    assess_study(archive, study)
    (row,) = assessments(archive)
    assert (row["reason"], row["triage_class"]) == (reason, None)
    assert state(archive, study) == "triaged"
    assert "SR" not in stored(archive, study)


def test_an_image_of_eight_pixels_is_unreadable(archive: Archive, make_file: MakeFile) -> None:
    study = receive(archive, make_file(BodyPartExamined="CHEST", StudyDescription="Ngực thẳng"))
    assess_study(archive, study)
    assert [row["reason"] for row in assessments(archive)] == ["unreadable"]


def test_an_altered_model_records_nothing_and_work_resumes(
    archive: Archive, real_file: RealFile, bundle_copy: Path
) -> None:
    study = receive(archive, real_file("RG3_UNCR.dcm").read_bytes())
    weights = bundle_copy / "cxr_triage" / "models" / "model.safetensors"
    released = weights.read_bytes()
    weights.write_bytes(released[:-1] + b"x")
    with pytest.raises(ModelAltered, match=r"model\.safetensors"):
        assess_study(archive, study, bundle_copy)
    weights.unlink()
    with pytest.raises(ModelMissing, match=r"model\.safetensors"):
        assess_study(archive, study, bundle_copy)
    assert assessments(archive) == []
    assert state(archive, study) == "complete"
    weights.write_bytes(released)
    assess_study(archive, study, bundle_copy)
    assert [row["reason"] for row in assessments(archive)] == ["not_chest"]


def test_the_task_runs_from_the_queue(archive: Archive, real_file: RealFile) -> None:
    studies = []
    for _ in range(3):
        dataset = pydicom.dcmread(real_file("RG1_UNCR.dcm"))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        content = io.BytesIO()
        dataset.save_as(content, enforce_file_format=True)
        studies.append(receive(archive, content.getvalue()))

    async def work() -> None:
        app = jobs.queue_on(archive.database_url)
        register(app, archive)
        async with app.open_async():
            await app.run_worker_async(
                queues=["ai"], wait=False, concurrency=4, install_signal_handlers=False
            )

    asyncio.run(work())
    assert [state(archive, study) for study in studies] == ["triaged"] * 3
    assert len(assessments(archive)) == 3


def test_a_waiting_cause_is_waited_for_other_failures_end() -> None:
    def job(attempts: int) -> Job:
        return Job(
            id=1,
            queue="ai",
            lock=None,
            queueing_lock=None,
            task_name="triage_study",
            attempts=attempts,
        )

    patience = Patience()
    missing = ModelMissing("cxr_triage", "gone")
    decision = patience.get_retry_decision(exception=missing, job=job(1000))
    assert decision is not None
    assert decision.retry_at is not None
    wait = decision.retry_at - procrastinate.utils.utcnow()
    assert 100 < wait.total_seconds() <= 120
    assert patience.get_retry_decision(exception=RuntimeError(), job=job(0)) is not None
    assert patience.get_retry_decision(exception=RuntimeError(), job=job(5)) is None


def test_jobs_at_the_same_time_share_batches(model: Model) -> None:
    sizes: list[int] = []
    predict = model.predict

    class Counting:
        def predict(self, batch: Any) -> Any:
            sizes.append(len(batch))
            return predict(batch)

    batcher = Batcher(Counting())  # type: ignore[arg-type]
    inputs = np.random.default_rng(0).uniform(0, 1, (12, 1, 1, model.size, model.size))
    inputs = inputs.astype(np.float32)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(batcher.predict, inputs))
    batcher.close()
    assert sum(sizes) == 12
    assert len(sizes) < 12
    assert max(sizes) <= LARGEST_BATCH
    for tensor, (prediction, row) in zip(inputs, answers, strict=True):
        alone = predict(tensor).probabilities[0]
        np.testing.assert_allclose(prediction.probabilities[row], alone, atol=1e-5)


def test_a_model_is_loaded_once(archive: Archive) -> None:
    with archive.engine.begin() as connection:
        register_built_in(connection)
        active = in_use(connection).active
    assert active is not None
    assert loaded(archive, active) is loaded(archive, active)
