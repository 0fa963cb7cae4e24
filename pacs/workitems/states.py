"""The states of a workitem and what may become of each (PS3.4 CC.1.1)."""

from collections.abc import Mapping
from enum import StrEnum, unique

from pacs.workitems.errors import Status


@unique
class State(StrEnum):
    """Procedure Step State (0074,1000)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


FINAL = frozenset((State.COMPLETED, State.CANCELED))


@unique
class Step(StrEnum):
    """What is done where nothing stands against it."""

    CLAIM = "record the Transaction UID"
    FINISH = "if the final state's requirements are met"
    CANCEL = "through IN PROGRESS to CANCELED, by ourselves"
    TELL = "report that somebody asks to cancel"


Outcome = Step | Status
_BY_CREATION = Status.ONLY_CREATED_SCHEDULED
_WRONG = Status.TRANSACTION_WRONG

# Rows: the state asked for, and whether with the correct Transaction UID; columns: the state it is
# in. Table CC.1.1-2. Any Transaction UID is correct for what nobody has claimed.
_COLUMNS = (State.SCHEDULED, State.IN_PROGRESS, State.COMPLETED, State.CANCELED)
_CHANGES: Mapping[tuple[State, bool], tuple[Outcome, Outcome, Outcome, Outcome]] = {
    (State.SCHEDULED, True): (_BY_CREATION, _BY_CREATION, _BY_CREATION, _BY_CREATION),
    (State.SCHEDULED, False): (_BY_CREATION, _BY_CREATION, _BY_CREATION, _BY_CREATION),
    (State.IN_PROGRESS, True): (
        Step.CLAIM,
        Status.ALREADY_IN_PROGRESS,
        Status.NOT_UPDATABLE,
        Status.NOT_UPDATABLE,
    ),
    (State.IN_PROGRESS, False): (_WRONG, _WRONG, _WRONG, _WRONG),
    (State.COMPLETED, True): (
        Status.NOT_IN_PROGRESS,
        Step.FINISH,
        Status.ALREADY_COMPLETE,
        Status.NOT_UPDATABLE,
    ),
    (State.COMPLETED, False): (_WRONG, _WRONG, _WRONG, _WRONG),
    (State.CANCELED, True): (
        Status.NOT_IN_PROGRESS,
        Step.FINISH,
        Status.NOT_UPDATABLE,
        Status.ALREADY_CANCELED,
    ),
    (State.CANCELED, False): (_WRONG, _WRONG, _WRONG, _WRONG),
}
_REQUESTS: Mapping[State, Outcome] = {
    State.SCHEDULED: Step.CANCEL,
    State.IN_PROGRESS: Step.TELL,
    State.COMPLETED: Status.ALREADY_COMPLETED,
    State.CANCELED: Status.ALREADY_CANCELED,
}


def change(current: State, asked: State, *, correct: bool) -> Outcome:
    """What a request to change the state leads to (Change UPS State)."""
    return _CHANGES[asked, correct][_COLUMNS.index(current)]


def cancel_request(current: State) -> Outcome:
    """What somebody's request that it be canceled leads to (Request UPS Cancel)."""
    return _REQUESTS[current]
