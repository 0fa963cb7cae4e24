"""Mixed load for a while: what the parts hold of memory, descriptors and threads does not grow.

`--soak-seconds 600` is what a release is tried with.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx2
import psutil
import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from tests.plugins.modality import SUCCESS, Modality
from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]

MODALITIES = 4
PARTS = ("dicom", "api", "worker")
# Python's allocator and caches go up and down by so much without meaning anything.
BREATH_BYTES = 12 << 20
SAMPLE_SECONDS = 0.5


@dataclass
class Usage:
    """What one process held, sample by sample."""

    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def sample(self, process: psutil.Process) -> None:
        """Look once."""
        self.memory.append(process.memory_info().rss)
        self.descriptors.append(process.num_fds())
        self.threads.append(process.num_threads())


def grown(samples: list[int]) -> float:
    """By how much the last third's median lies above that of the third before it."""
    third = len(samples) // 3
    return statistics.median(samples[-third:]) - statistics.median(samples[-2 * third : -third])


def ask(port: int, stop: threading.Event, answered: list[int]) -> None:
    """C-FIND of all studies over and over, each on an association of its own."""
    ae = AE("VIEWER")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    question = Dataset()
    question.QueryRetrieveLevel = "STUDY"
    question.PatientName = "*"
    question.StudyInstanceUID = ""
    while not stop.wait(0.05):
        association = ae.associate("127.0.0.1", port, ae_title="FILMLESS")
        assert association.is_established
        model = StudyRootQueryRetrieveInformationModelFind
        answered.extend(status.Status for status, _ in association.send_c_find(question, model))
        association.release()


def look(client: httpx2.Client, uids: Iterator[str], stop: threading.Event) -> None:
    """The list, and what a study holds, over and over."""
    while not stop.wait(0.05):
        client.get("/api/v1/worklist").raise_for_status()
        held = client.get(f"/dicomweb/studies/{next(uids)}/instances", params={"limit": 20})
        held.raise_for_status()


def in_turn(modalities: list[Modality]) -> Iterator[str]:
    """The studies that are being sent, round and round."""
    while True:
        for modality in modalities:
            yield modality.study_instance_uid


def test_nothing_grows(
    request: pytest.FixtureRequest,
    start_product: Callable[..., Product],
    new_modality: Callable[[int], Modality],
) -> None:
    seconds = float(request.config.getoption("--soak-seconds"))
    product = start_product(PACS_AI="false")
    client = product.client()
    modalities = [new_modality(product.dicom_port) for _ in range(MODALITIES)]
    stop, answered = threading.Event(), list[int]()
    others = [
        threading.Thread(target=ask, args=(product.dicom_port, stop, answered)),
        threading.Thread(target=look, args=(client, in_turn(modalities), stop)),
    ]
    usage = {name: Usage() for name in PARTS}
    processes = {name: product.process_of(name) for name in PARTS}
    for modality in modalities:
        modality.start(pause=0.05)
    for other in others:
        other.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, process in processes.items():
            usage[name].sample(process)
        time.sleep(SAMPLE_SECONDS)
    stop.set()
    for other in others:
        other.join(60)
    for modality in modalities:
        modality.stop()
        assert set(modality.statuses) == {SUCCESS}
    assert set(answered) == {0x0000, 0xFF00}
    for name, held in usage.items():
        assert grown(held.descriptors) <= 2, (name, held.descriptors)
        assert grown(held.threads) <= 2, (name, held.threads)
        assert grown(held.memory) <= BREATH_BYTES, (name, held.memory)
    product.assert_no_traceback()
