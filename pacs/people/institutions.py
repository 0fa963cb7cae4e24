"""Whose studies somebody may see, by the Institution Name (0008,0080) that their series carry."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pacs.people.errors import BadInstitution

_MOST = 100
_LONGEST = 64  # characters, PS3.5 6.2: LO


def institution_names(names: Sequence[str] | None) -> list[str] | None:
    """The names as the index writes them, each once; None stays None: no limit.

    Raises BadInstitution for what no institution is called, and for no name at all.
    """
    if names is None:
        return None
    clean = list(dict.fromkeys(unicodedata.normalize("NFC", name).strip() for name in names))
    for name in clean:
        if not name or len(name) > _LONGEST or not name.isprintable():
            raise BadInstitution(name)
    if not 1 <= len(clean) <= _MOST:
        raise BadInstitution("")
    return clean


def listed(stored: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names of a row."""
    return None if stored is None else tuple(stored)
