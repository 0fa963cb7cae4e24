"""Content negotiation as DICOMweb does it (PS3.18 section 8.7): media type, multipart, syntax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from viewer_api.dicomweb.header_text import split_outside_quotes

_MOST_RANGES = 64
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an Accept header.

    `media_type` is that of the parts where `multipart` is set (`*/*` where none was named);
    `transfer_syntax` is None where none was named and `*` where any will do.
    """

    media_type: str
    multipart: bool
    transfer_syntax: str | None
    quality: float

    @property
    def anything(self) -> bool:
        """Whether this is a plain `*/*`, which takes single parts and multipart alike."""
        return self.media_type == "*/*" and not self.multipart


@dataclass(frozen=True, slots=True)
class Offer:
    """One form in which a resource can be given.

    `by_default`: a range that names no transfer syntax means this offer too.
    """

    media_type: str
    multipart: bool = False
    transfer_syntax: str | None = None
    by_default: bool = True
    aliases: tuple[str, ...] = ()


_Item = TypeVar("_Item", bound=Offer)


def parse_accept(value: str) -> list[MediaRange]:
    """The media ranges of an Accept header, in its order; what cannot be read is left out."""
    ranges = []
    for element in split_outside_quotes(value[:_LONGEST], ","):
        media_range = _media_range(element)
        if media_range is not None:
            ranges.append(media_range)
        if len(ranges) == _MOST_RANGES:
            break
    return ranges


def choose(offers: Sequence[_Item], accept: str | None) -> _Item | None:
    """The best offer under an Accept header; None where nothing fits (406).

    Quality decides, then the order of the offers. No header, or an empty one, takes the first.
    """
    if accept is None or not accept.strip():
        return offers[0] if offers else None
    ranges = parse_accept(accept)
    best: tuple[float, _Item] | None = None
    for offer in offers:
        quality = _quality(offer, ranges)
        if quality > 0 and (best is None or quality > best[0]):
            best = quality, offer
    return best[1] if best else None


def _quality(offer: Offer, ranges: Sequence[MediaRange]) -> float:
    """The quality of the most specific range that takes the offer; 0 where none does."""
    fitting = [(_specificity(wanted), wanted.quality) for wanted in ranges if _fits(offer, wanted)]
    if not fitting:
        return 0.0
    most_specific = max(specificity for specificity, _ in fitting)
    return max(quality for specificity, quality in fitting if specificity == most_specific)


def _specificity(wanted: MediaRange) -> tuple[bool, int, bool]:
    stars = 2 if wanted.media_type == "*/*" else int(wanted.media_type.endswith("/*"))
    return not wanted.anything, -stars, wanted.transfer_syntax not in (None, "*")


def _fits(offer: Offer, wanted: MediaRange) -> bool:
    if wanted.multipart != offer.multipart and not wanted.anything:
        return False
    names = (offer.media_type, *offer.aliases)
    if not any(_type_fits(name, wanted.media_type) for name in names):
        return False
    if wanted.transfer_syntax == "*":
        return True
    if wanted.transfer_syntax is None:
        return offer.by_default or wanted.media_type == "*/*"
    return wanted.transfer_syntax == offer.transfer_syntax


def _type_fits(name: str, wanted: str) -> bool:
    if wanted == "*/*":
        return True
    if wanted.endswith("/*"):
        return name.startswith(wanted[:-1])
    return name == wanted


def _media_range(element: str) -> MediaRange | None:
    name, *rest = split_outside_quotes(element, ";")
    media_type = _media_type(name)
    if media_type is None:
        return None
    parameters = dict(_parameters(rest))
    quality = _parse_quality(parameters.get("q", "1"))
    multipart = media_type == "multipart/related"
    if multipart:
        inner = parameters.get("type", "*/*")
        media_type = _media_type(inner.split(";")[0])
        if media_type is None:
            return None
    syntax = parameters.get("transfer-syntax")
    return MediaRange(media_type, multipart, syntax or None, quality)


def _media_type(name: str) -> str | None:
    cleaned = name.strip().lower()
    if cleaned == "*":
        cleaned = "*/*"
    main, slash, sub = cleaned.partition("/")
    if not slash or not main or not sub or any(mark in cleaned for mark in ' "\t'):
        return None
    return cleaned


def _parse_quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 1.0
    return quality if 0.0 <= quality <= 1.0 else 1.0


def _parameters(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for part in parts:
        name, _, value = part.partition("=")
        yield name.strip().lower(), value.strip().strip('"').strip()
