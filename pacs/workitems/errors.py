"""Why a request about workitems is refused, by the status codes of PS3.4 CC.2."""

from collections.abc import Iterable
from enum import Enum, unique

from pacs.errors import PacsError


@unique
class Status(Enum):
    """A status of the UPS operations and one sentence about it, without patient data.

    Codes 0xBxxx warn, all others fail (PS3.4 tables CC.2.1-2 to CC.2.6-1, PS3.7 C).
    """

    ALREADY_CANCELED = 0xB304, "The UPS is already in the requested state of CANCELED."
    ALREADY_COMPLETE = 0xB306, "The UPS is already in the requested state of COMPLETED."
    DUPLICATE = 0x0111, "A workitem with this UID exists already."
    NOT_UPDATABLE = 0xC300, "The workitem is COMPLETED or CANCELED and can no longer be updated."
    TRANSACTION_MISSING = 0xC301, "The Transaction UID is missing."
    TRANSACTION_WRONG = 0xC301, "The Transaction UID is incorrect."
    ALREADY_IN_PROGRESS = 0xC302, "The workitem is already IN PROGRESS."
    ONLY_CREATED_SCHEDULED = 0xC303, "A workitem becomes SCHEDULED by its creation only."
    FINAL_STATE_UNMET = 0xC304, "The workitem lacks what its final state requires:"
    UNKNOWN = 0xC307, "There is no such workitem."
    DELETED = 0xC307, "The workitem did exist and has been deleted."
    NOT_IN_PROGRESS = 0xC310, "The workitem is not IN PROGRESS: nobody has claimed it."
    ALREADY_COMPLETED = 0xC311, "The UPS is already COMPLETED."
    PERFORMER_OUT_OF_REACH = 0xC312, "The performer cannot be contacted."
    NOT_APPROPRIATE = 0xC314, "This can be asked of the whole worklist only."
    NOT_SUBSCRIBED = 0xC314, "There is no such subscription."
    TOO_MANY_SUBSCRIBERS = 0xA700, "There are too many subscribers."

    def __init__(self, code: int, meaning: str) -> None:
        self.code = code
        self.meaning = meaning


class WorkitemError(PacsError):
    """Root of this room's errors."""


class InvalidWorkitem(WorkitemError):
    """A data set that is none, or breaks the table of PS3.4 CC.2.5-3; says which attributes."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        shown = "; ".join(self.reasons[:20])
        super().__init__(shown if len(self.reasons) <= 20 else f"{shown}; and more")


class WorkitemRefused(WorkitemError):
    """A request that the workitem's state, or its absence, does not allow."""

    def __init__(self, sop_instance_uid: str, status: Status, detail: str = "") -> None:
        super().__init__(f"{status.meaning} {detail}".strip())
        self.sop_instance_uid = sop_instance_uid
        self.status = status
