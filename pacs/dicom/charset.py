"""Bytes of text as Unicode, by Specific Character Set (0008,0005) (PS3.5 6.1)."""

import re
from collections.abc import Callable
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, default_encoding, python_encoding

Decode = Callable[[bytes], str]

_ESCAPE = b"\x1b"
_FRAGMENTS = re.compile(rb"\x1b[^\x1b]*|^[^\x1b]+")
# Python's own codecs follow these escape sequences; of the others it knows only what comes after.
_STATEFUL = frozenset(("iso2022_jp", "iso2022_jp_2"))


@lru_cache(maxsize=256)
def decoder(specific_character_set: bytes) -> Decode:
    """How to decode text under that value; what cannot be decoded becomes U+FFFD.

    Unknown names are taken for the default repertoire, read as Latin-1.
    """
    names = specific_character_set.decode("ascii", "replace").split("\\")
    codec = _codec(names[0])
    if len(names) > 1:
        return lambda value: _extended(value, codec)
    return lambda value: value.decode(codec, "replace")


def _codec(name: str) -> str:
    key = name.strip(" \0").replace("ISO IR", "ISO_IR").replace("ISO-IR", "ISO_IR")
    return python_encoding.get(key, default_encoding)


def _extended(value: bytes, first: str) -> str:
    """Text with code extensions: each escape sequence says what follows it (PS3.5 6.1.2.5)."""
    if _ESCAPE not in value:
        return value.decode(first, "replace")
    return "".join(_fragment(fragment, first) for fragment in _FRAGMENTS.findall(value))


def _fragment(fragment: bytes, first: str) -> str:
    for code, codec in CODES_TO_ENCODINGS.items():
        if fragment.startswith(code):
            text = fragment if codec in _STATEFUL else fragment[len(code) :]
            return text.decode(codec, "replace")
    return fragment.decode(first, "replace")
