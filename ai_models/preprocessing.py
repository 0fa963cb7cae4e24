"""From a radiograph as its modality made it to what a network reads.

`presented` undoes what differs between devices (PS3.3 C.11.1 modality LUT, C.11.2 VOI LUT,
photometric interpretation, pixel padding), `frame_box` finds the picture within burnt-in borders
and collimator shadows, `prepare` puts it on the network's canvas. All are pure functions of the
stored values and the header.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from ai_models.errors import UnreadableImage

FloatImage = NDArray[np.float32]
Transform = Callable[[FloatImage], Any]

MIN_SIDE = 32
MAX_PIXELS = 64_000_000
_DARKEST, _BRIGHTEST = 0.005, 0.995
_MOST_CLIPPED = 0.5
_FLAT = 0.04
_MOST_TRIMMED = 0.45
_LOOK_AT = 256


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """The part of `image` (rows, columns) inside the box, as a view."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A radiograph on the network's canvas, and the way back."""

    tensor: FloatImage
    """float32, (1, channels, S, S), dense tissue bright, in the range that the network reads."""
    source: Box
    """The part of the radiograph that is shown, in its own pixels."""
    canvas: Box
    """Where that part lies on the canvas."""


def monochrome2() -> Dataset:
    """The header of an image that is already as displayed (JPEG, PNG)."""
    header = Dataset()
    header.PhotometricInterpretation = "MONOCHROME2"
    return header


def presented(pixels: NDArray[Any], header: Dataset) -> FloatImage:
    """The image as shown on a screen: float32 (rows, columns), 0 black to 1 white.

    `pixels` are stored values of one frame (rows, columns), of any integer type. Dense tissue is
    bright whatever the photometric interpretation. Raises UnreadableImage.
    """
    _check(pixels, header)
    low, high = int(pixels.min()), int(pixels.max())
    if high - low >= 1 << 20:
        raise UnreadableImage(f"stored values from {low} to {high}")
    index = pixels.astype(np.int64, copy=False) - low
    counts = np.bincount(index.ravel(), minlength=high - low + 1)
    stored = np.arange(low, high + 1, dtype=np.int64)
    padding = _padding(stored, header)
    counts[padding] = 0
    if np.count_nonzero(counts) < 2:
        raise UnreadableImage("all pixels have the same value")
    values = _modality_values(stored, header)
    values = _windowed(values, counts, header)
    if header.PhotometricInterpretation == "MONOCHROME1":
        values = -values
    table = _scaled(values, counts)
    table[padding] = 0.0
    return table[index]


