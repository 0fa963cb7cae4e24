"""The state transition table of the upper layer (PS3.8 9.2.3, table 9-10), as it stands there."""

from enum import IntEnum


class State(IntEnum):
    """States of an association (PS3.8 tables 9-1 to 9-5)."""

    IDLE = 1
    AWAITING_REQUEST = 2  # the transport connection is open
    AWAITING_LOCAL_ANSWER = 3
    AWAITING_TRANSPORT = 4
    AWAITING_ANSWER = 5
    ESTABLISHED = 6
    AWAITING_RELEASE_ANSWER = 7
    AWAITING_LOCAL_RELEASE_ANSWER = 8
    COLLISION_REQUESTOR_LOCAL = 9
    COLLISION_ACCEPTOR = 10
    COLLISION_REQUESTOR = 11
    COLLISION_ACCEPTOR_LOCAL = 12
    AWAITING_CLOSE = 13


class Event(IntEnum):
    """What can happen to an association (PS3.8 table 9-10, first column)."""

    ASSOCIATE_REQUEST = 1  # ours
    TRANSPORT_CONNECTED = 2
    ASSOCIATE_AC = 3
    ASSOCIATE_RJ = 4
    TRANSPORT_INDICATION = 5
    ASSOCIATE_RQ = 6
    ACCEPT = 7
    REJECT = 8
    DATA_REQUEST = 9
    DATA = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ = 12
    RELEASE_RP = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


# Rows are events, columns are states; "-" cannot be.
_TABLE_9_10 = """
     Sta1 Sta2 Sta3 Sta4 Sta5 Sta6 Sta7 Sta8 Sta9 Sta10 Sta11 Sta12 Sta13
 1   AE-1 -    -    -    -    -    -    -    -    -     -     -     -
 2   -    -    -    AE-2 -    -    -    -    -    -     -     -     -
 3   -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
 4   -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
 5   AE-5 -    -    -    -    -    -    -    -    -     -     -     -
 6   -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
 7   -    -    AE-7 -    -    -    -    -    -    -     -     -     -
 8   -    -    AE-8 -    -    -    -    -    -    -     -     -     -
 9   -    -    -    -    -    DT-1 -    AR-7 -    -     -     -     -
10   -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
11   -    -    -    -    -    AR-1 -    -    -    -     -     -     -
12   -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
13   -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3  AA-8  AA-6
14   -    -    -    -    -    -    -    AR-4 AR-9 -     -     AR-4  -
15   -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1  AA-1  -
16   -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3  AA-3  AA-2
17   -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4  AA-4  AR-5
18   -    AA-2 -    -    -    -    -    -    -    -     -     -     AA-2
19   -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
"""

# PS3.8 tables 9-6 to 9-9. Of two, the action decides: AE-6 by whether the request can be taken at
# all, AR-8 by who has asked for the association.
NEXT_STATES: dict[str, tuple[State, ...]] = {
    action: tuple(State(number) for number in numbers)
    for action, *numbers in (
        ("AE-1", 4), ("AE-2", 5), ("AE-3", 6), ("AE-4", 1), ("AE-5", 2), ("AE-6", 3, 13),
        ("AE-7", 6), ("AE-8", 13),
        ("DT-1", 6), ("DT-2", 6),
        ("AR-1", 7), ("AR-2", 8), ("AR-3", 1), ("AR-4", 13), ("AR-5", 1), ("AR-6", 7),
        ("AR-7", 8), ("AR-8", 9, 10), ("AR-9", 11), ("AR-10", 12),
        ("AA-1", 13), ("AA-2", 1), ("AA-3", 1), ("AA-4", 1), ("AA-5", 1), ("AA-6", 13),
        ("AA-7", 13), ("AA-8", 13),
    )
}  # fmt: skip


def _read(table: str) -> dict[tuple[Event, State], str]:
    rows = [line.split() for line in table.strip().splitlines()[1:]]
    return {
        (Event(int(row[0])), State(column)): action
        for row in rows
        for column, action in enumerate(row[1:], start=1)
        if action != "-"
    }


TRANSITIONS = _read(_TABLE_9_10)
"""The action that an event causes in a state; what is not there cannot happen."""
