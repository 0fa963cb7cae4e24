"""Studies as DICOM media: other people's software reads the directory, and the page is harmless."""

import hashlib
import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page

from pacs.archive import Archive
from pacs.index.query import Scope
from pacs.ingest import Source
from pacs.media.file_set import file_set
from pacs.media.package import entries
from pacs.media.writing import Entry, ExportError, write_folder, write_zip, zipped
from pacs.retrieve import NotFound

TEST = Source("import", "test")
AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
BESIDE_PYTHON = Path(sys.executable).parent
SMALL = Path(pydicom.__file__).parent / "data" / "test_files"
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
REAL = (
    "693_UNCR.dcm",
    "693_UNCI.dcm",
    "US1_J2KR.dcm",
    "MR2_UNCR.dcm",
    "RG3_J2KR.dcm",
)
ODD = ("test-SR.dcm", "rtplan.dcm", "rtdose.dcm", "waveform_ecg.dcm", "liver_1frame.dcm")


@pytest.fixture
def studies(archive: Archive, real_file: Callable[[str], Path]) -> list[str]:
    """Real studies of five modalities, a report, a plan, a dose, an ECG and a segmentation."""
    files = [real_file(name) for name in REAL] + [SMALL / name for name in ODD]
    received = [archive.ingest.receive([file.read_bytes()], TEST) for file in files]
    return [one.study_instance_uid for one in received]


def exported(archive: Archive, studies: Sequence[str], folder: Path) -> Path:
    write_folder(entries(archive, file_set(archive, studies), "Bệnh viện tỉnh"), folder)
    return folder