def frame_box(image: FloatImage) -> Box:
    """The picture in `image` (rows, columns; 0 to 1) without flat borders.

    A row or column at the edge is border as long as it has one brightness, its brightest and its
    darkest twentieth left out of account: so small burnt-in markers on a black or white frame do
    not keep the frame. At most 45 % of a side is taken off.
    """
    rows, columns = image.shape
    step = max(1, max(rows, columns) // _LOOK_AT)
    coarse = image[::step, ::step]
    top, bottom = _border(coarse, axis=1)
    inner = coarse[top : coarse.shape[0] - bottom]
    left, right = _border(inner, axis=0)
    height = max(1, rows - (top + bottom) * step)
    width = max(1, columns - (left + right) * step)
    return Box(top * step, left * step, height, width)


def prepare(
    pixels: NDArray[Any], header: Dataset, size: int, transform: Transform, *, crop: bool = False
) -> Prepared:
    """The network's input for a radiograph: proportions kept, long side `size`, centred.

    `transform` is the bundle's own preprocessing: (h, w) float32 to (channels, size, size). `crop`:
    only the square in the middle, for networks that were taught so. Raises UnreadableImage.
    """
    shown = presented(pixels, header)
    source = frame_box(shown)
    if crop:
        source = _middle(source)
    scale = size / max(source.height, source.width)
    height = min(size, max(1, round(source.height * scale)))
    width = min(size, max(1, round(source.width * scale)))
    small = Image.fromarray(source.of(shown)).resize((width, height), Image.Resampling.BILINEAR)
    tensor = np.asarray(transform(np.array(small, dtype=np.float32)), dtype=np.float32)
    if tensor.ndim != 3 or tensor.shape[1:] != (size, size):
        raise UnreadableImage(f"the bundle made {tensor.shape} of it, not (…, {size}, {size})")
    canvas = Box((size - height) // 2, (size - width) // 2, height, width)
    return Prepared(tensor[None], source, canvas)


def _middle(box: Box) -> Box:
    side = min(box.height, box.width)
    top = box.top + box.height // 2 - side // 2
    return Box(top, box.left + box.width // 2 - side // 2, side, side)


def _check(pixels: NDArray[Any], header: Dataset) -> None:
    if pixels.ndim != 2:
        raise UnreadableImage(f"not a grey-scale frame (shape {pixels.shape})")
    if not np.issubdtype(pixels.dtype, np.integer):
        raise UnreadableImage(f"stored values of type {pixels.dtype}")
    if min(pixels.shape) < MIN_SIDE or pixels.size > MAX_PIXELS:
        raise UnreadableImage(f"{pixels.shape[1]}x{pixels.shape[0]} pixels")
    photometric = header.get("PhotometricInterpretation")
    if photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UnreadableImage(f"(0028,0004) PhotometricInterpretation {photometric}")


def _padding(stored: NDArray[np.int64], header: Dataset) -> NDArray[np.bool_]:
    """Which stored values are padding (PS3.3 C.7.5.1.1.2)."""
    value = header.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = header.get("PixelPaddingRangeLimit")
    first, last = sorted((int(value), int(value if limit is None else limit)))
    return (stored >= first) & (stored <= last)


def _modality_values(stored: NDArray[np.int64], header: Dataset) -> NDArray[np.float64]:
    try:
        return np.asarray(apply_modality_lut(stored, header), dtype=np.float64)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise UnreadableImage(f"its modality LUT is broken ({error})") from error


def _windowed(
    values: NDArray[np.float64], counts: NDArray[np.int64], header: Dataset
) -> NDArray[np.float64]:
    """`values` through the VOI LUT or the first window; as they are where that hides the image."""
    if header.get("VOILUTSequence"):
        try:
            whole = np.rint(values).astype(np.int64)
            shown = np.asarray(apply_voi(whole, header, 0), dtype=np.float64)
        except (ValueError, TypeError, AttributeError, IndexError, KeyError, NotImplementedError):
            return values
    else:
        centre, width = _first(header.get("WindowCenter")), _first(header.get("WindowWidth"))
        if centre is None or width is None or not width >= 1:
            return values
        shown = _window(values, centre, width, str(header.get("VOILUTFunction") or "LINEAR"))
    present = counts > 0
    clipped = (shown <= shown[present].min()) | (shown >= shown[present].max())
    hidden = counts[clipped].sum() / counts.sum()
    return values if hidden > _MOST_CLIPPED + _extremes(values, counts) else shown


def _extremes(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """The share of pixels that are darkest or brightest before any window."""
    present = counts > 0
    ends = (values <= values[present].min()) | (values >= values[present].max())
    return float(counts[ends].sum() / counts.sum())


def _first(value: Any) -> float | None:
    """The first of a DICOM value that may be absent, single or multiple."""
    if value is None or value == "":
        return None
    number = float(value) if isinstance(value, str | int | float) else float(next(iter(value)))
    return number if np.isfinite(number) else None


def _window(
    values: NDArray[np.float64], centre: float, width: float, function: str
) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, to 0..1."""
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - centre) / width, -60.0, 60.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)), dtype=np.float64)
    if function == "LINEAR" and width > 1:
        centre, width = centre - 0.5, width - 1.0
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0)


def _scaled(values: NDArray[np.float64], counts: NDArray[np.int64]) -> FloatImage:
    """`values` stretched so that all but the outermost half per cent of pixels fill 0..1."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(counts[order]) / counts.sum()
    low = float(values[order][int(np.searchsorted(share, _DARKEST))])
    last = min(int(np.searchsorted(share, _BRIGHTEST)), values.size - 1)
    high = float(values[order][last])
    if not high > low:
        present = values[counts > 0]
        low, high = float(present.min()), float(present.max())
    if not high > low:
        raise UnreadableImage("its window shows one brightness only")
    scaled: FloatImage = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return scaled


def _border(image: FloatImage, axis: int) -> tuple[int, int]:
    """How many lines at the start and at the end are flat."""
    spread = np.diff(np.percentile(image, (5, 95), axis=axis), axis=0)[0]
    pictured = np.flatnonzero(spread >= _FLAT)
    most = int(spread.size * _MOST_TRIMMED)
    if not pictured.size:
        return 0, 0
    return min(int(pictured[0]), most), min(int(spread.size - 1 - pictured[-1]), most)
