"""The DICOM JSON model (PS3.18 F) of what is kept in the index: Unicode, without bulk data."""

from typing import Any

import orjson
from pydicom import DataElement, Dataset

from pacs.dicom.text import normal

MAX_INLINE_BYTES = 128 * 1024
_UNICODE = {"vr": "CS", "Value": ["ISO_IR 192"]}
_NOT_METADATA = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))


def to_json(dataset: Dataset) -> dict[str, Any]:
    """The attributes as DICOM JSON; values over 128 KiB are left out, bad values are dropped.

    Text is NFC, and so SpecificCharacterSet says ISO_IR 192 whatever the object itself says.
    """
    kept = Dataset()
    for element in dataset:
        if element.tag not in _NOT_METADATA and not _is_bulk(element):
            kept.add(element)
    model: dict[str, Any] = kept.to_json_dict(
        bulk_data_threshold=MAX_INLINE_BYTES,
        bulk_data_element_handler=lambda _: "",
        suppress_invalid_tags=True,
    )
    model["00080005"] = _UNICODE
    normalised: dict[str, Any] = _normal(model)
    return dict(sorted(normalised.items()))


def to_json_text(model: dict[str, Any]) -> str:
    """The model as one line of JSON text."""
    return orjson.dumps(model).decode()


def _is_bulk(element: DataElement) -> bool:
    return isinstance(element.value, bytes) and len(element.value) > MAX_INLINE_BYTES


def _normal(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else normal(value)
    if isinstance(value, dict):
        return {key: _normal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_normal(inner) for inner in value]
    return value
