"""Command sets: as pydicom and pynetdicom read and write them, and whatever else may come."""

import dataclasses
import struct
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import decode as their_decode
from pynetdicom.dsutils import encode as their_encode

from dicom_node.dimse import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    C_STORE_RQ,
    C_STORE_RSP,
    MAX_COMMAND_BYTES,
    NO_DATA_SET,
    PENDING,
    SUCCESS,
    Command,
    decode,
    is_warning,
    response_to,
)
from dicom_node.errors import ProtocolError

KEYWORDS = {
    "command_field": "CommandField",
    "message_id": "MessageID",
    "message_id_being_responded_to": "MessageIDBeingRespondedTo",
    "affected_sop_class_uid": "AffectedSOPClassUID",
    "requested_sop_class_uid": "RequestedSOPClassUID",
    "affected_sop_instance_uid": "AffectedSOPInstanceUID",
    "requested_sop_instance_uid": "RequestedSOPInstanceUID",
    "priority": "Priority",
    "status": "Status",
    "error_comment": "ErrorComment",
    "error_id": "ErrorID",
    "event_type_id": "EventTypeID",
    "action_type_id": "ActionTypeID",
    "remaining_suboperations": "NumberOfRemainingSuboperations",
    "completed_suboperations": "NumberOfCompletedSuboperations",
    "failed_suboperations": "NumberOfFailedSuboperations",
    "warning_suboperations": "NumberOfWarningSuboperations",
    "move_destination": "MoveDestination",
    "move_originator_aet": "MoveOriginatorApplicationEntityTitle",
    "move_originator_message_id": "MoveOriginatorMessageID",
}
TAGS = {
    "offending_elements": "OffendingElement",
    "attribute_identifiers": "AttributeIdentifierList",
}

shorts = st.integers(0, 0xFFFF)
uids = st.from_regex(r"[1-9][0-9]{0,5}(\.[1-9][0-9]{0,6}){1,6}", fullmatch=True)
titles = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=16)
tags = st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=5).map(tuple)


def _values(name: str) -> st.SearchStrategy[Any]:
    if name.endswith("_uid"):
        return uids
    if name in TAGS:
        return tags
    if name in ("move_destination", "move_originator_aet", "error_comment"):
        return titles
    return shorts


optional = {
    field.name: st.none() | _values(field.name)
    for field in dataclasses.fields(Command)
    if field.name in KEYWORDS | TAGS and field.name != "command_field"
}
commands = st.builds(
    Command,
    command_field=shorts,
    has_data_set=st.booleans(),
    **{
        **optional,
        "message_id": shorts,
        "message_id_being_responded_to": shorts,
        "status": shorts,
    },
)


def as_pydicom(command: Command) -> Dataset:
    """The same command set as a data set."""
    dataset = Dataset()
    for name, keyword in (KEYWORDS | TAGS).items():
        value = getattr(command, name)
        if value is not None:
            setattr(dataset, keyword, list(value) if name in TAGS else value)
    dataset.CommandDataSetType = 1 if command.has_data_set else NO_DATA_SET
    return dataset


@given(commands)
def test_as_others_write_it(command: Command) -> None:
    encoded = command.encode()
    theirs = their_encode(as_pydicom(command), True, True)
    assert theirs is not None
    assert encoded[12:] == theirs
    assert struct.unpack("<HHII", encoded[:12]) == (0, 0, 4, len(theirs))


@given(commands)
def test_as_others_read_it(command: Command) -> None:
    read = their_decode(BytesIO(command.encode()), True, True)
    for name, keyword in KEYWORDS.items():
        assert read.get(keyword) == getattr(command, name), name


@given(commands)
def test_read_back(command: Command) -> None:
    assert decode(command.encode()) == command


@given(st.binary(max_size=300))
@example(Command(command_field=C_STORE_RSP, message_id_being_responded_to=1, status=0).encode())
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except ProtocolError as refused:
        assert str(refused)


@given(commands, st.data())
def test_damaged_command_sets(command: Command, data: st.DataObject) -> None:
    encoded = bytearray(command.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(encoded[: data.draw(st.integers(0, len(encoded)))])
    except ProtocolError as refused:
        assert str(refused)


def element(number: int, value: bytes) -> bytes:
    """An element of group 0000."""
    return struct.pack("<HHI", 0, number, len(value)) + value


ECHO = Command(command_field=C_ECHO_RQ, message_id=7)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Command Field"),
        (ECHO.encode()[:-1], "beyond"),
        (ECHO.encode() + b"\0\0", "ends within"),
        (ECHO.encode() + struct.pack("<HHI", 8, 0x18, 0), "group 0008"),
        (ECHO.encode() + element(0x0110, b"\1\0"), "twice"),
        (element(0x0100, b"\x30"), "instead of 2"),
        (element(0x0100, b"\x30\0") + element(0x0110, b"\1\0"), "Data Set Type"),
        (element(0x0100, b"\x30\0") + element(0x0800, b"\1\1"), "Message ID"),
        (element(0x0100, b"\x30\x80") + element(0x0800, b"\1\1"), "Responded To"),
        (
            element(0x0100, b"\x30\x80") + element(0x0120, b"\1\0") + element(0x0800, b"\1\1"),
            "Status",
        ),
        (ECHO.encode() + element(0x0901, b"123"), "no tags"),
        (bytes(MAX_COMMAND_BYTES + 1), "over"),
    ],
)
def test_what_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        decode(data)


def test_retired_elements_are_skipped() -> None:
    retired = element(0x5110, b"\0\0\0\0") + element(0x5130, b"X ")
    assert decode(ECHO.encode() + retired) == ECHO


def test_response() -> None:
    request = Command(
        command_field=C_STORE_RQ,
        message_id=9,
        affected_sop_class_uid="1.2.3",
        affected_sop_instance_uid="1" * 65,  # no UID: not said again
        has_data_set=True,
    )
    answer = response_to(
        request, 0xC000, "a comment\\of more than sixty-four characters " + "x" * 64
    )
    read = decode(answer.encode())
    assert read == Command(
        command_field=C_STORE_RSP,
        message_id_being_responded_to=9,
        affected_sop_class_uid="1.2.3",
        status=0xC000,
        error_comment=("a comment/of more than sixty-four characters " + "x" * 64)[:64],
    )
    assert read.is_response
    assert not request.is_response
    moved = response_to(
        Command(command_field=C_FIND_RQ, message_id=1), PENDING, remaining_suboperations=3
    )
    assert decode(moved.encode()).remaining_suboperations == 3


def test_cancel() -> None:
    cancel = Command(command_field=C_CANCEL_RQ, message_id_being_responded_to=5)
    assert decode(cancel.encode()) == cancel


@pytest.mark.parametrize(
    "wrong", [{"message_id": 65536}, {"status": -1}, {"affected_sop_class_uid": "một"}]
)
def test_what_cannot_be_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Command(command_field=C_ECHO_RQ, **wrong).encode()


def test_warnings() -> None:
    assert is_warning(0xB000)
    assert is_warning(0xB007)
    assert is_warning(0x0107)
    assert not is_warning(SUCCESS)
    assert not is_warning(0xA700)
