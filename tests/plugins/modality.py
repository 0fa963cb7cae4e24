"""A modality that goes on sending, whatever happens to the archive."""

import copy
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
_ANSWER_SECONDS = 30.0
_RETRY_SECONDS = 0.1
_SIDE = 64  # rows and columns of a slice
_PIXEL_BYTES = 2 * _SIDE * _SIDE


class Modality:
    """Sends slices of one CT study, one after another, each until it is acknowledged."""

    def __init__(self, port: int, template: Dataset) -> None:
        self.study_instance_uid = generate_uid()
        self.acknowledged: dict[str, bytes] = {}
        """Pixel data by SOP Instance UID."""
        self.statuses: list[int] = []
        """Every answer, in order."""
        self.refused_associations = 0
        self._series_instance_uid = generate_uid()
        self._port = port
        self._template = template
        self._random = random.Random(port)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, pause: float = 0.02) -> None:
        """Begin to send in the background, with a pause after each answer."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._send_on, args=(pause,), name="modality")
        self._thread.start()

    def stop(self) -> None:
        """Stop after the answer to what is being sent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * _ANSWER_SECONDS)
            assert not self._thread.is_alive()
            self._thread = None

    def send(self, count: int) -> list[int]:
        """Send so many new slices once on one association; returns the statuses."""
        association = self._associate()
        assert association.is_established
        try:
            return [self._store(association, self._slice()) for _ in range(count)]
        finally:
            association.release()

    def wait_for_more(self, count: int = 10, seconds: float = 60) -> None:
        """Wait until so many more have been acknowledged than are now."""
        wanted = len(self.acknowledged) + count
        self.wait(lambda: len(self.acknowledged) >= wanted, seconds)

    def wait_for_status(self, status: int, seconds: float = 60) -> None:
        """Wait until that is answered from now on."""
        known = len(self.statuses)
        self.wait(lambda: status in self.statuses[known:], seconds)

    def wait(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for what comes about by itself."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not come about: {self.statuses[-20:]}"
            time.sleep(0.02)

    def finds_everything(self, client: httpx2.Client) -> None:
        """Assert that all that was acknowledged is served by the archive, bit for bit."""
        got = client.get(
            f"/dicomweb/studies/{self.study_instance_uid}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
        )
        got.raise_for_status()
        # Pixels end an object, and each part but its boundary; looked up, as there are thousands.
        parts = got.content.split(b"DICM")[1:]
        held = {part[: part.rfind(b"\r\n--")][-_PIXEL_BYTES:] for part in parts}
        missing = [uid for uid, pixels in self.acknowledged.items() if pixels not in held]
        assert missing == []
        found = client.get(
            f"/dicomweb/studies/{self.study_instance_uid}/instances", params={"limit": 5000}
        )
        indexed = {item["00080018"]["Value"][0] for item in found.json()}
        assert self.acknowledged.keys() <= indexed
        # At most the one whose answer was lost is there besides.
        assert len(indexed) == got.content.count(b"DICM")

    def _send_on(self, pause: float) -> None:
        instance = self._slice()
        association = None
        while not self._stop.is_set():
            if association is None or not association.is_established:
                association = self._associate()
                if not association.is_established:
                    self.refused_associations += 1
                    self._stop.wait(_RETRY_SECONDS)
                    continue
            status = self._store(association, instance)
            if status == SUCCESS:
                instance = self._slice()
            self._stop.wait(pause if status == SUCCESS else _RETRY_SECONDS)
        if association is not None and association.is_established:
            association.release()

    def _associate(self) -> Any:
        ae = AE("CT1")
        ae.acse_timeout = ae.connection_timeout = 10
        ae.dimse_timeout = ae.network_timeout = _ANSWER_SECONDS
        ae.add_requested_context(self._template.SOPClassUID, ExplicitVRLittleEndian)
        return ae.associate("127.0.0.1", self._port, ae_title="FILMLESS")

    def _store(self, association: Any, instance: Dataset) -> int:
        """The status of the answer, -1 when there was none."""
        try:
            answer = association.send_c_store(instance)
        except RuntimeError:  # the association ended while we were sending
            return -1
        if "Status" not in answer:
            return -1
        status = int(answer.Status)
        if status == SUCCESS:
            self.acknowledged[str(instance.SOPInstanceUID)] = bytes(instance.PixelData)
        self.statuses.append(status)
        return status

    def _slice(self) -> Dataset:
        instance = copy.deepcopy(self._template)
        instance.StudyInstanceUID = self.study_instance_uid
        instance.SeriesInstanceUID = self._series_instance_uid
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        instance.Rows = instance.Columns = _SIDE
        instance.add_new("PixelData", "OW", self._random.randbytes(_PIXEL_BYTES))
        return instance


@pytest.fixture
def new_modality(real_file: Callable[[str], Path]) -> Iterator[Callable[[int], Modality]]:
    """Makes modalities that send to a DICOM port of this machine; stopped with the test."""
    template = pydicom.dcmread(real_file("693_UNCR.dcm"), stop_before_pixels=True)
    made: list[Modality] = []

    def make(port: int) -> Modality:
        made.append(Modality(port, template))
        return made[-1]

    yield make
    for modality in made:
        modality.stop()
