"""How refusals of workitem requests are answered (PS3.18 tables 11.4.3-1 to 11.12.3-1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from starlette.requests import HTTPConnection

from pacs.workitems.errors import InvalidWorkitem, Status, WorkitemRefused
from viewer_api.door import base_url
from viewer_api.problems import Problem

Operation = Literal["create", "retrieve", "update", "state", "cancel", "subscribe"]

_UNCLAIMED = "The target URI did not reference a claimed Workitem."
_UPDATE_CONFLICT = "The submitted request is inconsistent with the current state of the Workitem."
_STATE_CONFLICT = "The submitted request is inconsistent with the state of the UPS Instance."

# HTTP status and Warning text by operation and refusal; those of every operation are below.
_REFUSALS: Mapping[tuple[Operation, Status], tuple[int, str]] = {
    ("update", Status.NOT_UPDATABLE): (400, _UPDATE_CONFLICT),
    ("update", Status.TRANSACTION_MISSING): (400, _UPDATE_CONFLICT),
    ("update", Status.TRANSACTION_WRONG): (400, _UPDATE_CONFLICT),
    ("update", Status.NOT_IN_PROGRESS): (409, _UNCLAIMED),
    ("state", Status.NOT_UPDATABLE): (409, _STATE_CONFLICT),
    ("state", Status.TRANSACTION_MISSING): (400, Status.TRANSACTION_MISSING.meaning),
    ("state", Status.TRANSACTION_WRONG): (400, Status.TRANSACTION_WRONG.meaning),
    ("state", Status.ALREADY_IN_PROGRESS): (409, _STATE_CONFLICT),
    ("state", Status.ONLY_CREATED_SCHEDULED): (400, _STATE_CONFLICT),
    ("state", Status.FINAL_STATE_UNMET): (409, _STATE_CONFLICT),
    ("state", Status.NOT_IN_PROGRESS): (409, _STATE_CONFLICT),
    ("cancel", Status.ALREADY_COMPLETED): (409, Status.ALREADY_COMPLETED.meaning),
    ("cancel", Status.PERFORMER_OUT_OF_REACH): (409, Status.PERFORMER_OUT_OF_REACH.meaning),
    ("subscribe", Status.NOT_APPROPRIATE): (400, Status.NOT_APPROPRIATE.meaning),
    ("subscribe", Status.NOT_SUBSCRIBED): (404, Status.NOT_SUBSCRIBED.meaning),
    ("subscribe", Status.TOO_MANY_SUBSCRIBERS): (403, Status.TOO_MANY_SUBSCRIBERS.meaning),
}
_OF_EVERY_OPERATION: Mapping[Status, tuple[int, str]] = {
    Status.DUPLICATE: (409, Status.DUPLICATE.meaning),
    Status.UNKNOWN: (404, Status.UNKNOWN.meaning),
    Status.DELETED: (410, Status.DELETED.meaning),
}


@contextmanager
def refusals_answered(request: HTTPConnection, operation: Operation) -> Iterator[None]:
    """Turns this room's refusals into problems with the Warning that PS3.18 has for them."""
    try:
        yield
    except InvalidWorkitem as error:
        raise Problem(400, "invalid_workitem", str(error)) from error
    except WorkitemRefused as error:
        found = _REFUSALS.get((operation, error.status)) or _OF_EVERY_OPERATION[error.status]
        status, text = found
        raise Problem(
            status, error.status.name.lower(), str(error), headers=warning(request, text)
        ) from error


def warning(request: HTTPConnection, *texts: str) -> dict[str, str]:
    """The Warning header (PS3.18 8.5) with these texts; none where there are none."""
    agent = base_url(request)
    return {"Warning": ", ".join(f'299 {agent} "{text}"' for text in texts)} if texts else {}
