"""The object store goes away or is full: receiving goes on where it can, and all comes right."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from storage.store import open_store
from tests.plugins.modality import OUT_OF_RESOURCES, Modality
from tests.plugins.product import Product
from tests.plugins.seaweed import Seaweed

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(240),
    # pynetdicom leaves the socket of a connection that was refused to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

NewModality = Callable[[int], Modality]


def spooled(product: Product) -> list[Path]:
    """The objects that wait in the spool."""
    return list((product.data_dir / "spool").rglob("*.dcm"))


def environment(seaweed: Seaweed, bucket: str) -> dict[str, str]:
    """The settings that name the store."""
    return {
        "PACS_STORE_URL": seaweed.store_url(bucket),
        "AWS_ACCESS_KEY_ID": seaweed.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
    }


def test_s3_away_in_the_middle_and_at_start(
    start_product: Callable[..., Product],
    new_modality: NewModality,
    seaweed: Seaweed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = environment(seaweed, "trouble")
    product = start_product(**settings)
    client = product.client()
    modality = new_modality(product.dicom_port)
    modality.start()
    modality.wait_for_more()
    seaweed.kill()
    try:
        modality.wait_for_more()
        product.wait_for_log("uploads wait safely in the spool and go on by themselves: S3 at")
        assert product.stop() == 0

        # And a hospital that starts its archive while S3 is away can receive.
        product.start()
        modality.wait_for_more()
        modality.stop()
        assert set(modality.statuses) <= {0x0000, OUT_OF_RESOURCES}
        assert f"waits safely in {product.data_dir / 'spool'}" in product.log_text
        assert len(spooled(product)) >= 20
        assert answers_of(client, modality)[-1] == 200
    finally:
        seaweed.start()
    modality.wait(lambda: spooled(product) == [], 90)
    product.wait_for_log("uploads from the spool go on")
    modality.finds_everything(client)
    product.assert_no_traceback()

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    store = open_store(settings["PACS_STORE_URL"], spool=tmp_path / "none", ack="store")
    there = b"".join(store.open(found.key).read() for found in store.list("instances/"))
    store.close()
    assert [uid for uid, pixels in modality.acknowledged.items() if pixels not in there] == []


def answers_of(client: httpx2.Client, modality: Modality) -> list[int]:
    """HTTP statuses for the instances that were acknowledged, in the order of their arrival."""
    study = modality.study_instance_uid
    found = client.get(f"/dicomweb/studies/{study}/instances", params={"limit": 5000}).json()
    (series,) = {item["0020000E"]["Value"][0] for item in found}
    url = f"/dicomweb/studies/{study}/series/{series}/instances"
    kind = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    return [client.get(f"{url}/{uid}", headers=kind).status_code for uid in modality.acknowledged]


def test_s3_that_refuses(
    start_product: Callable[..., Product], new_modality: NewModality, seaweed: Seaweed
) -> None:
    settings = environment(seaweed, "trouble")
    settings["PACS_STORE_URL"] = settings["PACS_STORE_URL"].replace("trouble", "no-such-bucket")
    product = start_product(parts="dicom,api", **settings)
    said = [line for line in product.log_text.splitlines() if line.startswith("pacs: S3 at ")]
    assert len(said) == 1
    assert "there is no such bucket: create it, or correct the store URL" in said[0]
    assert new_modality(product.dicom_port).send(3) == [0, 0, 0]
    assert len(spooled(product)) == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_disk_full(
    start_product: Callable[..., Product], new_modality: NewModality, small_disk: Path
) -> None:
    product = start_product(parts="dicom,api", PACS_STORE_URL=small_disk.as_uri())
    client = product.client()
    modality = new_modality(product.dicom_port)
    assert modality.send(5) == [0] * 5
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while file.write(bytes(4096)):
            pass

    assert modality.send(5) == [OUT_OF_RESOURCES] * 5
    line = product.log_text.splitlines()[-2]
    assert "status 0xA700: no room left in" in line
    assert "free some disk space" in line
    product.assert_no_traceback()
    modality.finds_everything(client)
    assert client.get("/readyz").json()["store"] == "unavailable"
    temporary = [path for path in small_disk.glob(".incoming/*/*") if path.name != "lock"]
    assert temporary == []

    ballast.unlink()
    assert modality.send(5) == [0] * 5
    modality.finds_everything(client)
    assert len(modality.acknowledged) == 10
    assert client.get("/readyz").status_code == 200
    assert len(list(small_disk.rglob("*.dcm"))) == 10
