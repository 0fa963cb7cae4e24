"""What people read on the media: a page that shows the pictures without a server, and a README."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import orjson
from pydicom import Dataset

from pacs.media.file_set import MediaFile

_README = """\
{institution}

VI
Ảnh chụp y khoa theo chuẩn DICOM.
- Xem nhanh: mở tệp index.html bằng trình duyệt (không cần mạng, không cần cài đặt).
- Xem đầy đủ, đo, chẩn đoán: mở tệp DICOMDIR bằng phần mềm xem DICOM.
- Kiểm tra tệp còn nguyên vẹn: sha256sum -c MANIFEST.SHA256
Đây là dữ liệu sức khoẻ của người bệnh: chỉ giao cho người được phép.
Số ca chụp: {studies}. Số tệp DICOM: {files}.

EN
Medical images in DICOM.
- Quick look: open index.html in a browser (no network, nothing to install).
- Everything, measuring, diagnosis: open DICOMDIR with DICOM software.
- To check that the files are whole: sha256sum -c MANIFEST.SHA256
These are a patient's health data: hand them only to who may have them.
Studies: {studies}. DICOM files: {files}.
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A file, and the pictures that were made of its frames."""

    file: MediaFile
    pictures: tuple[str, ...]


def readme(files: Sequence[MediaFile], institution: str) -> bytes:
    """A README in both languages; it names nobody."""
    studies = len({file.stored.study_instance_uid for file in files})
    text = _README.format(institution=institution, studies=studies, files=len(files)).lstrip()
    # With a byte order mark and CR LF, old Windows shows it as it is.
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


def page(shown: Sequence[Shown], institution: str, language: str = "vi") -> bytes:
    """index.html: works from file://, asks nobody for anything, runs no script but its own."""
    studies = [
        _study([*group], institution)
        for _, group in groupby(shown, key=lambda one: one.file.stored.study_instance_uid)
    ]
    data = orjson.dumps({"studies": studies, "language": language}).decode()
    # Inside of a script element only "<" could end it; the others are for old parsers.
    for mark in "<>&\u2028\u2029":
        data = data.replace(mark, f"\\u{ord(mark):04x}")
    return _template().replace("@data@", data).encode()


def _study(shown: Sequence[Shown], institution: str) -> dict[str, object]:
    header = shown[0].file.header
    series = [
        _series([*group])
        for _, group in groupby(shown, key=lambda one: one.file.stored.series_instance_uid)
    ]
    return {
        "name": _person(header),
        "id": _text(header, "PatientID"),
        "birthDate": _text(header, "PatientBirthDate"),
        "sex": _text(header, "PatientSex"),
        "accession": _text(header, "AccessionNumber"),
        "date": _text(header, "StudyDate"),
        "description": _text(header, "StudyDescription"),
        "institution": _text(header, "InstitutionName") or institution,
        "modalities": " ".join(dict.fromkeys(str(one["modality"]) for one in series)),
        "series": series,
    }


def _series(shown: Sequence[Shown]) -> dict[str, object]:
    header = shown[0].file.header
    return {
        "modality": _text(header, "Modality"),
        "number": _text(header, "SeriesNumber"),
        "description": _text(header, "SeriesDescription"),
        "count": sum(max(1, one.file.stored.number_of_frames) for one in shown),
        "pictures": [picture for one in shown for picture in one.pictures],
    }


def _person(header: Dataset) -> str:
    """Components in DICOM's order, family name first, as Vietnamese names are written."""
    alphabetic = _text(header, "PatientName").split("=")[0]
    return " ".join(part for part in alphabetic.split("^")[:3] if part)


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value)


@cache
def _template() -> str:
    text = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    script = _hash(text, r"<script>(.*?)</script>")
    style = _hash(text, r"<style>(.*?)</style>")
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )
    return text.replace("@policy@", policy)


def _hash(text: str, element: str) -> str:
    found = re.search(element, text, re.DOTALL)
    content = found[1] if found else ""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
