"""Whether a data set fulfils the table of PS3.4 CC.2.5-3: new, as a change, in a final state."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pacs.workitems.attributes import CHOICES, SINGLE, WORKITEM, Requirement, tag_of
from pacs.workitems.dataset import Model, first, values_of
from pacs.workitems.errors import InvalidWorkitem
from pacs.workitems.states import State

_Operation = Literal["create", "set"]


def check_new(model: Model) -> None:
    """Whether a workitem may be made of it (N-CREATE). Raises InvalidWorkitem."""
    _check(model, "create")
    if first(model, tag_of("ProcedureStepState")) != State.SCHEDULED:
        raise InvalidWorkitem(["ProcedureStepState: of a new workitem is SCHEDULED"])


def check_change(model: Model) -> None:
    """Whether a workitem may be changed like this (N-SET). Raises InvalidWorkitem."""
    _check(model, "set")


def missing_for(model: Model, state: State) -> list[str]:
    """What the workitem lacks for this final state; empty where it may be set."""
    wanted = {"R", "P", "P2"} if state is State.COMPLETED else {"R", "X"}
    return list(_lacks(model, WORKITEM, wanted))


def _check(model: Model, operation: _Operation) -> None:
    reasons = list(_violations(model, WORKITEM, operation, ""))
    for tag, choices in CHOICES.items():
        if values_of(model, tag) and first(model, tag) not in choices:
            reasons.append(f"{WORKITEM[tag].keyword}: is one of {', '.join(choices)}")
    reasons += [
        f"{WORKITEM[tag].keyword}: holds one item at most"
        for tag in SINGLE
        if len(values_of(model, tag)) > 1
    ]
    if operation == "create":
        reasons += [
            f"{WORKITEM[tag].keyword}: of a new workitem is empty"
            for tag in SINGLE
            if values_of(model, tag)
        ]
    if reasons:
        raise InvalidWorkitem(reasons)


def _violations(
    model: Mapping[str, Any], rows: Mapping[str, Requirement], operation: _Operation, path: str
) -> Iterator[str]:
    for tag, row in rows.items():
        name = f"{path}{row.keyword}"
        kind = row.create if operation == "create" else row.set
        asked, _, kept = kind.partition("/")
        # In a change of the workitem itself nothing is required to be there.
        if tag not in model:
            if asked in ("1", "2"):
                yield f"{name}: is missing"
            continue
        values = values_of(model, tag)
        if kind == "X":
            yield f"{name}: may not be given here"
            continue
        if kind == "0" and values:
            yield f"{name}: must be empty"
        elif not values and (asked == "1" or (operation == "set" and kept == "1")):
            yield f"{name}: must have a value"
        for item in values if row.items else ():
            yield from _violations(item, row.items, operation, f"{name}.")
            yield from (f"{name}: {reason}" for reason in _unmet(item, row.macro))


def _unmet(item: Model, macro: str | None) -> list[str]:
    return [] if macro not in _CONDITIONS else _CONDITIONS[macro](item)


def _has(item: Model, keyword: str) -> bool:
    return bool(values_of(item, tag_of(keyword)))


def _code(item: Model) -> list[str]:
    values = [_has(item, keyword) for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue")]
    if sum(values) != 1:
        return ["has one of CodeValue, LongCodeValue and URNCodeValue"]
    if not values[2] and not _has(item, "CodingSchemeDesignator"):
        return ["CodingSchemeDesignator is missing"]
    return []


_CONTENT_VALUES = {
    "DATETIME": "DateTime",
    "DATE": "Date",
    "TIME": "Time",
    "PNAME": "PersonName",
    "UIDREF": "UID",
    "TEXT": "TextValue",
    "CODE": "ConceptCodeSequence",
    "NUMERIC": "NumericValue",
}


def _content(item: Model) -> list[str]:
    kind = first(item, tag_of("ValueType"))
    if kind not in _CONTENT_VALUES:
        return [f"ValueType is one of {', '.join(_CONTENT_VALUES)}"]
    wanted = [_CONTENT_VALUES[kind]]
    if kind == "NUMERIC":
        wanted.append("MeasurementUnitsCodeSequence")
    return [f"{keyword} is missing" for keyword in wanted if not _has(item, keyword)]


_RETRIEVALS = ("DICOM", "DICOMMedia", "WADO", "XDS", "WADORS")
_STORAGES = ("DICOM", "STOWRS", "XDS")


def _reference(item: Model) -> list[str]:
    reasons = []
    if not any(_has(item, f"{way}RetrievalSequence") for way in _RETRIEVALS):
        reasons.append("says no way of retrieval")
    if first(item, tag_of("TypeOfInstances")) == "DICOM":
        uids = ("StudyInstanceUID", "SeriesInstanceUID")
        reasons += [f"{keyword} is missing" for keyword in uids if not _has(item, keyword)]
    return reasons


def _designator(item: Model) -> list[str]:
    if not (_has(item, "LocalNamespaceEntityID") or _has(item, "UniversalEntityID")):
        return ["has LocalNamespaceEntityID or UniversalEntityID"]
    return _universal(item)


def _universal(item: Model) -> list[str]:
    if _has(item, "UniversalEntityID") and not _has(item, "UniversalEntityIDType"):
        return ["UniversalEntityIDType is missing"]
    return []


def _storage(item: Model) -> list[str]:
    if any(_has(item, f"{way}StorageSequence") for way in _STORAGES):
        return []
    return ["says no way of storage"]


_CONDITIONS: Mapping[str | None, Callable[[Model], list[str]]] = {
    "CODE": _code,
    "CONTENT": _content,
    "REFERENCE": _reference,
    "DESIGNATOR": _designator,
    "QUALIFIER": _universal,
    "STORAGE": _storage,
}


def _lacks(
    model: Mapping[str, Any], rows: Mapping[str, Requirement], wanted: set[str], path: str = ""
) -> Iterator[str]:
    for tag, row in rows.items():
        if row.final not in wanted:
            continue
        values = values_of(model, tag)
        if not values and not (row.final == "P2" and tag in model):
            yield f"{path}{row.keyword}"
        elif row.macro is None and row.items:
            for item in values:
                yield from _lacks(item, row.items, wanted, f"{path}{row.keyword}.")
