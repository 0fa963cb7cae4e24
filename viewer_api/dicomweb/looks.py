"""How a picture is asked for in a query string (PS3.18 section 8.3.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pacs.dicom.rendering import Window, WindowFunction
from pacs.dicom.scaling import View
from pacs.retrieve import StoredInstance
from viewer_api.problems import bad_request

LARGEST_SIDE = 8192
_FUNCTIONS: dict[str, WindowFunction] = {
    "linear": "linear",
    "linear-exact": "linear-exact",
    "linear_exact": "linear-exact",
    "sigmoid": "sigmoid",
}
_ANNOTATIONS = {"patient", "technique"}
_PROFILES = {"no", "yes", "srgb", "adobergb", "rommrgb"}

NOT_ANNOTATED = {"Warning": '299 filmless "annotations are not burnt into pictures here"'}

Parameters = Mapping[str, str]


def viewport_of(parameters: Parameters, stored: StoredInstance) -> View:
    """`viewport=vw,vh[,sx,sy,sw,sh]` (8.3.5.1.3): a size, and which part; negative: turned round.

    Raises a 400 problem, also for a region that lies outside of the image.
    """
    text = parameters.get("viewport")
    if text is None:
        return View()
    parts = [part.strip() for part in text.split(",")]
    if not 2 <= len(parts) <= 6:
        raise bad_request("invalid_viewport", "viewport is width,height or vw,vh,sx,sy,sw,sh.")
    size = _size(parts[0], parts[1])
    if not any(parts[2:]):
        return View(size, enlarge=True)
    columns, rows = stored.columns or 0, stored.rows or 0
    left, top, width, height = (
        _number("viewport", part) if part else None
        for part in (*parts[2:], *[""] * (6 - len(parts)))
    )
    left, top = left or 0.0, top or 0.0
    width = columns - left if width is None else width
    height = rows - top if height is None else height
    if not (0 <= left < columns and 0 <= top < rows and width and height):
        raise bad_request(
            "invalid_viewport", f"That region lies outside of the image of {columns} by {rows}."
        )
    return View(
        size,
        (left, top, abs(width), abs(height)),
        mirrored=width < 0,
        upside_down=height < 0,
        enlarge=True,
    )


def thumbnail_view(parameters: Parameters, default: tuple[int, int]) -> View:
    """`viewport=vw,vh`: the whole image, never enlarged. Raises a 400 problem."""
    text = parameters.get("viewport")
    if text is None:
        return View(default)
    width, _, height = text.partition(",")
    return View(_size(width, height.rstrip(", ")))


def window_of(parameters: Parameters) -> Window | None:
    """`window=centre,width[,function]` (8.3.5.1.4). Raises a 400 problem."""
    text = parameters.get("window")
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise bad_request("invalid_window", "window is centre,width or centre,width,function.")
    function = _FUNCTIONS.get(parts[2].strip().lower()) if len(parts) == 3 else "linear"
    if function is None:
        raise bad_request(
            "invalid_window", "The window's function is linear, linear-exact or sigmoid."
        )
    return checked_window(parts[0], parts[1], function)


def checked_window(centre: str, width: str, function: WindowFunction) -> Window:
    """A window as PS3.3 C.11.2.1.2 allows it. Raises a 400 problem."""
    window = Window(_number("window", centre), _number("window", width), function)
    if window.width <= 0 or (function == "linear" and window.width < 1):
        raise bad_request("invalid_window", "The window's width must be at least 1.")
    return window


def quality_of(parameters: Parameters, name: str = "quality", default: int = 90) -> int:
    """`quality`: 1 to 100. Raises a 400 problem."""
    quality = _number(name, parameters.get(name, str(default)))
    if not 1 <= quality <= 100:
        raise bad_request(f"invalid_{name}", f"{name} is a number from 1 to 100.")
    return int(quality)


def besides(parameters: Parameters) -> dict[str, str]:
    """What an answer says of `annotation` and `iccprofile`, which change nothing here.

    Pictures are sRGB without a profile, and patients' names are never burnt into them. Raises a
    400 problem for values that the standard does not know.
    """
    annotation = parameters.get("annotation")
    if (
        annotation is not None
        and not {word.strip() for word in annotation.split(",")} <= _ANNOTATIONS
    ):
        raise bad_request("invalid_annotation", "annotation is patient, technique or both.")
    if parameters.get("iccprofile", "no").strip().lower() not in _PROFILES:
        raise bad_request(
            "invalid_iccprofile", f"iccprofile is one of {', '.join(sorted(_PROFILES))}."
        )
    return dict(NOT_ANNOTATED) if annotation else {}


def size_within(width: str | None, height: str | None) -> tuple[int, int] | None:
    """A size of which one side may be left open; None where both are. Raises a 400 problem."""
    if width is None and height is None:
        return None
    largest = str(LARGEST_SIDE)
    return _size(width or largest, height or largest)


def region_of(text: str, stored: StoredInstance) -> tuple[float, float, float, float]:
    """WADO-URI's `region`: two corners, from 0 to 1 of the image. Raises a 400 problem."""
    parts = text.split(",")
    corners = [_number("region", part) for part in parts]
    if len(parts) != 4 or not all(0 <= corner <= 1 for corner in corners):
        raise bad_request("invalid_region", "region is xmin,ymin,xmax,ymax, each from 0 to 1.")
    left, top, right, bottom = corners
    if left >= right or top >= bottom:
        raise bad_request("invalid_region", "The region's corners leave nothing between them.")
    columns, rows = stored.columns or 0, stored.rows or 0
    return left * columns, top * rows, (right - left) * columns, (bottom - top) * rows


def _size(width: str, height: str) -> tuple[int, int]:
    sides = _number("viewport", width), _number("viewport", height)
    if not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise bad_request(
            "invalid_viewport", f"Width and height are each from 1 to {LARGEST_SIDE}."
        )
    return int(sides[0]), int(sides[1])


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e9:
        raise bad_request(f"invalid_{name}", f"{text[:40]!r} in {name} is not a number.")
    return number
