"""kill -9 of any one process while eight modalities send: the others go on, nothing is lost."""

import random
import time
from collections.abc import Callable

import psutil
import pytest

from tests.plugins.modality import OUT_OF_RESOURCES, SUCCESS, Modality
from tests.plugins.product import Product

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(900),
    # pynetdicom leaves the socket of a connection that was refused to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

KILLS = 50
ASSOCIATIONS = 8
SEED = 20260322
VICTIMS = ("dicom", "dicom", "postgres", "backend", "worker", "api")


def victim(product: Product, chosen: random.Random) -> psutil.Process:
    """A process of the product: a receiver, another part, PostgreSQL's first one or another."""
    kind = chosen.choice(VICTIMS)
    if kind == "dicom":
        return chosen.choice(product.processes_of("dicom"))
    if kind == "backend":
        others = product.process_of("postgres").children()
        return chosen.choice(others) if others else product.process_of("postgres")
    return product.process_of(kind)


def test_any_process_may_be_killed_at_any_time(
    start_product: Callable[..., Product], new_modality: Callable[[int], Modality]
) -> None:
    product = start_product(PACS_AI="false", PACS_DICOM_RECEIVERS="2")
    client = product.client()
    chosen = random.Random(SEED)
    modalities = [new_modality(product.dicom_port) for _ in range(ASSOCIATIONS)]
    for modality in modalities:
        modality.start(pause=0.05)  # what is looked for at the end grows with what was sent
    for _ in range(KILLS):
        time.sleep(chosen.uniform(0.0, 0.6))
        try:
            victim(product, chosen).kill()
        except psutil.NoSuchProcess:
            continue  # it ended with the last victim, and has not been started again yet
        chosen.choice(modalities).wait_for_more(1)
    for modality in modalities:
        modality.wait_for_more(3)
        modality.stop()
        assert set(modality.statuses) <= {SUCCESS, OUT_OF_RESOURCES}
    studies = {str(modality.study_instance_uid) for modality in modalities}
    product.wait_for_studies(client, studies, states=("complete",))
    for modality in modalities:
        modality.finds_everything(client)
    product.pacs("scrub")  # fails where an object is missing or is not what arrived
    product.assert_no_traceback()
