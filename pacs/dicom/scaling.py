"""A part of a frame at the size at which it is looked at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Nobody's screen has more; beyond it the one who looks enlarges.
_MOST_ENLARGED_PIXELS = 4096 * 4096
_SMOOTH = Image.Resampling.BILINEAR


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a frame is shown, how large and which way round (PS3.18 8.3.5.1.4).

    `size`: (width, height) into which it is fitted, keeping its proportions. `region`: left, top,
    width and height in the frame's pixels. `enlarge`: also where there are fewer pixels than fit.
    """

    size: tuple[int, int] | None = None
    region: tuple[float, float, float, float] | None = None
    mirrored: bool = False
    upside_down: bool = False
    enlarge: bool = False


def cropped(array: NDArray[Any], view: View) -> NDArray[Any]:
    """The view's region, a slice of the array: at least a pixel, at most all."""
    if view.region is None:
        return array
    left, top, width, height = view.region
    rows, columns = array.shape[:2]
    first_column, first_row = min(int(left), columns - 1), min(int(top), rows - 1)
    last_column = min(max(round(left + width), first_column + 1), columns)
    last_row = min(max(round(top + height), first_row + 1), rows)
    return array[first_row:last_row, first_column:last_column]


def fitted(view: View, width: int, height: int, aspect: float) -> tuple[int, int]:
    """Width and height in which pixels of that number and shape are shown.

    `aspect`: the height of a pixel over its width (PS3.3 C.7.6.3.1.7). Where it is not 1 the
    shorter side is drawn out, so that no pixel is lost.
    """
    wide, high = width / min(aspect, 1.0), height * max(aspect, 1.0)
    scale = 1.0
    if view.size is not None:
        scale = min(view.size[0] / wide, view.size[1] / high)
    if scale > 1.0:
        roomy = (_MOST_ENLARGED_PIXELS / (wide * high)) ** 0.5
        scale = max(1.0, min(scale, roomy)) if view.enlarge else 1.0
    return max(1, round(wide * scale)), max(1, round(high * scale))


def turned(array: NDArray[Any], view: View) -> NDArray[Any]:
    """The array mirrored and turned upside down as the view has it."""
    if view.mirrored:
        array = array[:, ::-1]
    return array[::-1] if view.upside_down else array


def scale_values(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Grey values, before any LUT, at another size (width, height).

    Means of what was measured, and only then a window: an edge between what the window shows
    black and what it shows white stands where it is, and another window needs no new decoding.
    First whole blocks of pixels are added up, which costs a quarter of what resampling would.
    """
    width, height = size
    values = _block_means(values, min(values.shape[1] // width, values.shape[0] // height))
    if values.shape == (height, width):
        return values
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    found = np.asarray(picture.resize(size, _SMOOTH))
    if values.dtype.kind == "f":
        return np.asarray(found, values.dtype)
    rounded: NDArray[Any] = np.rint(found).astype(values.dtype)
    return rounded


def scale_picture(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """What is shown already, grey or RGB, at another size (width, height)."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    found = Image.fromarray(picture).resize(size, _SMOOTH, reducing_gap=2.0)
    return np.asarray(found)


def _block_means(values: NDArray[Any], side: int) -> NDArray[Any]:
    if side < 2:
        return values
    rows, columns = values.shape[0] // side, values.shape[1] // side
    kind = values.dtype.kind
    narrow = kind in "iu" and values.dtype.itemsize <= 2
    sums_in = np.dtype({"u": np.uint32, "i": np.int32}[kind] if narrow else np.float64)
    lines = values[: rows * side : side, : columns * side].astype(sums_in)
    for offset in range(1, side):
        lines += values[offset : rows * side : side, : columns * side]
    sums = lines[:, ::side].copy()
    for offset in range(1, side):
        sums += lines[:, offset::side]
    means = sums // (side * side) if narrow else sums / (side * side)
    return np.asarray(means, values.dtype)
