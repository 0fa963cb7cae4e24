"""Which files a set of studies becomes, under which names (PS3.10 8.2), and their headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import orjson
from pydicom import Dataset

from pacs.archive import Archive
from pacs.dicom.header import is_video
from pacs.index.query import Scope
from pacs.retrieve import EVERYTHING, StoredInstance, instances, metadata

_BULK = re.compile(r"O[BDFLVW]|UN")
_UNNEEDED = frozenset({"52009229", "52009230", "30060039"})
"""Per-frame groups and contours: long, and nothing of them is said in a directory."""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One instance on the media: its file ID below DICOM, and its header without bulk data."""

    stored: StoredInstance
    header: Dataset
    file_id: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its path on the media."""
        return "/".join(self.file_id)

    @property
    def pictures(self) -> int:
        """How many of its frames can be made into pictures."""
        return 0 if is_video(self.stored.transfer_syntax_uid) else self.stored.number_of_frames


def file_set(
    archive: Archive, studies: Sequence[str], scope: Scope = EVERYTHING
) -> list[MediaFile]:
    """The files of studies: by patient, study, series and instance. Raises NotFound."""
    found = []
    for study in dict.fromkeys(studies):
        with archive.engine.connect() as connection:
            stored = {
                one.sop_instance_uid: one for one in instances(connection, study=study, scope=scope)
            }
        headers = [_header(text) for text in metadata(archive, study=study, scope=scope)]
        # What arrives between the two questions is left for the next export.
        found += [
            (stored[header.SOPInstanceUID], header)
            for header in headers
            if header.get("SOPInstanceUID") in stored
        ]
    found.sort(key=lambda pair: str(pair[1].get("PatientID") or ""))
    files = []
    series = groupby(found, key=lambda pair: pair[0].series_instance_uid)
    for folder, (_, members) in enumerate(series, start=1):
        for number, (one, header) in enumerate(members, start=1):
            file_id = ("DICOM", f"S{folder:07}", f"I{number:07}")
            files.append(MediaFile(one, header, file_id))
    return files


def _header(text: str) -> Dataset:
    said = {
        tag: of
        for tag, of in orjson.loads(text).items()
        if tag not in _UNNEEDED and "BulkDataURI" not in of and not _BULK.match(of.get("vr", ""))
    }
    return Dataset.from_json(said, bulk_data_uri_handler=lambda *_: b"")
