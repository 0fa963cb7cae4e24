"""Pictures of frames, for those who look without a viewer: windowed, cut out and sized here.

What was lately looked at is kept, decoded and as encoded pictures: another window of the same
frame, or another picture for the next person, costs a few milliseconds. Both are kept under the
key of an object, which never changes; whether it may be seen is asked before, every time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless

from pacs.archive import Archive
from pacs.dicom import codecs, rendering, scaling
from pacs.dicom.codecs import Buffer, NotEncodable, UndecodableFrame
from pacs.dicom.rendering import MediaType, Values, Window
from pacs.dicom.scaling import View
from pacs.recent import Recent
from pacs.renditions import htj2k
from pacs.retrieve import StoredInstance, check_frame, decoded, frame, presentation_of

_KEPT_PIXELS = 128 << 20
_KEPT_PICTURES = 32 << 20
_MOST_PIXELS = 1 << 27

WHOLE = View()
"""All of a frame, pixel by pixel."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a frame is to be shown. Without a window: the object's own, or its whole range."""

    media_type: MediaType = "image/jpeg"
    view: View = WHOLE
    window: Window | None = None
    quality: int = 90


@dataclass(frozen=True, slots=True)
class _Grey:
    values: Values
    photometric: str


_pixels = Recent[_Grey | NDArray[np.uint8]](_KEPT_PIXELS)
_pictures = Recent[bytes](_KEPT_PICTURES)


def rendered(archive: Archive, stored: StoredInstance, number: int, look: Look) -> bytes:
    """A frame (numbered from 1) as an encoded picture. Raises NotFound and UndecodableFrame."""
    check_frame(stored, number)

    def make() -> tuple[bytes, int]:
        picture = _picture(archive, stored, number, look)
        return picture, len(picture)

    return _pictures.get_or((stored.object_key, number, look), make)


def _picture(archive: Archive, stored: StoredInstance, number: int, look: Look) -> bytes:
    header = presentation_of(archive, stored).of_frame(number)
    if int(header.get("Rows") or 0) * int(header.get("Columns") or 0) > _MOST_PIXELS:
        raise UndecodableFrame(f"{stored.sop_instance_uid}: its frames are too large for pictures")
    try:
        found = _sized(archive, stored, number, header, look.view)
        if isinstance(found, _Grey):
            found = rendering.shades(found.values, found.photometric, header, look.window)
    except (*codecs.BAD_PIXELS, MemoryError, NotEncodable) as error:
        raise UndecodableFrame(
            f"{stored.sop_instance_uid}: frame {number} cannot be shown: {error}"
        ) from error
    return rendering.encode(found, look.media_type, look.quality)


def _sized(
    archive: Archive, stored: StoredInstance, number: int, header: Dataset, view: View
) -> _Grey | NDArray[np.uint8]:
    """Values or colours at the view's size."""

    def make() -> tuple[_Grey | NDArray[np.uint8], int]:
        size = scaling.fitted(view, *_extent(header, view), rendering.aspect(header))
        of_all = view.size is not None and view.region is None
        reduced = _reduced(archive, stored, number, header, size) if of_all else None
        whole = _whole(archive, stored, number, header) if reduced is None else reduced
        if not isinstance(whole, _Grey):
            photometric = _photometric(header) if whole.ndim == 2 else "RGB"
            colours = rendering.coloured(whole, photometric, header, view, size)
            return colours, colours.nbytes
        sized = _Grey(rendering.scaled(whole.values, view, size), whole.photometric)
        return sized, sized.values.array.nbytes

    return _pixels.get_or((stored.object_key, number, view), make)


def _whole(
    archive: Archive, stored: StoredInstance, number: int, header: Dataset
) -> _Grey | NDArray[np.uint8]:
    """All of a frame as it was decoded."""

    def make() -> tuple[_Grey | NDArray[np.uint8], int]:
        codestream = _codestream(archive, stored, number, header)
        if codestream is not None:
            array, photometric = codecs.decode_reduced(header, codestream, 0), _photometric(header)
        else:
            array, photometric = decoded(archive, stored, number, header, raw=False)
        if rendering.is_grey(array, photometric):
            return _Grey(rendering.values_of(array, header), photometric), array.nbytes
        return array, array.nbytes

    return _pixels.get_or((stored.object_key, number), make)


def _extent(header: Dataset, view: View) -> tuple[int, int]:
    """Columns and rows of the view's part."""
    rows, columns = int(header.Rows), int(header.Columns)
    part = scaling.cropped(np.broadcast_to(np.uint8(0), (rows, columns)), view)
    return part.shape[1], part.shape[0]


def _reduced(
    archive: Archive,
    stored: StoredInstance,
    number: int,
    header: Dataset,
    size: tuple[int, int],
) -> _Grey | None:
    """A frame at a size near the one at which it is looked at, where its codestream holds one."""
    smaller = min(int(header.Columns) / size[0], int(header.Rows) / size[1])
    halvings = int(math.log2(max(1.0, smaller)))
    codestream = _codestream(archive, stored, number, header) if halvings else None
    if codestream is None:
        return None
    array = codecs.decode_reduced(header, codestream, halvings)
    return _Grey(rendering.values_of(array, header), _photometric(header))


def _codestream(
    archive: Archive, stored: StoredInstance, number: int, header: Dataset
) -> Buffer | None:
    """A grey frame as HTJ2K; None where it is not stored so.

    JPEG 2000 takes 15 times as long to decode, and is therefore decoded once and kept in HTJ2K.
    """
    grey = header.get("SamplesPerPixel") == 1 and _photometric(header) != "PALETTE COLOR"
    if not (grey and stored.frames):
        return None
    if stored.transfer_syntax_uid == JPEG2000Lossless:
        return htj2k(archive, stored, number)
    is_one = codecs.is_htj2k(stored.transfer_syntax_uid)
    return frame(archive, stored, number) if is_one else None


def _photometric(header: Dataset) -> str:
    return str(header.get("PhotometricInterpretation", "MONOCHROME2"))
