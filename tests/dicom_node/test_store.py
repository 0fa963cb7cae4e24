"""C-STORE: what is sent is stored, byte for byte; what is refused disturbs nobody."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID, HTJ2KLossless, generate_uid
from pynetdicom.dsutils import split_dataset

from dicom_node.errors import ObjectRefused
from dicom_node.send import Peer
from dicom_node.server import Node

RG1 = {"RG1_UNCR.dcm": "-xe", "RG1_UNCI.dcm": "-xe", "RG1_J2KR.dcm": "-xv", "RG1_J2KI.dcm": "-xw"}
ROUTINE = ["693_UNCR.dcm", "MR2_UNCR.dcm", "gdcm-US-ALOKA-16.dcm"]


RealFile = Callable[[str], Path]
Altered = Callable[..., Path]
Statuses = Callable[[Sequence[Path]], list[int]]


def dataset_of(file: Path) -> bytes:
    """The bytes after the file meta information."""
    return file.read_bytes()[split_dataset(file)[1] :]


def test_echo(echoscu: Any) -> None:
    assert echoscu().returncode == 0


def test_radiograph_in_its_four_forms(
    storescu: Any, storescp: Any, shelf: Any, real_file: RealFile
) -> None:
    """DCMTK leaves out trailing padding, so its own bit-preserving receiver says what was sent."""
    for file, option in ((real_file(name), option) for name, option in RG1.items()):
        for port in (None, storescp.port):
            done = storescu([file], "-R", option, port=port)
            assert done.returncode == 0, done.stderr
        stored = shelf.files(str(dcmread(file).SOPInstanceUID))[-1]
        (sent,) = storescp.take()
        assert stored.endswith(sent) and len(sent) > 600_000, file
    assert len(shelf.objects()) == len(RG1)


def test_routine_studies(storescu: Any, shelf: Any, real_file: RealFile) -> None:
    files = [real_file(name) for name in ROUTINE]
    done = storescu(files)
    assert done.returncode == 0, done.stderr
    for uid, file in zip(shelf.instances(), files, strict=True):
        assert dcmread(file).SOPInstanceUID == uid


@pytest.mark.parametrize(
    "name",
    [
        "liver_expb.dcm",  # big endian
        "JPEG-LL.dcm",
        "color3d_jpeg_baseline.dcm",
        "emri_small_jpeg_ls_lossless.dcm",
        "emri_small_RLE.dcm",
        "gdcm-US-ALOKA-16.dcm",  # implicit VR
        "RG3_J2KI.dcm",
    ],
)
def test_bytes_of_every_encoding(
    name: str, statuses: Statuses, shelf: Any, real_file: RealFile
) -> None:
    file = real_file(name)
    assert statuses([file]) == [0x0000]
    (uid,) = shelf.instances()
    (stored,) = shelf.files(uid)
    assert stored.endswith(dataset_of(file))


def test_deflated(statuses: Statuses, shelf: Any, tmp_path: Path, altered: Altered) -> None:
    deflated = get_testdata_file("image_dfl.dcm", download=False)
    assert isinstance(deflated, str)
    file = altered(Path(deflated), SOPInstanceUID="1.2.3.4", meta=True)
    assert statuses([file]) == [0x0000]
    assert shelf.files("1.2.3.4")[0].endswith(dataset_of(file))


def test_htj2k_and_private_sop_class(
    statuses: Statuses, shelf: Any, tmp_path: Path, real_file: RealFile
) -> None:
    dataset = dcmread(real_file("RG3_J2KR.dcm"))
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.SOPClassUID = UID("1.2.826.0.1.3680043.99.1")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    file = tmp_path / "private.dcm"
    dataset.save_as(file)
    assert statuses([file]) == [0x0000]
    assert shelf.files(dataset.SOPInstanceUID)[0].endswith(dataset_of(file))


def test_again_is_success_and_changes_nothing(
    storescu: Any, shelf: Any, real_file: RealFile
) -> None:
    for _ in range(3):
        done = storescu([real_file("693_UNCR.dcm")], "-R")
        assert done.returncode == 0, done.stderr
    (uid,) = shelf.instances()
    assert len(shelf.files(uid)) == len(shelf.objects()) == 1


def test_file_meta_names_what_follows(
    storescu: Any, shelf: Any, real_file: RealFile, tmp_path: Path
) -> None:
    assert storescu([real_file("693_J2KR.dcm")], "-R", "-xv").returncode == 0
    (uid,) = shelf.instances()
    stored = tmp_path / "stored.dcm"
    stored.write_bytes(shelf.files(uid)[0])
    ours, theirs = dcmread(stored).file_meta, dcmread(real_file("693_J2KR.dcm")).file_meta
    for keyword in ("TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"):
        assert ours[keyword] == theirs[keyword]


def test_refused_object_disturbs_no_neighbour(
    statuses: Statuses, shelf: Any, real_file: RealFile, altered: Altered, tmp_path: Path
) -> None:
    ct = real_file("693_UNCR.dcm")
    truncated = tmp_path / "truncated.dcm"
    truncated.write_bytes(ct.read_bytes()[:300_000])
    rubbish = tmp_path / "rubbish.dcm"
    rubbish.write_bytes(ct.read_bytes()[: split_dataset(ct)[1]] + bytes(range(1, 250)) * 50)
    sent = [
        altered(ct, SOPInstanceUID="1.2.1", meta=True),
        altered(ct, SOPInstanceUID=None),
        altered(ct, SOPInstanceUID="1.2.2", meta=True),
        truncated,
        altered(ct, SOPInstanceUID="1.2.3", meta=True),
        altered(ct, SOPInstanceUID="1.2.99"),  # the command says otherwise
        altered(ct, SOPClassUID="1.2.840.10008.5.1.4.1.1.4"),
        altered(ct, StudyInstanceUID=None),
        rubbish,
        altered(ct, SOPInstanceUID="1.2.4", meta=True),
    ]
    assert statuses(sent) == [
        *(0x0000, 0xC000, 0x0000, 0xC000, 0x0000),
        *(0xA900, 0xA900, 0xC000, 0xC000, 0x0000),
    ]
    assert shelf.instances() == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]
    assert len(shelf.objects()) == 4


def test_too_large(statuses: Statuses, shelf: Any, real_file: RealFile, altered: Altered) -> None:
    ct = real_file("693_UNCR.dcm")
    large = altered(
        ct, SOPInstanceUID=generate_uid(), meta=True, EncapsulatedDocument=b"0" * (9 << 20)
    )
    small = altered(ct, SOPInstanceUID="1.2.1", meta=True)
    assert statuses([large, small]) == [0xA700, 0x0000]
    assert shelf.instances() == ["1.2.1"]
    assert len(shelf.objects()) == 1


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    size=st.integers(500, 70_000),
    command_size=st.integers(1, 300),
    a_pdu=st.integers(1, 7),
)
def test_any_fragmentation_is_the_same_object(
    size: int,
    command_size: int,
    a_pdu: int,
    node: Node,
    sending: Any,
    shelf: Any,
    real_file: RealFile,
) -> None:
    file = real_file("emri_small.dcm")
    whole = sending(node, file, size=size, command_size=command_size)
    assert whole.finish(a_pdu) == 0x0000
    whole.association.release()
    (uid,) = shelf.instances()
    (stored,) = shelf.files(uid)
    assert stored.endswith(dataset_of(file))


def test_response_says_why(node: Node, real_file: RealFile, altered: Altered) -> None:
    with pytest.raises(ObjectRefused, match=r"0xC000 .*SOPInstanceUID is missing"):
        list(
            Peer(*node.address, "FILMLESS").send(
                [altered(real_file("693_UNCR.dcm"), SOPInstanceUID=None)]
            )
        )
