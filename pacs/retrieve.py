"""The one way out: objects, frames and metadata of what is stored.

Metadata comes from the index alone; a frame is one ranged read of its object.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import psycopg
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from sqlalchemy import Connection, func, select

from pacs.archive import Archive
from pacs.database.engine import cursor_of, meaning_of
from pacs.dicom import codecs
from pacs.dicom.codecs import Buffer
from pacs.dicom.header import VIDEO_PREFIX, is_video
from pacs.dicom.presentation import Presentation, is_wanted, presentation
from pacs.errors import PacsError
from pacs.frame_ranges import read_frames
from pacs.index import tables
from pacs.index.query import Scope, scoped
from pacs.metadata import dicom_json, header_of
from pacs.recent import Recent

CHUNK_BYTES = 1 << 20
_presentations = Recent[Presentation](256)


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


_JOINED = tables.instances.join(tables.series).join(tables.studies)
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
).select_from(_JOINED)

_ONE = """
SELECT instances.id, studies.study_instance_uid, series.series_instance_uid,
  instances.sop_instance_uid, instances.sop_class_uid, instances.transfer_syntax_uid,
  series.modality, instances.rows, instances.columns, instances.number_of_frames,
  instances.object_key, instances.size, instances.dataset_start, instances.frames
FROM instances
JOIN series ON series.id = instances.series_ref
JOIN studies ON studies.id = series.study_ref
WHERE instances.sop_instance_uid = %(instance)s AND instances.current
  AND series.series_instance_uid = %(series)s AND studies.study_instance_uid = %(study)s
  AND (%(only)s::text IS NULL OR studies.study_instance_uid = %(only)s::text)
  AND (%(institutions)s::text[] IS NULL OR EXISTS (
    SELECT FROM series AS theirs WHERE theirs.study_ref = studies.id
      AND theirs.institution_name = ANY(%(institutions)s::text[])))
"""

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


def one_instance(
    connection: Connection,
    *,
    study: str,
    series: str,
    instance: str,
    scope: Scope = EVERYTHING,
) -> StoredInstance:
    """That instance as it stands now; raises NotFound.

    Each image of a scroll is asked for first by this: SQLAlchemy would take longer to build and to
    unpack it than PostgreSQL takes to answer.
    """
    asked = {
        "study": study,
        "series": series,
        "instance": instance,
        "only": scope.study_instance_uid,
        "institutions": None if scope.institutions is None else list(scope.institutions),
    }
    try:
        found = cursor_of(connection).execute(_ONE, asked).fetchone()
    except psycopg.Error as error:
        raise (meaning_of(error) or error) from error
    if found is None:
        raise NotFound(instance)
    return StoredInstance(*found)


def middle_image(
    connection: Connection, *, study: str, series: str | None = None, scope: Scope = EVERYTHING
) -> StoredInstance:
    """The image in the middle of a study or series, where the anatomy is: no video, no report.

    Raises NotFound where there is no image.
    """
    conditions = [
        *_of(study, series, None, scope),
        tables.instances.c.number_of_frames > 0,
        ~tables.instances.c.transfer_syntax_uid.startswith(VIDEO_PREFIX),
    ]
    half = select(func.count() // 2).select_from(_JOINED).where(*conditions).scalar_subquery()
    row = connection.execute(
        _COLUMNS.where(*conditions).order_by(*_ORDER).offset(half).limit(1)
    ).one_or_none()
    if row is None:
        raise NotFound(series or study, "image")
    return StoredInstance(**row._mapping)


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


def frame(archive: Archive, stored: StoredInstance, number: int) -> Buffer:
    """The bytes of a frame (numbered from 1) in the object's transfer syntax; raises NotFound.

    Of objects whose frames are no ranges (deflated, big endian, bit-packed) it comes as Explicit
    VR Little Endian has it.
    """
    return next(frames(archive, stored, [number]))


def frames(archive: Archive, stored: StoredInstance, numbers: Sequence[int]) -> Iterator[Buffer]:
    """The bytes of frames in the order asked for; neighbours are fetched by one ranged read.

    At most 8 MiB or one frame are in memory. Raises NotFound, for any of them, before the first.
    """
    for number in numbers:
        check_frame(stored, number)
    if is_video(stored.transfer_syntax_uid):
        raise codecs.UndecodableFrame(
            f"{stored.sop_instance_uid}: the frames of a video cannot be had one by one"
        )
    if not stored.frames:
        return (uncompressed(archive, stored, number) for number in numbers)
    ranges = [(stored.frames[2 * number - 2], stored.frames[2 * number - 1]) for number in numbers]
    return read_frames(
        archive.store,
        stored.object_key,
        ranges,
        encapsulated=UID(stored.transfer_syntax_uid).is_encapsulated,
    )


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
    return decoded(archive, stored, number, presentation_of(archive, stored).image, raw=True)[0]


def uncompressed(archive: Archive, stored: StoredInstance, number: int) -> bytes:
    """A frame as Explicit VR Little Endian has it: single bits packed, colours by pixel.

    Raises NotFound and codecs.UndecodableFrame.
    """
    array = pixels(archive, stored, number)
    if presentation_of(archive, stored).image.get("BitsAllocated") == 1:
        return np.packbits(array, bitorder="little").tobytes()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def presentation_of(archive: Archive, stored: StoredInstance) -> Presentation:
    """What the object says of its pixels and their look, from its header."""

    def read() -> tuple[Presentation, int]:
        header = header_of(archive, stored.object_key, stored.size)
        found = presentation(header.model(filter(is_wanted, header.elements)))
        return found, 1 + stored.number_of_frames // 8

    # An object under its key never changes.
    return _presentations.get_or(stored.object_key, read)


def decoded(
    archive: Archive, stored: StoredInstance, number: int, header: Dataset, *, raw: bool
) -> tuple[NDArray[Any], str]:
    """A frame's pixels and their photometric interpretation, as codecs.decode has them."""
    check_frame(stored, number)
    if not stored.frames:
        array = _odd_pixels(archive, stored, number, raw=raw)
        return array, "RGB" if array.ndim == 3 and not raw else str(
            header.get("PhotometricInterpretation", "MONOCHROME2")
        )
    data = frame(archive, stored, number)
    return codecs.decode(header, data, stored.transfer_syntax_uid, raw=raw)


def check_frame(stored: StoredInstance, number: int) -> None:
    """Raise NotFound where the object has no frame of that number."""
    if not 1 <= number <= stored.number_of_frames:
        raise NotFound(f"{number} of {stored.sop_instance_uid}", "frame")


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


def _odd_pixels(
    archive: Archive, stored: StoredInstance, number: int, *, raw: bool
) -> NDArray[Any]:
    """A frame that is no range of its object; of a deflated object all is read."""
    try:
        with archive.store.open(stored.object_key) as file:
            if stored.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
                whole = pydicom.dcmread(file)
                return pixel_array(whole, index=number - 1, raw=raw)
            return pixel_array(file, index=number - 1, raw=raw)
    except codecs.BAD_PIXELS as error:
        raise codecs.UndecodableFrame(
            f"{stored.sop_instance_uid}: a frame cannot be decoded: {error}"
        ) from error
