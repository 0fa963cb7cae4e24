"""The one way out: objects, frames, metadata and renderings of what is stored.

Metadata comes from the index alone; a frame is one ranged read of its object.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from sqlalchemy import Connection, select

from pacs.archive import Archive
from pacs.dicom import codecs, rendering
from pacs.dicom.layout import join_items
from pacs.errors import PacsError
from pacs.index import tables
from pacs.index.query import Scope, scoped
from pacs.metadata import dicom_json

CHUNK_BYTES = 1 << 20


class NotFound(PacsError):
    """Nothing of that UID is here, or not for whoever asks."""

    def __init__(self, uid: str, what: str = "object") -> None:
        super().__init__(f"no {what} {uid} is stored here")
        self.uid = uid


@dataclass(frozen=True)
class StoredInstance:
    """Where an instance is and what is needed to read its frames."""

    id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str
    rows: int | None
    columns: int | None
    number_of_frames: int
    object_key: str
    size: int
    dataset_start: int
    frames: list[int]
    """Offset and length of each frame in turn; empty where frames are no ranges of the object."""


_COLUMNS = select(
    tables.instances.c.id,
    tables.studies.c.study_instance_uid,
    tables.series.c.series_instance_uid,
    tables.instances.c.sop_instance_uid,
    tables.instances.c.sop_class_uid,
    tables.instances.c.transfer_syntax_uid,
    tables.series.c.modality,
    tables.instances.c.rows,
    tables.instances.c.columns,
    tables.instances.c.number_of_frames,
    tables.instances.c.object_key,
    tables.instances.c.size,
    tables.instances.c.dataset_start,
    tables.instances.c.frames,
).select_from(tables.instances.join(tables.series).join(tables.studies))

_ORDER = (
    tables.series.c.series_number.nulls_last(),
    tables.series.c.id,
    tables.instances.c.instance_number.nulls_last(),
    tables.instances.c.id,
)

EVERYTHING = Scope()


def instances(
    connection: Connection,
    *,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    scope: Scope = EVERYTHING,
) -> list[StoredInstance]:
    """The instances of a study, series or the one instance, in order of their numbers.

    Raises NotFound when there are none.
    """
    statement = _COLUMNS.where(*_of(study, series, instance, scope)).order_by(*_ORDER)
    found = [StoredInstance(**row._mapping) for row in connection.execute(statement)]
    if not found:
        raise NotFound(instance or series or study)
    return found


def find_instance(
    connection: Connection, sop_instance_uid: str, scope: Scope = EVERYTHING
) -> StoredInstance:
    """The instance as it stands now; raises NotFound."""
    statement = _COLUMNS.where(
        tables.instances.c.sop_instance_uid == sop_instance_uid,
        tables.instances.c.current,
        scoped(scope),
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(sop_instance_uid, "instance")
    return StoredInstance(**row._mapping)


def versions(connection: Connection, sop_instance_uid: str) -> list[StoredInstance]:
    """Every object that ever came under this UID, the one served now first; raises NotFound."""
    statement = _COLUMNS.where(tables.instances.c.sop_instance_uid == sop_instance_uid)
    rows = connection.execute(statement.order_by(tables.instances.c.version.desc())).all()
    if not rows:
        raise NotFound(sop_instance_uid, "instance")
    return [StoredInstance(**row._mapping) for row in rows]


def metadata(
    archive: Archive,
    *,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    scope: Scope = EVERYTHING,
) -> list[str]:
    """DICOM JSON with bulk data as URIs, one text an instance, in order; raises NotFound."""
    statement = (
        select(
            tables.instance_metadata.c.dicom_json,
            tables.instances.c.object_key,
            tables.instances.c.size,
        )
        .select_from(
            tables.instances.join(tables.series)
            .join(tables.studies)
            .outerjoin(tables.instance_metadata)
        )
        .where(*_of(study, series, instance, scope))
        .order_by(*_ORDER)
    )
    with archive.engine.connect() as connection:
        found = connection.execute(statement).all()
    if not found:
        raise NotFound(instance or series or study)
    return [text or dicom_json(archive, object_key, size) for text, object_key, size in found]


def read_object(archive: Archive, stored: StoredInstance) -> Iterator[bytes]:
    """The whole Part 10 file as it is stored, in pieces."""
    with archive.store.open(stored.object_key) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def frame(archive: Archive, stored: StoredInstance, number: int) -> bytes:
    """The bytes of a frame (numbered from 1) in the object's transfer syntax; raises NotFound.

    Of deflated and bit-packed objects the frame comes as Explicit VR Little Endian has it.
    """
    _check_frame(stored, number)
    if not stored.frames:
        return _frame_of_whole_object(archive, stored, number).tobytes()
    offset, length = stored.frames[2 * number - 2 : 2 * number]
    data = archive.store.read(stored.object_key, offset, length)
    if pydicom.uid.UID(stored.transfer_syntax_uid).is_encapsulated:
        return join_items(data)
    return data


def dataset(archive: Archive, stored: StoredInstance) -> Dataset:
    """All attributes of the instance but pixels and values over 128 KiB."""
    statement = select(tables.instance_metadata.c.dicom_json).where(
        tables.instance_metadata.c.instance_ref == stored.id
    )
    with archive.engine.connect() as connection:
        text = connection.execute(statement).scalar_one_or_none()
    if text is None:
        text = dicom_json(archive, stored.object_key, stored.size)
    held = {tag: of for tag, of in orjson.loads(text).items() if "BulkDataURI" not in of}
    return Dataset.from_json(held, bulk_data_uri_handler=lambda *_: b"")


def pixels(archive: Archive, stored: StoredInstance, number: int = 1) -> NDArray[Any]:
    """A frame's stored values, before any LUT: (rows, columns) or (rows, columns, samples).

    Raises NotFound and codecs.UndecodableFrame.
    """
    return _decoded(archive, stored, number, dataset(archive, stored), raw=True)[0]


def rendered(
    archive: Archive,
    stored: StoredInstance,
    number: int = 1,
    *,
    size: tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    media_type: Literal["image/jpeg", "image/png"] = "image/jpeg",
    quality: int = 90,
) -> bytes:
    """A frame as people look at it, an encoded picture.

    `size`: (width, height) that it fits into, keeping its proportions. `window`: centre and width
    in the units of the modality LUT's output; without it the object's own, or its range.
    Raises NotFound and codecs.UndecodableFrame.
    """
    attributes = dataset(archive, stored)
    array, photometric = _decoded(archive, stored, number, attributes, raw=False)
    picture = rendering.render(array, photometric, attributes, window=window, size=size)
    return rendering.encode(picture, media_type, quality)


def _of(study: str, series: str | None, instance: str | None, scope: Scope) -> list[Any]:
    conditions = [
        tables.studies.c.study_instance_uid == study,
        tables.instances.c.current,
        scoped(scope),
    ]
    if series is not None:
        conditions.append(tables.series.c.series_instance_uid == series)
    if instance is not None:
        conditions.append(tables.instances.c.sop_instance_uid == instance)
    return conditions


def _check_frame(stored: StoredInstance, number: int) -> None:
    if not 1 <= number <= stored.number_of_frames:
        raise NotFound(f"{number} of {stored.sop_instance_uid}", "frame")


def _decoded(
    archive: Archive, stored: StoredInstance, number: int, attributes: Dataset, *, raw: bool
) -> tuple[NDArray[Any], str]:
    _check_frame(stored, number)
    if not stored.frames:
        array = _frame_of_whole_object(archive, stored, number)
        return array, str(attributes.get("PhotometricInterpretation", "MONOCHROME2"))
    data = frame(archive, stored, number)
    return codecs.decode(attributes, data, stored.transfer_syntax_uid, raw=raw)


def _frame_of_whole_object(archive: Archive, stored: StoredInstance, number: int) -> NDArray[Any]:
    with archive.store.open(stored.object_key) as file:
        whole = pydicom.dcmread(io.BytesIO(file.read()))
    array: NDArray[Any] = whole.pixel_array
    return array if stored.number_of_frames == 1 else array[number - 1]
