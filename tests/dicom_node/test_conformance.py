"""The conformance statement says what the server does, and the committed one is of this version."""

import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from dicom_node import dimse
from dicom_node.conformance import statement, tables
from dicom_node.conformance.statuses import MEANINGS
from dicom_node.negotiation import negotiate
from dicom_node.services import SERVICES
from dicom_node.upper_layer.proposal import ACCEPTED, Proposal, ProposedContext
from pacs.settings import Settings, load_settings

COMMITTED = Path(__file__).parent.parent.parent / "docs" / "conformance.md"
ROOM = "dicom_node.services"
STATUSES = {
    name: value
    for name, value in vars(dimse).items()
    if isinstance(value, int)
    and name.isupper()
    and not name.endswith(("_RQ", "_RSP"))
    and name not in ("MEDIUM", "HIGH", "LOW", "NO_DATA_SET", "DATA_SET", "RESPONSE")
    and not name.startswith("MAX_")
}


@pytest.fixture
def defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of an installation that has changed none."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PACS_{name.upper()}", raising=False)
    return load_settings(data_dir=tmp_path)


def test_the_committed_statement_is_of_this_version(defaults: Settings) -> None:
    assert COMMITTED.read_text() == statement(defaults), (
        "docs/conformance.md is not what the program says of itself now. Read what has changed, and"
        " renew it: PACS_DATA_DIR=$(mktemp -d) .venv/bin/pacs conformance > docs/conformance.md"
    )


def test_settings_in_force_are_in_it(defaults: Settings) -> None:
    said = statement(defaults.model_copy(update={"aet": "PROVINCE", "max_associations": 7}))
    assert "`aet` | `PROVINCE`" in said
    assert "7 in all" in said


def test_what_it_names_is_what_is_accepted() -> None:
    """Each SOP class of the standard is in the statement if, and only if, it is accepted."""
    said = tables.services() + tables.storage_classes()
    for uid in UID_dictionary:
        if UID(uid).type != "SOP Class":
            continue
        context = ProposedContext(uid, ("1.2.840.10008.1.2",), 1)
        (answer,) = negotiate(Proposal("PEER", "FILMLESS", (context,))).contexts
        assert (answer.result == ACCEPTED) == (f"`{uid}`" in said), UID(uid).name


@pytest.mark.parametrize(
    ("field", "handler"),
    [
        (field, handler)
        for service in SERVICES
        for field, handler in service.handlers.items()
        if not field & dimse.RESPONSE
    ],
)
def test_it_names_every_status_that_can_be_answered(
    field: int, handler: Callable[..., Any]
) -> None:
    used = {STATUSES[name] for name in names_of_statuses(handler, set())}
    assert {f"{status:04X}" for status in MEANINGS[field]} == {f"{one:04X}" for one in used}


def names_of_statuses(found: Any, seen: set[int]) -> Iterator[str]:
    """The statuses named in what a function, method or class of the services can call."""
    if id(found) in seen:
        return
    seen.add(id(found))
    if isinstance(found, type):
        for member in vars(found).values():
            yield from names_of_statuses(member, seen)
    elif isinstance(found, property):
        yield from names_of_statuses(found.fget, seen)
    found = getattr(found, "__wrapped__", found)
    if isinstance(found, types.FunctionType):
        yield from _in_code(found.__code__, found.__globals__, seen)


def _in_code(code: types.CodeType, names: dict[str, Any], seen: set[int]) -> Iterator[str]:
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _in_code(inner, names, seen)
    modules = [
        value for name in code.co_names if isinstance(value := names.get(name), types.ModuleType)
    ]
    for name in code.co_names:
        if name in STATUSES and names.get(name) == STATUSES[name]:
            yield name
        for value in (names.get(name), *(getattr(module, name, None) for module in modules)):
            if getattr(value, "__module__", "").startswith(ROOM):
                yield from names_of_statuses(value, seen)
