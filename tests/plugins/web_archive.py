"""The product that other people's DICOMweb clients speak to: on its own disk, and on S3."""

import io
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING

import data_store
import httpx2
import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

if TYPE_CHECKING:  # a plugin must not be imported before pytest registers it
    from tests.plugins.product import Product
    from tests.plugins.seaweed import Seaweed

_BIG = Path(data_store.__file__).parent / "data"
_SMALL = Path(pydicom.__file__).parent / "data" / "test_files"


def original(name: str) -> FileDataset:
    """A real file as it is, whole."""
    return pydicom.dcmread(_BIG / name if (_BIG / name).is_file() else _SMALL / name, force=True)


@dataclass(frozen=True)
class WebArchive:
    """The running product; everybody who asks it for a file gets the same one."""

    product: "Product"
    token: str
    """A machine's, that may read and store."""
    held: dict[str, FileDataset] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Above all DICOMweb resources."""
        return f"{self.product.url}/dicomweb"

    @property
    def headers(self) -> dict[str, str]:
        """What lets a machine in."""
        return {"Authorization": f"Bearer {self.token}"}

    def client(self) -> httpx2.Client:
        """A plain HTTP client with these."""
        return httpx2.Client(base_url=self.url, headers=self.headers, timeout=60)

    def frame(self, image: FileDataset, number: int, media_type: str, syntax: str) -> bytes:
        """A frame in that form, read by hand: newer syntaxes are unknown to most clients."""
        path = (
            f"/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"
            f"/instances/{image.SOPInstanceUID}/frames/{number}"
        )
        accept = f'multipart/related; type="{media_type}"; transfer-syntax={syntax}'
        with self.client() as client:
            answer = client.get(path, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
        message = message_from_bytes(head + answer.content, policy=policy.HTTP)
        (part,) = message.iter_parts()
        assert part.get_content_type() == media_type
        assert part["Content-Type"].params["transfer-syntax"] == syntax
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        return data

    def holding(self, name: str) -> FileDataset:
        """Make it hold that file, under UIDs of its own; returns what was stored.

        Several files are forms of one image under one UID, which no archive may hold twice.
        """
        if name not in self.held:
            image = original(name)
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                setattr(image, keyword, generate_uid())
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
            self.store(image)
            self.held[name] = image
        return self.held[name]

    def store(self, image: FileDataset) -> None:
        """By STOW-RS, written by hand."""
        file = io.BytesIO()
        image.save_as(file)
        boundary = secrets.token_hex(8)
        body = (
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            + file.getvalue()
            + f"\r\n--{boundary}--\r\n".encode()
        )
        content = f'multipart/related; type="application/dicom"; boundary={boundary}'
        with self.client() as client:
            answer = client.post("/studies", content=body, headers={"Content-Type": content})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="session", params=["disk", "S3"])
def web_archive(request: pytest.FixtureRequest) -> Iterator[WebArchive]:
    """The product without the AI, on its own disk, or on S3 where an object is safe only there."""
    from tests.plugins.product import Product

    folder = Path(tempfile.mkdtemp(prefix="filmless-dicomweb-"))
    folder.chmod(0o711)  # PostgreSQL's own user has to pass
    environment = {"PACS_AI": "false"}
    if request.param == "S3":
        seaweed: Seaweed = request.getfixturevalue("seaweed")
        bucket = seaweed.bucket(f"dicomweb-{secrets.token_hex(4)}")
        environment |= {
            "PACS_STORE_URL": f"s3://{bucket}?endpoint={seaweed.endpoint}",
            "PACS_ACK": "store",
            "AWS_ACCESS_KEY_ID": seaweed.access_key,
            "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
        }
    product = Product(folder / "product", environment)
    try:
        product.start()
        yield WebArchive(product, product.token("service"))
        product.assert_no_traceback()
        assert product.stop() == 0
    finally:
        product.end()
        shutil.rmtree(folder)
