"""Workitems as their users write them, with pydicom, and a client for UPS-RS."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from pydicom import Dataset
from pydicom.uid import generate_uid
from websockets.sync.client import ClientConnection, connect

DICOM_JSON = "application/dicom+json"
EVERYTHING = "1.2.840.10008.5.1.4.34.5"
FILTERED = "1.2.840.10008.5.1.4.34.5.1"
STATE, READINESS, TRANSACTION = "00741000", "00404041", "00081195"


def code(value: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "99FILMLESS"
    item.CodeMeaning = meaning
    return item


def reference(study: str, series: str, instance: str) -> Dataset:
    """An item that says where to get an instance."""
    sop, where, item = Dataset(), Dataset(), Dataset()
    sop.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    sop.ReferencedSOPInstanceUID = instance
    where.RetrieveURL = f"http://localhost/dicomweb/studies/{study}"
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID = study
    item.SeriesInstanceUID = series
    item.ReferencedSOPSequence = [sop]
    item.WADORSRetrievalSequence = [where]
    return item


def new_workitem(**attributes: object) -> Dataset:
    """All that table CC.2.5-3 requires; keywords set or (None) delete attributes."""
    request = Dataset()
    request.StudyInstanceUID = generate_uid()
    request.AccessionNumber = "A-1"
    request.IssuerOfAccessionNumberSequence = []
    request.OrderPlacerIdentifierSequence = []
    request.OrderFillerIdentifierSequence = []
    request.RequestedProcedureID = "P-1"
    request.RequestedProcedureDescription = "Chụp X-quang ngực"
    request.RequestedProcedureCodeSequence = []
    workitem = Dataset()
    workitem.ScheduledProcedureStepPriority = "MEDIUM"
    workitem.ProcedureStepLabel = "Phân tích phổi"
    workitem.WorklistLabel = "AI"
    workitem.ScheduledProcessingParametersSequence = []
    workitem.ScheduledStationNameCodeSequence = []
    workitem.ScheduledStationClassCodeSequence = []
    workitem.ScheduledStationGeographicLocationCodeSequence = []
    workitem.ScheduledProcedureStepStartDateTime = "20261122080000+0700"
    workitem.ScheduledWorkitemCodeSequence = [code("110005", "Interpretation")]
    workitem.CommentsOnTheScheduledProcedureStep = ""
    workitem.InputReadinessState = "READY"
    workitem.InputInformationSequence = [reference("1.2.3", "1.2.3.4", "1.2.3.4.5")]
    workitem.PatientName = "Nguyễn^Văn Đức"
    workitem.PatientID = "BN-001"
    workitem.IssuerOfPatientID = "LOCAL"
    workitem.IssuerOfPatientIDQualifiersSequence = []
    workitem.OtherPatientIDsSequence = []
    workitem.PatientBirthDate = "19700131"
    workitem.PatientSex = "M"
    workitem.AdmissionID = ""
    workitem.IssuerOfAdmissionIDSequence = []
    workitem.AdmittingDiagnosesDescription = ""
    workitem.AdmittingDiagnosesCodeSequence = []
    workitem.ReferencedRequestSequence = [request]
    workitem.ProcedureStepState = "SCHEDULED"
    workitem.ProcedureStepProgressInformationSequence = []
    workitem.UnifiedProcedureStepPerformedProcedureSequence = []
    for keyword, value in attributes.items():
        if value is None:
            delattr(workitem, keyword)
        else:
            setattr(workitem, keyword, value)
    return workitem


def performed(**attributes: object) -> Dataset:
    """What COMPLETED demands."""
    item = Dataset()
    item.PerformedStationNameCodeSequence = [code("AI1", "Máy AI 1")]
    item.PerformedProcedureStepStartDateTime = "20261122081500+0700"
    item.PerformedProcedureStepEndDateTime = "20261122081530+0700"
    item.PerformedWorkitemCodeSequence = [code("110005", "Interpretation")]
    item.OutputInformationSequence = []
    for keyword, value in attributes.items():
        if value is None:
            delattr(item, keyword)
        else:
            setattr(item, keyword, value)
    changes = Dataset()
    changes.UnifiedProcedureStepPerformedProcedureSequence = [item]
    return changes


@dataclass(frozen=True)
class Worklist:
    """A client of UPS-RS."""

    http: httpx2.Client

    def post(
        self, path: str, body: Dataset | None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """POST a data set as DICOM JSON."""
        content = b"" if body is None else json.dumps([body.to_json_dict()]).encode()
        typed = {"Content-Type": DICOM_JSON} | dict(headers or {})
        return self.http.post(f"/dicomweb/workitems{path}", content=content, headers=typed)

    def create(self, **attributes: object) -> str:
        """A new workitem; its UID."""
        uid = generate_uid()
        answer = self.post(f"?{uid}", new_workitem(**attributes))
        assert answer.status_code == 201, answer.text
        return str(uid)

    def get(self, uid: str) -> Dataset:
        """The workitem as pydicom reads it."""
        answer = self.http.get(f"/dicomweb/workitems/{uid}", headers={"Accept": DICOM_JSON})
        assert answer.status_code == 200, answer.text
        return Dataset.from_json(answer.json()[0])

    def update(self, uid: str, changes: Dataset, transaction: str | None = None) -> httpx2.Response:
        """Update the workitem."""
        query = "" if transaction is None else f"?transaction-uid={transaction}"
        return self.post(f"/{uid}{query}", changes)

    def state(self, uid: str, state: str, transaction: str | None) -> httpx2.Response:
        """Ask for another state."""
        body: dict[str, Any] = {STATE: {"vr": "CS", "Value": [state]}}
        if transaction is not None:
            body[TRANSACTION] = {"vr": "UI", "Value": [transaction]}
        return self.http.put(
            f"/dicomweb/workitems/{uid}/state",
            content=json.dumps([body]),
            headers={"Content-Type": DICOM_JSON},
        )

    def claim(self, uid: str) -> str:
        """Take the workitem; the Transaction UID that opens it."""
        transaction = generate_uid()
        answer = self.state(uid, "IN PROGRESS", transaction)
        assert answer.status_code == 200, answer.text
        return str(transaction)

    def bring_to(self, state: str) -> tuple[str, str | None]:
        """A workitem in that state, and its Transaction UID."""
        uid = self.create()
        if state == "SCHEDULED":
            return uid, None
        transaction = self.claim(uid)
        if state == "COMPLETED":
            assert self.update(uid, performed(), transaction).status_code == 200
        if state != "IN PROGRESS":
            answer = self.state(uid, state, transaction)
            assert answer.status_code == 200, answer.text
        return uid, transaction

    def subscribe(self, uid: str, aet: str, query: str = "") -> httpx2.Response:
        """Subscribe an AE."""
        return self.http.post(f"/dicomweb/workitems/{uid}/subscribers/{aet}{query}")

    def line(self, aet: str) -> ClientConnection:
        """An open line for the reports of an AE."""
        url = str(self.http.base_url).rstrip("/").replace("http", "ws", 1)
        token = self.http.headers.get("Authorization")
        return connect(
            f"{url}/dicomweb/ws/subscribers/{aet}",
            additional_headers={"Authorization": token} if token else None,
            proxy=None,
        )


def report(line: ClientConnection, seconds: float = 10) -> Dataset:
    """The next report on a line."""
    message = line.recv(timeout=seconds)
    assert isinstance(message, str)
    return Dataset.from_json(message)


def silent(line: ClientConnection, seconds: float = 0.4) -> bool:
    """Whether nothing is reported for a moment."""
    try:
        line.recv(timeout=seconds)
    except TimeoutError:
        return True
    return False
