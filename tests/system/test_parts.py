"""One part of the running product dies, or all of it is told to stop, in the middle of a send."""

import time
from collections.abc import Callable

import httpx2
import pytest

from tests.plugins.modality import OUT_OF_RESOURCES, Modality
from tests.plugins.product import Product

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(180),
    # pynetdicom leaves the socket of a connection that was refused to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

NewModality = Callable[[int], Modality]
SETTLED = ("complete", "triaged")  # the worker has seen to it, be there a model or not


def answers(client: httpx2.Client) -> bool:
    """Whether the web's door answers."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def test_parts_are_killed_and_all_is_stopped(
    start_product: Callable[..., Product], new_modality: NewModality
) -> None:
    product = start_product()
    client = product.client()
    modality = new_modality(product.dicom_port)
    modality.start()
    modality.wait_for_more()

    product.kill_part("api")
    modality.wait_for_more()  # the others have not noticed
    product.wait_for_log("api ended by signal 9; starting it again")
    product.kill_part("worker")
    product.wait_for_log("worker ended by signal 9; starting it again")
    modality.wait_for_more()
    assert set(modality.statuses) == {0x0000}

    product.kill_part("dicom")
    product.wait_for_log("dicom ended by signal 9; starting it again")
    modality.wait_for_more()
    for times in (1, 2):
        product.kill_part("postgres")
        product.wait_for_log("PostgreSQL has ended; starting it again", times=times)
        modality.wait_for_more()
    assert set(modality.statuses) <= {0x0000, OUT_OF_RESOURCES}
    modality.wait(lambda: answers(client))

    began = time.monotonic()
    assert product.stop() == 0  # while the modality sends
    assert time.monotonic() - began < 30
    assert "was killed" not in product.log_text
    assert list((product.data_dir / "objects").glob(".incoming/*/*")) == []
    product.start()
    modality.wait_for_more()
    modality.stop()
    assert set(modality.statuses) <= {0x0000, OUT_OF_RESOURCES}
    modality.finds_everything(client)
    product.wait_for_studies(client, {modality.study_instance_uid}, 60, SETTLED)
    product.assert_no_traceback()
