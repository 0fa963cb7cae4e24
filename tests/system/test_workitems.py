"""kill -9 of the whole product: what subscribers have not heard is told when it is back."""

import contextlib
from collections.abc import Callable

import pytest
import websockets
from pydicom import Dataset

from tests.plugins.product import Product
from tests.plugins.workitems import EVERYTHING, Worklist, performed, report

pytestmark = pytest.mark.system

STATUS_CHANGE = 4


def test_reports_and_workitems_survive_a_kill(start_product: Callable[..., Product]) -> None:
    product = start_product(PACS_AI="false")
    worklist = Worklist(product.client("service"))
    assert worklist.subscribe(EVERYTHING, "AI", "?deletionlock=true").status_code == 201
    uid = worklist.create()
    with contextlib.suppress(websockets.ConnectionClosed), worklist.line("AI") as line:
        assert report(line).AffectedSOPInstanceUID == uid
        transaction = worklist.claim(uid)
        assert report(line).ProcedureStepState == "IN PROGRESS"
        product.kill()
        line.recv(timeout=10)
    product.start()
    worklist = Worklist(product.client("service"))
    assert worklist.get(uid).ProcedureStepState == "IN PROGRESS"
    assert worklist.update(uid, performed(), transaction).status_code == 200
    assert worklist.state(uid, "COMPLETED", transaction).status_code == 200
    told: list[Dataset] = []
    with worklist.line("AI") as line:
        while not told or told[-1].get("ProcedureStepState") != "COMPLETED":
            told.append(report(line))
    # The last minute before a line broke comes again.
    states = [one.ProcedureStepState for one in told if one.EventTypeID != STATUS_CHANGE]
    assert states == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]
    [status] = [one for one in told if one.EventTypeID == STATUS_CHANGE]
    assert status.SCPStatus == "RESTARTED"
    product.assert_no_traceback()
