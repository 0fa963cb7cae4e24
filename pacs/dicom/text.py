"""Text as people write it and as they search for it."""

import re
import unicodedata

_WITHOUT_DECOMPOSITION = str.maketrans(
    {
        "\0": "",
        "đ": "d",
        "Đ": "d",
        "ø": "o",
        "Ø": "o",
        "ł": "l",
        "Ł": "l",
        "ß": "ss",
        "æ": "ae",
        "Æ": "ae",
    }
)
_SEPARATORS = re.compile(r"[\s^=,;]+")


def normal(text: str) -> str:
    """The text as it is stored: NFC, without the padding of PS3.5 6.2 around it and without NUL.

    PostgreSQL keeps no NUL in text, and none is text.
    """
    stripped = text.replace("\0", "").strip()
    return stripped if stripped.isascii() else unicodedata.normalize("NFC", stripped)


def fold(text: str) -> str:
    """The search key of a text: no diacritics, đ as d, case-less, words parted by one space.

    The separators of person names (`^`, `=`, PS3.5 6.2.1) part words too, so that
    "Nguyễn^Văn^Đức" and "nguyen van duc" have the same key.
    """
    decomposed = unicodedata.normalize("NFD", text.translate(_WITHOUT_DECOMPOSITION))
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _SEPARATORS.sub(" ", bare.casefold()).strip()


def fold_name(name: str) -> str:
    """The search key of a person's name: its component groups (PS3.5 6.2.1) folded, `=` between."""
    return "=".join(map(fold, name.split("="))).rstrip("=") if "=" in name else fold(name)
