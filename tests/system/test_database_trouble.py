"""The database goes away and comes back: nothing acknowledged is lost, work resumes by itself."""

import time
from collections.abc import Callable

import pytest

from tests.plugins.debian_postgres import DebianPostgres
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


def test_unreachable_at_start(
    new_product: Callable[..., Product],
    new_modality: NewModality,
    debian_postgres: DebianPostgres,
    hospital_database_url: str,
) -> None:
    product = new_product(parts="dicom,api", PACS_DATABASE_URL=hospital_database_url)
    debian_postgres.stop()
    try:
        product.launch()
        product.wait_for_log("the database cannot be reached", times=2)
    finally:
        debian_postgres.start()
    product.wait_until_ready()
    assert "trying again every 3 s" in product.log_text
    product.assert_no_traceback()
    assert hospital_database_url not in product.log_text
    assert new_modality(product.dicom_port).send(1) == [0]


@pytest.mark.parametrize("wrong", ["password", "database"])
def test_not_let_in(
    wrong: str, new_product: Callable[..., Product], hospital_database_url: str
) -> None:
    before, at, after = hospital_database_url.partition("@")
    url = f"{before}x{at}{after}" if wrong == "password" else f"{hospital_database_url}x"
    product = new_product(parts="dicom,api", PACS_DATABASE_URL=url)
    refusal = product.refusal("--http-port", "0", "--dicom-port", "0")
    assert refusal.status == 1
    (line,) = refusal.lines
    assert line.startswith("pacs: the database does not let us in: ")
    assert wrong in line
    assert url.split(":")[2].split("@", maxsplit=1)[0] not in line


def test_unreachable_in_the_middle_of_a_send(
    start_product: Callable[..., Product],
    new_modality: NewModality,
    debian_postgres: DebianPostgres,
    hospital_database_url: str,
) -> None:
    product = start_product(PACS_DATABASE_URL=hospital_database_url)
    parts = {name: product.process_of(name).pid for name in ("dicom", "api", "worker")}
    client = product.client()
    modality = new_modality(product.dicom_port)
    modality.start()
    modality.wait_for_more()
    debian_postgres.stop()
    try:
        modality.wait_for_status(OUT_OF_RESOURCES)
        assert client.get("/api/v1/worklist").status_code == 503
        assert client.get("/dicomweb/studies").headers["Retry-After"] == "5"
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["database"] == "unavailable"
        product.wait_for_log("no jobs are done until the database answers")
        acknowledged = len(modality.acknowledged)
        time.sleep(5)
        assert len(modality.acknowledged) == acknowledged
    finally:
        debian_postgres.start()
    modality.wait_for_more()
    modality.stop()
    assert set(modality.statuses) == {0x0000, OUT_OF_RESOURCES}
    modality.finds_everything(client)
    product.wait_for_studies(client, {modality.study_instance_uid}, 60, SETTLED)
    assert client.get("/readyz").status_code == 200
    assert {name: product.process_of(name).pid for name in parts} == parts
    product.assert_no_traceback()
