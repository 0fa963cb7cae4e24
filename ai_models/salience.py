"""Where in the radiograph the heat map is hot, as an outline that a report can give."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ai_models.preprocessing import FloatImage, Prepared

Outline = NDArray[np.float64]
"""(points, 2), closed, column before row, in pixels; (0, 0) is the image's upper left corner
(PS3.3 C.18.6.1.2)."""

_TOLERANCE = 1.0
# Clockwise: a step (row, column), and the pixels to its right and to its left.
_STEPS = (
    ((0, 1), (0, 0), (-1, 0)),
    ((1, 0), (0, -1), (0, 0)),
    ((0, -1), (-1, -1), (0, -1)),
    ((-1, 0), (-1, 0), (-1, -1)),
)


def salient_outline(prepared: Prepared, heat: FloatImage) -> Outline | None:
    """Around the hottest part of the heat map, in the radiograph's pixels; None if nothing is hot.

    `heat` is on the network's canvas, (S, S). The part is what hangs together with the maximum and
    is at least half of it; the outline is true to a pixel of the canvas.
    """
    part = prepared.canvas.of(heat)
    peak = float(part.max())
    if not peak > 0:
        return None
    row, column = np.unravel_index(int(part.argmax()), part.shape)
    hot = Image.fromarray((part >= peak / 2).astype(np.uint8)).copy()
    ImageDraw.floodfill(hot, (int(column), int(row)), 2)
    border = _border(np.asarray(hot) == 2)
    # A closed line has no ends to simplify between: it is two, to its farthest point and back.
    far = int(np.hypot(*(border - border[0]).T).argmax())
    kept = np.concatenate([_simplified(border[: far + 1])[:-1], _simplified(border[far:])])
    source = prepared.source
    scale = (source.width / part.shape[1], source.height / part.shape[0])
    outline: Outline = kept[:, ::-1] * scale + (source.left, source.top)
    return outline


def _border(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The outer border of one connected part, clockwise on pixel edges, closed: (row, column)."""
    framed = np.pad(mask, 1)
    row, column = (int(value) for value in np.argwhere(framed)[0])
    walked, heading = [(row, column), (row, column + 1)], 0
    while walked[-1] != walked[0]:
        row, column = walked[-1]
        for turn in (1, 0, 3):
            step, right, left = _STEPS[(heading + turn) % 4]
            inside = framed[row + right[0], column + right[1]]
            if inside and not framed[row + left[0], column + left[1]]:
                break
        heading = (heading + turn) % 4
        walked.append((row + step[0], column + step[1]))
    return np.array(walked, dtype=np.float64) - 1.0


def _simplified(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fewest points of the line that stay within the tolerance (Douglas and Peucker)."""
    along = line[-1] - line[0]
    offsets = line - line[0]
    length = float(np.hypot(*along))
    if length:
        away = np.abs(along[0] * offsets[:, 1] - along[1] * offsets[:, 0]) / length
    else:  # a border that comes back to a corner of two pixels
        away = np.hypot(*offsets.T)
    farthest = int(away.argmax())
    if away[farthest] <= _TOLERANCE:
        return line[[0, -1]]
    before, after = _simplified(line[: farthest + 1]), _simplified(line[farthest:])
    return np.concatenate([before[:-1], after])