def read_by_pydicom(media: Path) -> list[dict[str, str]]:
    """What pydicom's FileSet finds by following the directory, in a process of its own."""
    program = """
import json, sys
from pydicom import dcmread
from pydicom.fileset import FileSet
found = []
for one in FileSet(sys.argv[1]):
    whole = dcmread(one.path)
    assert whole.SOPInstanceUID == one.ReferencedSOPInstanceUIDInFile
    assert whole.file_meta.TransferSyntaxUID == one.ReferencedTransferSyntaxUIDInFile
    keys = ("PatientID", "PatientName", "StudyDate", "StudyInstanceUID")
    found.append({"path": str(one.path), **{key: str(one[key].value) for key in keys}})
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, media / "DICOMDIR"],
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def said_by(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_others_read_the_directory_and_find_every_object(
    archive: Archive, studies: list[str], tmp_path: Path
) -> None:
    media = exported(archive, studies, tmp_path / "media")
    with archive.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT count(*) FROM instances").scalar_one()
    found = read_by_pydicom(media)
    assert len(found) == stored == len(REAL) + len(ODD)
    assert {one["StudyInstanceUID"] for one in found} == set(studies)
    dumped = said_by("dcmdump", "--print-all", media / "DICOMDIR")
    assert "E:" not in dumped
    assert "W:" not in dumped
    for kind in ("PATIENT", "STUDY", "SERIES", "IMAGE", "SR DOCUMENT", "RT PLAN", "WAVEFORM"):
        assert f'"Directory Record" {kind} ' in dumped
    listed = said_by(BESIDE_PYTHON / "dcdirdmp", media / "DICOMDIR")
    assert listed.count("-> DICOM") == stored


def test_a_directory_of_real_studies_is_without_fault(
    archive: Archive, studies: list[str], tmp_path: Path
) -> None:
    """The odd ones carry UIDs that are none; those of real modalities leave nothing to say."""
    media = exported(archive, studies[: len(REAL)], tmp_path / "media")
    said = said_by(BESIDE_PYTHON / "dciodvfy", media / "DICOMDIR")
    assert "BasicDirectory" in said
    assert [line for line in said.splitlines() if "Error" in line] == []


def test_file_ids_are_those_of_the_standard(
    archive: Archive, studies: list[str], tmp_path: Path
) -> None:
    """PS3.10 8.2 and 8.5: at most eight parts of at most eight of A-Z, 0-9 and _."""
    media = exported(archive, studies, tmp_path / "media")
    for file in file_set(archive, studies):
        assert 1 <= len(file.file_id) <= 8
        for part in file.file_id:
            assert 1 <= len(part) <= 8
            assert set(part) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
        assert (media / file.path).stat().st_size == file.stored.size


def test_every_file_is_as_the_manifest_says(
    archive: Archive, studies: list[str], tmp_path: Path
) -> None:
    media = exported(archive, studies, tmp_path / "media")
    manifest = (media / "MANIFEST.SHA256").read_text().splitlines()
    listed = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in manifest}
    there = {str(file.relative_to(media)) for file in media.rglob("*") if file.is_file()} - {
        "MANIFEST.SHA256"
    }
    assert set(listed) == there
    for path, digest in listed.items():
        assert hashlib.sha256((media / path).read_bytes()).hexdigest() == digest
    readme = (media / "README.TXT").read_bytes().decode("utf-8-sig")
    assert "Bệnh viện tỉnh" in readme
    assert "open index.html" in readme
    assert "CompressedSamples" not in readme


def test_what_an_object_leaves_empty_is_invented_in_the_directory_only(
    archive: Archive, make_file: Callable[..., bytes], tmp_path: Path
) -> None:
    file = make_file(
        PatientID="", PatientName="Đỗ^Thị Hoà", StudyDate="", StudyTime="", InstanceNumber=None
    )
    received = archive.ingest.receive([file], TEST)
    media = exported(archive, [received.study_instance_uid], tmp_path / "media")
    (instance,) = read_by_pydicom(media)
    assert instance["PatientID"] == "UNKNOWN"
    assert instance["PatientName"] == "Đỗ^Thị Hoà"
    assert instance["StudyDate"] == "19000101"
    assert Path(instance["path"]).read_bytes() == file
    page = (media / "index.html").read_text()
    assert "UNKNOWN" not in page
    assert "19000101" not in page


def test_a_zip_is_made_while_it_is_sent(
    archive: Archive, make_file: Callable[..., bytes], tmp_path: Path
) -> None:
    """Other programs open it, and its making holds no object whole."""
    received = archive.ingest.receive([make_file(PatientName="Nguyễn^Văn^Đức")], TEST)
    files = file_set(archive, [received.study_instance_uid])
    large = 300 << 20

    def pieces() -> list[bytes]:
        return [b"\0" * (1 << 20)] * (large >> 20)

    tracemalloc.start()
    sent = 0
    with (tmp_path / "media.zip").open("wb") as out:
        for piece in zipped([*entries(archive, files, ""), Entry("LARGE", pieces(), large)], AT):
            sent = max(sent, len(piece))
            out.write(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent < 4 << 20
    assert peak < 32 << 20
    assert "Done testing" in said_by(sys.executable, "-m", "zipfile", "-t", tmp_path / "media.zip")
    with zipfile.ZipFile(tmp_path / "media.zip") as media:
        assert media.getinfo("DICOM/S0000001/I0000001").compress_type == zipfile.ZIP_STORED
        assert media.getinfo("DICOMDIR").compress_type == zipfile.ZIP_DEFLATED
        assert media.getinfo("LARGE").file_size == large


def test_an_entry_beyond_the_old_limits_of_zip() -> None:
    piece = b"\0" * (64 << 20)
    huge = 65 * [piece]
    size = 0
    tail = b""
    for part in zipped([Entry("HUGE", huge, 65 * len(piece)), Entry("AFTER", [b"x"], 1)], AT):
        size += len(part)
        tail = (tail + part)[-400:]
    assert size > 1 << 32
    assert b"PK\x06\x06" in tail  # the ZIP64 end of the central directory


def test_the_page_shows_hostile_names_as_text_and_asks_nobody(
    archive: Archive,
    make_file: Callable[..., bytes],
    real_file: Callable[[str], Path],
    open_page: Callable[..., Page],
    tmp_path: Path,
) -> None:
    hostile = make_file(PatientName=HOSTILE[:60], SeriesDescription=HOSTILE[:60])
    chest = real_file("RG1_UNCR.dcm").read_bytes()
    studies = [archive.ingest.receive([one], TEST).study_instance_uid for one in (hostile, chest)]
    media = exported(archive, studies, tmp_path / "media")
    assert (media / "index.html").read_text().count("</script>") == 2
    page = open_page()
    asked: list[str] = []
    blocked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: blocked.append(message.text))
    page.goto((media / "index.html").as_uri())
    page.locator("#series button").first.wait_for()
    options = page.locator("#studies option")
    assert options.count() == 2
    for number in range(2):
        page.locator("#studies").select_option(str(number))
        name = page.locator("#name").inner_text()
        assert page.title() == f"{name} · Filmless"
        page.wait_for_function("document.getElementById('picture').naturalWidth > 0")
    assert any(HOSTILE[:20] in text for text in options.all_inner_texts())
    page.locator("#stage").focus()
    page.keyboard.press("i")
    assert "invert(1)" in str(page.locator("#picture").get_attribute("style"))
    assert page.locator("html").get_attribute("lang") == "vi"
    page.keyboard.press("l")
    assert page.locator("html").get_attribute("lang") == "en"
    assert "not for diagnosis" in page.locator("#note").inner_text()
    assert blocked == []
    assert all(url.startswith(media.as_uri()) for url in asked), asked


def test_an_export_that_fails_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    def breaks() -> list[Entry]:
        raise NotFound("1.2.3")

    target = tmp_path / "media.zip"
    with pytest.raises(NotFound):
        write_zip((entry for _ in [0] for entry in breaks()), target, AT)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    with pytest.raises(ExportError, match="not an empty folder"):
        write_folder([], tmp_path / "full")
    with pytest.raises(ExportError, match="cannot write"):
        write_zip([], tmp_path / "nowhere" / "media.zip", AT)


def test_a_study_outside_of_the_scope_is_not_there(archive: Archive, studies: list[str]) -> None:
    assert len(file_set(archive, [studies[0]], Scope(studies[0]))) == 2
    with pytest.raises(NotFound):
        file_set(archive, [studies[2]], Scope(studies[0]))
    with pytest.raises(NotFound):
        file_set(archive, ["1.2.3.4"])


def test_an_empty_zip_is_a_zip() -> None:
    assert zipfile.ZipFile(io.BytesIO(b"".join(zipped([], AT)))).namelist() == []
