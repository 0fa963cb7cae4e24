"""The product beside other people's: one that all partners share, and patients with Vietnamese
names."""

import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom.uid import generate_uid
from pynetdicom.dsutils import split_dataset

from dicom_node.send import Peer
from tests.plugins.certificates import Authority
from tests.plugins.ports import free_port

if TYPE_CHECKING:  # a plugin must not be imported before pytest registers it
    from tests.plugins.product import Product

FOUR_WORDS = "Nguyễn^Thị Ánh Tuyết"
OVER_64_BYTES = "Nguyễn^Thị Ánh^Tuyết Phương Thảo Nguyên Hương Trà Đỗ Quyên"
NAMES = (FOUR_WORDS, unicodedata.normalize("NFD", FOUR_WORDS), OVER_64_BYTES)
"""As they are sent."""
FOUND = sorted(unicodedata.normalize("NFC", name) for name in NAMES)
"""As they are answered in UTF-8."""
IN_ASCII = sorted(
    ("Nguyen^Thi Anh Tuyet",) * 2 + ("Nguyen^Thi Anh^Tuyet Phuong Thao Nguyen Huong Tra Do Quyen",)
)
ASKED = "nguyen thi anh*"
"""What finds them all."""


@dataclass(frozen=True)
class Study:
    """A study of one small image, as a partner is to send it."""

    file: Path
    patient_name: str
    study_instance_uid: str
    sop_instance_uid: str

    @property
    def dataset(self) -> bytes:
        """The data set as it is sent."""
        return dataset_of(self.file)


@dataclass(frozen=True)
class Studies:
    """One study for each name, of patients that only this test has."""

    all: tuple[Study, ...]
    patient_ids: str
    """A wildcard for exactly their patient IDs."""
    sop_class_uid: str

    @property
    def files(self) -> list[Path]:
        """The files to send."""
        return [study.file for study in self.all]

    @property
    def uids(self) -> list[str]:
        """Their Study Instance UIDs."""
        return [study.study_instance_uid for study in self.all]

    @property
    def datasets(self) -> list[bytes]:
        """Their data sets, sorted."""
        return sorted(study.dataset for study in self.all)


def dataset_of(file: Path) -> bytes:
    """What follows a file's meta information."""
    return file.read_bytes()[split_dataset(file)[1] :]


@dataclass(frozen=True)
class Ours:
    """The running product, and the certificates of everybody who speaks TLS with it."""

    product: "Product"
    tls_port: int
    authority: Authority
    tls_settings: dict[str, Path]
    """The product's certificate, key and authority, by the names of the settings."""
    certificate: Path
    """Of every partner."""
    key: Path

    def port(self, *, tls: bool) -> int:
        """Where it listens."""
        return self.tls_port if tls else self.product.dicom_port

    def know(self, aet: str, *options: str, port: int | None = None, tls: bool = False) -> None:
        """Make a device known; `port`: it listens there on this machine."""
        where = [] if port is None else ["--host", "127.0.0.1", "--port", str(port)]
        self.product.pacs("devices", "add", aet, *where, *["--tls"][:tls], *options)

    def peer(self, aet: str, port: int, *, tls: bool) -> Peer:
        """A partner as our own programs call it, with the product's certificate."""
        own = self.tls_settings["dicom_tls_certificate"], self.tls_settings["dicom_tls_key"]
        context = self.authority.context(*own, listening=False) if tls else None
        return Peer("127.0.0.1", port, aet, "FILMLESS", context)


@pytest.fixture(scope="session")
def ours() -> Iterator[Ours]:
    """The product with both doors, without the AI; the same for all partners."""
    from tests.plugins.product import Product

    folder = Path(tempfile.mkdtemp(prefix="filmless-interop-"))
    folder.chmod(0o711)  # PostgreSQL's own user has to pass
    authority = Authority(folder / "authority", "Hospital CA")
    certificate, key = authority.issue("filmless")
    tls = {
        "dicom_tls_certificate": certificate,
        "dicom_tls_key": key,
        "dicom_tls_ca": authority.certificate,
    }
    port = free_port()
    environment = {f"PACS_{name.upper()}": str(file) for name, file in tls.items()}
    environment |= {"PACS_DICOM_TLS_PORT": str(port), "PACS_AI": "false"}
    product = Product(folder / "product", environment)
    try:
        product.start()
        yield Ours(product, port, authority, tls, *authority.issue("partner"))
        product.assert_no_traceback()
        assert product.stop() == 0
    finally:
        product.end()
        shutil.rmtree(folder)


@pytest.fixture(scope="session", params=[False, True], ids=["plain", "TLS"])
def tls(request: pytest.FixtureRequest) -> bool:
    """Whether everybody speaks TLS."""
    return bool(request.param)


@pytest.fixture
def studies(make_file: Callable[..., bytes], tmp_path: Path) -> Studies:
    """Files that nobody has been sent yet."""
    folder = tmp_path / "studies"
    folder.mkdir()
    number = generate_uid().rpartition(".")[2][-8:]
    made = []
    for index, name in enumerate(NAMES):
        study, instance = generate_uid(), generate_uid()
        file = folder / f"{index}.dcm"
        file.write_bytes(
            make_file(
                PatientName=name,
                PatientID=f"{number}-{index}",
                AccessionNumber=f"{number}{index}",
                StudyInstanceUID=study,
                SOPInstanceUID=instance,
            )
        )
        made.append(Study(file, name, study, instance))
    return Studies(tuple(made), f"{number}-*", "1.2.840.10008.5.1.4.1.1.1")
