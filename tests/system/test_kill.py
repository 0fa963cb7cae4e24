"""kill -9 of every process, PostgreSQL too, in the middle of a send loses nothing acknowledged."""

import io
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

KILLS = 20
INSTANCES = 400
STUDIES = 20
SEED = 20260105


def instances(real_file: Callable[[str], Path]) -> list[Dataset]:
    """400 instances of 20 studies: CT slices, and in every fourth study a chest radiograph."""
    ct = pydicom.dcmread(real_file("693_UNCR.dcm"))
    chest = smaller(pydicom.dcmread(real_file("RG1_UNCR.dcm")))
    made: list[Dataset] = []
    for study in range(STUDIES):
        study_uid = generate_uid()
        series_uids = {"CT": generate_uid(), "CR": generate_uid()}
        for number in range(INSTANCES // STUDIES):
            template = chest if study % 4 == 0 and number == 0 else ct
            instance = pydicom.dcmread(io.BytesIO(_bytes(template)))
            instance.StudyInstanceUID = study_uid
            instance.SeriesInstanceUID = series_uids[instance.Modality]
            instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            instance.PatientID = f"KILL{study}"
            instance.InstanceNumber = number + 1
            made.append(instance)
    return made


def smaller(radiograph: Dataset) -> Dataset:
    """The radiograph with every fourth row and column of it."""
    pixels = radiograph.pixel_array[::4, ::4]
    radiograph.Rows, radiograph.Columns = pixels.shape
    radiograph.PixelData = pixels.tobytes()
    return radiograph


def _bytes(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


class PersistentModality(threading.Thread):
    """Sends everything over and over until all of it has been acknowledged, as a modality does."""

    def __init__(self, port: int, to_send: list[Dataset]) -> None:
        super().__init__(daemon=True)
        self.acknowledged: set[str] = set()
        self.statuses: set[int] = set()
        self._port = port
        self._to_send = to_send

    def run(self) -> None:
        while len(self.acknowledged) < len(self._to_send):
            self._send_what_is_left()

    def _send_what_is_left(self) -> None:
        ae = AE("CT1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 10
        for sop_class in {instance.SOPClassUID for instance in self._to_send}:
            ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", self._port, ae_title="FILMLESS")
        if not association.is_established:
            time.sleep(0.1)
            return
        for instance in self._to_send:
            if instance.SOPInstanceUID in self.acknowledged:
                continue
            if not association.is_established:
                return
            try:
                status = association.send_c_store(instance)
            except RuntimeError:  # the association ended while we were sending
                return
            if "Status" not in status:
                return
            self.statuses.add(status.Status)
            if status.Status == 0x0000:
                self.acknowledged.add(instance.SOPInstanceUID)
            time.sleep(0.01)  # so that the send lasts through all the kills
        association.release()


def test_nothing_acknowledged_is_lost(
    product_on_either: Product, real_file: Callable[[str], Path]
) -> None:
    random_moments = random.Random(SEED)
    product = product_on_either
    token = product.token("radiologist")
    sent = instances(real_file)
    modality = PersistentModality(product.dicom_port, sent)
    modality.start()
    kills, at_kill = 0, []
    while kills < KILLS:
        time.sleep(random_moments.uniform(0.05, 0.8))
        at_kill.append(len(modality.acknowledged))
        product.kill()
        kills += 1
        product.start()
    modality.join(300)
    assert not modality.is_alive()
    assert len(set(at_kill)) > KILLS // 3, f"the kills did not fall into the send: {at_kill}"
    assert modality.statuses <= {0x0000, 0xA700}

    client = httpx2.Client(
        base_url=product.url, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    studies = {str(instance.StudyInstanceUID) for instance in sent}
    items = product.wait_for_studies(client, studies, seconds=300)
    with_chest = {str(instance.StudyInstanceUID) for instance in sent if instance.Modality == "CR"}
    for uid, item in items.items():
        assert item["triage"]["status"] == ("assessed" if uid in with_chest else "not_assessed")
    for instance in sent:
        got = client.get(
            f"/dicomweb/studies/{instance.StudyInstanceUID}/series/{instance.SeriesInstanceUID}"
            f"/instances/{instance.SOPInstanceUID}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
        )
        assert got.status_code == 200
        assert instance.PixelData in got.content
    indexed = client.get("/dicomweb/instances", params={"limit": 4000}).json()
    by_uid = {item["00080018"]["Value"][0]: item for item in indexed}
    results = [uid for uid in by_uid if uid not in modality.acknowledged]
    assert modality.acknowledged <= by_uid.keys()
    assert len(results) == 2 * len(with_chest)  # a report and a heat map of each, once
    product.pacs("scrub")  # fails where an object is missing or is not what arrived
