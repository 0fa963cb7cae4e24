"""Pixels as people look at them: modality LUT, VOI LUT or window, presentation (PS3.3 C.11)."""

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from pacs.dicom import scaling
from pacs.dicom.scaling import View

MediaType = Literal["image/jpeg", "image/png", "image/webp"]
WindowFunction = Literal["linear", "linear-exact", "sigmoid"]

# Shades are looked up in pieces: numpy makes eight bytes of each index, and so many stay in cache.
_AT_ONCE = 1 << 15
_VOI_FUNCTIONS: dict[str, WindowFunction] = {
    "LINEAR": "linear",
    "LINEAR_EXACT": "linear-exact",
    "SIGMOID": "sigmoid",
}
_BRIGHTEST = 255.0


@dataclass(frozen=True, slots=True)
class Window:
    """Which values of the modality LUT's output are shown, and how (PS3.3 C.11.2.1.2, .3)."""

    centre: float
    width: float
    function: WindowFunction = "linear"


@dataclass(frozen=True, slots=True)
class Values:
    """Grey values before any LUT, and between which they lie in the whole frame."""

    array: NDArray[Any]
    low: float
    high: float
    shown_low: float
    """The lowest that is no padding."""
    shown_high: float


def is_grey(array: NDArray[Any], photometric: str) -> bool:
    """Whether these are values of which a mean makes sense: no colours and no numbers of them."""
    return array.ndim == 2 and photometric != "PALETTE COLOR"


def values_of(array: NDArray[Any], header: Dataset) -> Values:
    """A whole grey frame and its range."""
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        array = np.nan_to_num(array, nan=low, posinf=high, neginf=low)
        return Values(array, low, high, low, high)
    low, high = int(array.min()), int(array.max())
    shown_low, shown_high = low, high
    padding = header.get("PixelPaddingValue")
    if isinstance(padding, int) and padding in (low, high) and low < high:
        own = array[array != padding]
        if own.size:
            shown_low, shown_high = int(own.min()), int(own.max())
    return Values(array, low, high, shown_low, shown_high)


def scaled(values: Values, view: View, size: tuple[int, int]) -> Values:
    """The view's part of the values at the size (width, height) at which they are looked at."""
    array = scaling.cropped(values.array, view)
    array = scaling.turned(scaling.scale_values(array, size), view)
    return Values(
        np.ascontiguousarray(array),
        *(values.low, values.high, values.shown_low, values.shown_high),
    )


def shades(
    values: Values, photometric: str, header: Dataset, window: Window | None
) -> NDArray[np.uint8]:
    """Black to white, 0 to 255. Computed once for each value that occurs, not for each pixel."""
    array = values.array
    if array.dtype.kind == "f" or array.dtype.itemsize > 2:
        return _displayed(array, values, photometric, header, window)
    occurring = np.arange(values.low, values.high + 1).astype(array.dtype)
    kind = np.dtype(f"u{array.dtype.itemsize}")
    table = np.zeros(1 << (8 * array.dtype.itemsize), np.uint8)
    table[occurring.view(kind)] = _displayed(occurring, values, photometric, header, window)
    codes = np.ascontiguousarray(array).view(kind).reshape(-1)
    found = np.empty(codes.size, np.uint8)
    for at in range(0, codes.size, _AT_ONCE):
        # No code lies outside of the table; "clip" only spares numpy a copy.
        piece = slice(at, at + _AT_ONCE)
        np.take(table, codes[piece], out=found[piece], mode="clip")
    return found.reshape(array.shape)


