"""Pixels as people look at them: modality LUT, VOI LUT or window, presentation (PS3.3 C.11)."""

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut


def render(
    array: NDArray[Any],
    photometric: str,
    attributes: Dataset,
    *,
    window: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
) -> Image.Image:
    """An 8-bit picture of a frame, grey or RGB, fitted into `size` (width, height) if given."""
    if photometric == "PALETTE COLOR":
        colour = apply_color_lut(array, attributes)
        samples = _eight_bits(colour, 16 if colour.dtype.itemsize > 1 else 8)
    elif array.ndim == 3:
        samples = _eight_bits(array, int(attributes.get("BitsStored") or 8))
    else:
        samples = _grey(array, photometric, attributes, window)
    picture = Image.fromarray(samples)
    if size is not None:
        picture.thumbnail(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return picture


def encode(
    picture: Image.Image, media_type: Literal["image/jpeg", "image/png"], quality: int
) -> bytes:
    """The picture as a file of that media type; `quality` (1 to 100) is JPEG's."""
    out = io.BytesIO()
    if media_type == "image/jpeg":
        picture.save(out, "JPEG", quality=quality)
    else:
        picture.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _grey(
    array: NDArray[Any],
    photometric: str,
    attributes: Dataset,
    window: tuple[float, float] | None,
) -> NDArray[np.uint8]:
    """Computed once for each value that occurs, not for each pixel."""
    if array.dtype.kind == "f" or array.dtype.itemsize > 2:
        return _displayed(array, photometric, attributes, window)
    low, high = int(array.min()), int(array.max())
    values = np.arange(low, high + 1, dtype=array.dtype)
    table = _displayed(values, photometric, attributes, window)
    # The lowest value as an unsigned offset: wrap-around of the subtraction cancels out.
    offsets = (array - array.dtype.type(low)).view(f"u{array.dtype.itemsize}")
    shades: NDArray[np.uint8] = table[offsets]
    return shades


def _displayed(
    values: NDArray[Any],
    photometric: str,
    attributes: Dataset,
    window: tuple[float, float] | None,
) -> NDArray[np.uint8]:
    shades = np.asarray(apply_modality_lut(values, attributes))
    if window is None and attributes.get("VOILUTSequence"):
        shades = np.asarray(apply_voi_lut(shades, attributes, prefer_lut=True))
        bounds = 0.0, float((1 << int(attributes.VOILUTSequence[0].LUTDescriptor[2])) - 1)
    else:
        bounds = _bounds(window or _own_window(attributes), shades)
    low, high = bounds
    scaled = (shades.astype(np.float32) - low) * np.float32(255.0 / max(high - low, 1e-6))
    grey: NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    return np.subtract(255, grey, dtype=np.uint8) if photometric == "MONOCHROME1" else grey


def _own_window(attributes: Dataset) -> tuple[float, float] | None:
    """The first window that the object names."""
    named = [attributes.get(keyword) for keyword in ("WindowCenter", "WindowWidth")]
    centre, width = (value[0] if isinstance(value, MultiValue) else value for value in named)
    return None if centre in (None, "") or width in (None, "") else (float(centre), float(width))


def _bounds(window: tuple[float, float] | None, shades: NDArray[Any]) -> tuple[float, float]:
    """First and last value of the linear window (PS3.3 C.11.2.1.2.1), or of the image."""
    if window is None:
        return float(shades.min()), float(shades.max())
    centre, width = window
    half = (max(width, 1.0) - 1.0) / 2.0
    return centre - 0.5 - half, centre - 0.5 + half


def _eight_bits(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if samples.dtype == np.uint8:
        return samples
    return (samples >> max(bits - 8, 0)).astype(np.uint8)
