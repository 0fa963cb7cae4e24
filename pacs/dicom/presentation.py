"""What an object says of how its pixels are made and shown, of each frame (PS3.3 C.7.6.3, C.11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset

_SHARED_GROUPS, _FRAME_GROUPS = "52009229", "52009230"
# Pixel Measures, Pixel Value Transformation, Frame VOI LUT (PS3.3 C.7.6.16.2).
_MACROS = ("00289110", "00289145", "00289132")
_IMAGE_PIXEL = range(0x00280002, 0x00281300)
_LUTS = (0x00283000, 0x00283010)
_BESIDES = (
    *(0x00080016, 0x00080018, 0x00080060),
    *(0x00181164, 0x00182010, 0x20500020),
    *(int(_SHARED_GROUPS, 16), int(_FRAME_GROUPS, 16)),
)

Model = Mapping[str, Any]


def is_wanted(tag: int) -> bool:
    """Whether the attribute says something about pixels and their look."""
    return tag in _IMAGE_PIXEL or tag in _LUTS or tag in _BESIDES


@dataclass(frozen=True, slots=True)
class Presentation:
    """The attributes of an object that concern its pixels."""

    image: Dataset
    """Those at the top of the data set."""
    _shared: Dataset
    _frames: tuple[Dataset, ...]

    def of_frame(self, number: int) -> Dataset:
        """Those of one frame (numbered from 1): its own functional groups, the shared, the top."""
        if not self._frames and not self._shared:
            return self.image
        found = Dataset()
        own = self._frames[number - 1] if number <= len(self._frames) else Dataset()
        for part in (self.image, self._shared, own):
            found.update(part)
        return found


def presentation(model: Model) -> Presentation:
    """From the DICOM JSON of an object's wanted attributes."""
    top = {
        tag: attribute
        for tag, attribute in model.items()
        if tag not in (_SHARED_GROUPS, _FRAME_GROUPS)
    }
    shared = [_macros(item) for item in _items(model, _SHARED_GROUPS)[:1]]
    frames = [_macros(item) for item in _items(model, _FRAME_GROUPS)]
    return Presentation(
        _dataset(top),
        shared[0] if shared else Dataset(),
        tuple(frames) if any(frames) else (),
    )


def _items(model: Model, tag: str) -> list[Model]:
    return list(model.get(tag, {}).get("Value", ()))


def _macros(groups: Model) -> Dataset:
    """The attributes in those functional groups of an item that concern the look."""
    found: dict[str, Any] = {}
    for macro in _MACROS:
        for item in _items(groups, macro)[:1]:
            found.update(item)
    return _dataset(found)


def _dataset(model: Model) -> Dataset:
    return Dataset.from_json(dict(model), bulk_data_uri_handler=lambda *_: b"")
