"""A part of a frame at the size at which it is looked at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Nobody's screen has more; beyond it the one who looks enlarges.
_MOST_ENLARGED_PIXELS = 4096 * 4096
_SMOOTH = Image.Resampling.BILINEAR
_STRIP_ROWS = 32


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
    side = max(1, min(values.shape[1] // width, values.shape[0] // height))
    area = side * side
    sums = _block_sums(values, side) if side > 1 else values
    whole = values.dtype.kind in "iu"
    if sums.shape == (height, width):
        return np.asarray(sums // area if whole else sums / area, values.dtype)
    picture = Image.fromarray(np.ascontiguousarray(sums, np.float32))
    found = np.asarray(picture.resize(size, _SMOOTH)) * np.float32(1 / area)
    scaled: NDArray[Any] = (np.rint(found, out=found) if whole else found).astype(values.dtype)
    return scaled


def scale_picture(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """What is shown already, grey or RGB, at another size (width, height)."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    found = Image.fromarray(picture).resize(size, _SMOOTH, reducing_gap=2.0)
    return np.asarray(found)


def _block_sums(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Sums over squares of `side` pixels; what is left over at the edges is cut."""
    narrow = values.dtype.kind in "iu" and values.dtype.itemsize <= 2
    if side == 2 and narrow and values.dtype.itemsize == 2:
        return _sums_of_four(values)
    rows, columns = values.shape[0] // side, values.shape[1] // side
    sums_in = np.dtype(f"{values.dtype.kind}4" if narrow else np.float64)
    lines = values[: rows * side : side, : columns * side].astype(sums_in)
    for offset in range(1, side):
        lines += values[offset : rows * side : side, : columns * side]
    sums = lines[:, ::side].copy()
    for offset in range(1, side):
        sums += lines[:, offset::side]
    return sums


def _sums_of_four(values: NDArray[Any]) -> NDArray[Any]:
    """The sums over squares of two pixels, as most radiographs need them, in half the time.

    Both of a pair are taken out of one word, since numpy is slow where it must skip every other
    number; and in strips, which stay in the processor's cache.
    """
    rows, columns = values.shape[0] // 2, values.shape[1] // 2
    sums = np.empty((rows, columns), f"{values.dtype.kind}4")
    for at in range(0, rows, _STRIP_ROWS):
        strip = sums[at : at + _STRIP_ROWS]
        part = np.ascontiguousarray(values[2 * at : 2 * (at + len(strip)), : 2 * columns])
        pairs = part.view(sums.dtype)
        lines = (pairs << 16) >> 16
        lines += pairs >> 16
        np.add(lines[::2], lines[1::2], out=strip)
    return sums
