"""What may be asked of the index."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pacs.index.attributes import Level


@dataclass(frozen=True, slots=True)
class Scope:
    """Which studies may be seen: all, one alone, or those of some institutions.

    `institutions`: studies of which a series carries one of these Institution Names (0008,0080).
    """

    study_instance_uid: str | None = None
    institutions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Keys by tag (eight hex digits) with values as C-FIND and QIDO-RS write them.

    A key in the items of a sequence has the sequence's tag before its own, with a dot between:
    `00400275.00400009`. Keys that the index does not hold select nothing out (PS3.4 C.2.2.1.3:
    optional keys); `pacs.index.attributes.is_key` tells which it holds.
    `include`: attributes beyond those of the level, of the levels above.
    `answer`: all attributes of the level, or the keys, those included and the UIDs alone.
    `fuzzy`: a name is found by the beginnings of its words, in any order.
    `combined_moments`: ranges of a date and its time are one range of moments (PS3.4 C.2.2.2.5),
    which peers negotiate.
    """

    level: Level
    matches: Mapping[str, str]
    include: frozenset[str] | Literal["all"] = frozenset()
    limit: int = 100
    offset: int = 0
    fuzzy: bool = False
    answer: Literal["level", "keys"] = "level"
    combined_moments: bool = False


EVERYTHING = Scope()
"""No limits to what may be seen."""