def coloured(
    array: NDArray[Any], photometric: str, header: Dataset, view: View, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """RGB, 0 to 255, of the view's part of pixels that are colours, at a size (width, height)."""
    array = scaling.cropped(array, view)
    if photometric == "PALETTE COLOR":
        colour = apply_color_lut(array, header)
        samples = _eight_bits(colour, 16 if colour.dtype.itemsize > 1 else 8)
    else:
        samples = _eight_bits(array, int(header.get("BitsStored") or 8))
    shown = scaling.scale_picture(np.ascontiguousarray(samples), size)
    return np.ascontiguousarray(scaling.turned(shown, view))


def encode(picture: NDArray[np.uint8], media_type: MediaType, quality: int) -> bytes:
    """The picture as a file of that media type; `quality` (1 to 100) is JPEG's and WebP's."""
    out = io.BytesIO()
    image = Image.fromarray(picture)
    if media_type == "image/jpeg":
        image.save(out, "JPEG", quality=quality)
    elif media_type == "image/webp":
        image.save(out, "WEBP", quality=quality, method=0)
    else:
        image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def aspect(header: Dataset) -> float:
    """The height of a pixel over its width; 1 where nothing says otherwise."""
    for keyword in (
        *("PixelAspectRatio", "PixelSpacing"),
        *("ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    ):
        pair = header.get(keyword)
        if isinstance(pair, MultiValue) and len(pair) == 2:
            vertical, horizontal = (float(value or 0) for value in pair)
            if vertical > 0 and horizontal > 0:
                return min(max(vertical / horizontal, 0.1), 10.0)
    return 1.0


def _displayed(
    array: NDArray[Any],
    values: Values,
    photometric: str,
    header: Dataset,
    window: Window | None,
) -> NDArray[np.uint8]:
    modal = np.asarray(apply_modality_lut(array, header))
    window = window or (None if header.get("VOILUTSequence") else _own_window(header))
    if window is not None:
        bright = _windowed(modal.astype(np.float32, copy=False), window)
    elif header.get("VOILUTSequence"):
        looked_up = np.asarray(apply_voi_lut(modal, header, prefer_lut=True))
        top = (1 << int(header.VOILUTSequence[0].LUTDescriptor[2])) - 1
        bright = looked_up.astype(np.float32) * np.float32(_BRIGHTEST / top)
    else:
        ends = np.asarray([values.shown_low, values.shown_high]).astype(array.dtype)
        low, high = sorted(float(end) for end in np.asarray(apply_modality_lut(ends, header)))
        bright = (modal.astype(np.float32) - np.float32(low)) * np.float32(
            _BRIGHTEST / max(high - low, 1e-6)
        )
    grey: NDArray[np.uint8] = np.rint(np.clip(bright, 0, _BRIGHTEST)).astype(np.uint8)
    return np.subtract(255, grey, dtype=np.uint8) if photometric == "MONOCHROME1" else grey


def _windowed(modal: NDArray[Any], window: Window) -> NDArray[Any]:
    """0 to 255, and beyond where the window ends."""
    if window.function == "sigmoid":
        steepness = np.float32(-4.0 / max(window.width, 1e-6))
        exponent = np.clip((modal - np.float32(window.centre)) * steepness, -80.0, 80.0)
        return np.asarray(np.float32(_BRIGHTEST) / (np.float32(1.0) + np.exp(exponent)))
    if window.function == "linear-exact":
        low, span = window.centre - window.width / 2.0, max(window.width, 1e-6)
    else:
        span = max(window.width, 1.0) - 1.0
        low, span = window.centre - 0.5 - span / 2.0, max(span, 1e-6)
    return np.asarray((modal - np.float32(low)) * np.float32(_BRIGHTEST / span))


def _own_window(header: Dataset) -> Window | None:
    """The first window that the object names."""
    named = [header.get(keyword) for keyword in ("WindowCenter", "WindowWidth")]
    centre, width = (value[0] if isinstance(value, MultiValue) else value for value in named)
    if centre in (None, "") or width in (None, ""):
        return None
    function = _VOI_FUNCTIONS.get(str(header.get("VOILUTFunction", "LINEAR")), "linear")
    smallest = 1.0 if function == "linear" else 1e-6
    return Window(float(centre), max(float(width), smallest), function)


def _eight_bits(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if samples.dtype == np.uint8:
        return samples
    return np.asarray(samples >> max(bits - 8, 0), np.uint8)
