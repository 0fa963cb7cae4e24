"""Which attributes a workitem has, and when: table CC.2.5-3 of PS3.4 and its macros.

Columns: keyword (`>` once for each sequence it is in, `@` before the macro of its items),
N-CREATE, N-SET (SCU/SCP), Final State, Return Key. Attributes that are not listed are of type 3.
`X`: not allowed; `0`: empty, if present; `=`: ours, if present; `-`: written by us alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword

_WORKITEM = """
TransactionUID                                  0     X    O  -
SpecificCharacterSet                            3/3   3/3  O  1C
SOPClassUID                                     =     X    O  1
SOPInstanceUID                                  =     X    O  1
ScheduledProcedureStepPriority                  1/1   3/1  R  1
ScheduledProcedureStepModificationDateTime      -     -    O  3
ProcedureStepLabel                              1/1   3/1  O  1
WorklistLabel                                   2/1   3/1  O  1
ScheduledProcessingParametersSequence@CONTENT   2/2   3/2  O  2
ScheduledStationNameCodeSequence@CODE           2/2   3/2  O  2
ScheduledStationClassCodeSequence@CODE          2/2   3/2  O  2
ScheduledStationGeographicLocationCodeSequence@CODE 2/2 3/2 O 2
ScheduledHumanPerformersSequence                2C/2C 3/2  O  2
>HumanPerformerCodeSequence@CODE                1/1   1/1  O  1
>HumanPerformerName                             1/1   1/1  O  3
>HumanPerformerOrganization                     1/1   1/1  O  3
ScheduledProcedureStepStartDateTime             1/1   3/1  R  1
ExpectedCompletionDateTime                      3/1   3/1  O  3
ScheduledWorkitemCodeSequence@CODE              2/2   3/1  O  2
CommentsOnTheScheduledProcedureStep             2/2   3/1  O  3
InputReadinessState                             1/1   3/1  R  1
InputInformationSequence@REFERENCE              2/2   3/2  O  2
StudyInstanceUID                                1C/2  3/2  O  2
OutputDestinationSequence@STORAGE               3/3   3/3  O  3
PatientName                                     2/2   X    O  2
PatientID                                       1C/2  X    O  2
IssuerOfPatientID                               2/2   X    O  2
IssuerOfPatientIDQualifiersSequence@QUALIFIER   2/2   X    O  2
OtherPatientIDsSequence                         2/2   3/3  O  2
>PatientID                                      1/1   1/1  O  1
>IssuerOfPatientID                              2/2   3/3  O  2
>IssuerOfPatientIDQualifiersSequence@QUALIFIER  2/2   3/3  O  2
PatientBirthDate                                2/2   X    O  2
PatientSex                                      2/2   X    O  2
ReferencedPatientPhotoSequence@REFERENCE        3/3   3/3  O  3
AdmissionID                                     2/2   X    O  2
IssuerOfAdmissionIDSequence@DESIGNATOR          2/2   X    O  2
AdmittingDiagnosesDescription                   2/2   X    O  2
AdmittingDiagnosesCodeSequence@CODE             2/2   X    O  2
ReferencedRequestSequence                       2/2   X    O  2
>StudyInstanceUID                               1/1   X    O  1
>AccessionNumber                                2/2   X    O  2
>IssuerOfAccessionNumberSequence@DESIGNATOR     2/2   X    O  2
>OrderPlacerIdentifierSequence@DESIGNATOR       2/2   X    O  2
>OrderFillerIdentifierSequence@DESIGNATOR       2/2   X    O  2
>RequestedProcedureID                           2/2   X    O  2
>RequestedProcedureDescription                  2/2   X    O  2
>RequestedProcedureCodeSequence@CODE            2/2   X    O  2
>ReasonForRequestedProcedureCodeSequence@CODE   3/3   X    O  3
>RequestingServiceCodeSequence@CODE             3/3   X    O  3
ReplacedProcedureStepSequence                   1C/1C X    O  3
>ReferencedSOPClassUID                          1/1   X    O  1
>ReferencedSOPInstanceUID                       1/1   X    O  1
ProcedureStepState                              1/1   X    R  1
ProcedureStepProgressInformationSequence        2/2   3/2  X  2
>ProcedureStepProgress                          X     3/1  O  -
>ProcedureStepProgressDescription               X     3/1  O  -
>ProcedureStepProgressParametersSequence@CONTENT X    3/3  O  -
>ProcedureStepCommunicationsURISequence         X     3/1  O  -
>>ContactURI                                    X     1/1  O  -
>>ContactDisplayName                            X     3/1  O  -
>ProcedureStepCancellationDateTime              X     3/1  X  -
>ReasonForCancellation                          X     3/1  O  -
>ProcedureStepDiscontinuationReasonCodeSequence@CODE X 3/1 X  -
UnifiedProcedureStepPerformedProcedureSequence  2/2   3/2  P  -
>ActualHumanPerformersSequence                  X     3/1  O  1C
>>HumanPerformerCodeSequence@CODE               X     3/1  O  -
>>HumanPerformerName                            X     3/1  O  -
>>HumanPerformerOrganization                    X     3/1  O  -
>PerformedStationNameCodeSequence@CODE          X     3/2  P  3
>PerformedStationClassCodeSequence@CODE         X     3/2  O  -
>PerformedStationGeographicLocationCodeSequence@CODE X 3/2 O  -
>PerformedProcedureStepStartDateTime            X     3/1  P  -
>PerformedProcedureStepDescription              X     3/1  O  -
>CommentsOnThePerformedProcedureStep            X     3/1  O  -
>PerformedWorkitemCodeSequence@CODE             X     3/1  P  -
>PerformedProcessingParametersSequence@CONTENT  X     3/1  O  -
>PerformedProcedureStepEndDateTime              X     3/1  P  1C
>OutputInformationSequence@REFERENCE            X     2/2  P2 -
"""
# P2: OutputInformationSequence has to be there, and may be without items (its remark).

_MACROS = {
    "CODE": """
CodeValue 1C/1C 1C/1C O 1C
CodingSchemeDesignator 1C/1C 1C/1C O 1C
CodeMeaning 1/1 1/1 O 1
LongCodeValue 1C/1C 1C/1C O 1C
URNCodeValue 1C/1C 1C/1C O 1C
""",
    "CONTENT": """
ValueType 1/1 1/1 O 1
ConceptNameCodeSequence@CODE 1/1 1/1 O 1
ConceptCodeSequence@CODE 1C/1C 1C/1C O 1C
MeasurementUnitsCodeSequence@CODE 1C/1C 1C/1C O 1C
""",
    "REFERENCE": """
TypeOfInstances 1/1 1/1 O 1
ReferencedSOPSequence 1/1 1/1 O 1
>ReferencedSOPClassUID 1/1 1/1 O 1
>ReferencedSOPInstanceUID 1/1 1/1 O 1
DICOMRetrievalSequence 1C/1 1C/1 O 1C
>RetrieveAETitle 1/1 1/1 O 1
DICOMMediaRetrievalSequence 1C/1 1C/1 O 1C
>StorageMediaFileSetID 2/2 2/2 O 2
>StorageMediaFileSetUID 1/1 1/1 O 1
WADORetrievalSequence 1C/1 1C/1 O 1C
>RetrieveURI 1/1 1/1 O 1
XDSRetrievalSequence 1C/1 1C/1 O 1C
>RepositoryUniqueID 1/1 1/1 O 1
WADORSRetrievalSequence 1C/1 1C/1 O 1C
>RetrieveURL 1/1 1/1 O 1
""",
    "DESIGNATOR": """
LocalNamespaceEntityID 1C/1 1C/1 O 1C
UniversalEntityID 1C/1 1C/1 O 1C
UniversalEntityIDType 1C/1 1C/1 O 1C
""",
    "QUALIFIER": """
UniversalEntityID 2/2 3/3 O 2
UniversalEntityIDType 1C/1 3/3 O 1C
IdentifierTypeCode 2/2 3/3 O 2
AssigningFacilitySequence@DESIGNATOR 2/2 3/3 O 2
AssigningJurisdictionCodeSequence@CODE 2/2 3/3 O 2
AssigningAgencyOrDepartmentCodeSequence@CODE 2/2 3/3 O 2
""",
    "STORAGE": """
DICOMStorageSequence 1C/1 1C/1 O 1C
>DestinationAE 1/1 1/1 O 1
STOWRSStorageSequence 1C/1 1C/1 O 1C
>StorageURL 1/1 1/1 O 1
XDSStorageSequence 1C/1 1C/1 O 1C
>RepositoryUniqueID 1/1 1/1 O 1
""",
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """A row of the table. `macro`: of the items of a sequence; `items`: their attributes."""

    keyword: str
    create: str
    set: str
    final: str
    returned: str
    macro: str | None
    items: Mapping[str, "Requirement"]


def tag_of(keyword: str) -> str:
    """The tag, eight hex digits, of an attribute of PS3.6."""
    return f"{tag_for_keyword(keyword):08X}"


def _rows(text: str) -> dict[str, Requirement]:
    lines = [line.split() for line in text.strip().splitlines()]
    found: dict[str, Requirement] = {}
    for position, (name, create, setting, final, returned) in enumerate(lines):
        if name.startswith(">"):
            continue
        keyword, _, macro = name.partition("@")
        inner = []
        for below, *rest in lines[position + 1 :]:
            if not below.startswith(">"):
                break
            inner.append(" ".join([below[1:], *rest]))
        items = _rows("\n".join(inner)) if inner else {}
        if macro:
            items = _rows(_MACROS[macro])
        found[tag_of(keyword)] = Requirement(
            keyword, create, setting, final, returned, macro or None, items
        )
    return found


WORKITEM = _rows(_WORKITEM)
"""The attributes of a workitem by their tags."""

RETURNED = frozenset(tag for tag, row in WORKITEM.items() if row.returned in ("1", "1C", "2"))
"""What every answer to a search holds, where the workitem has it."""

CHOICES = {
    tag_of("ScheduledProcedureStepPriority"): ("HIGH", "MEDIUM", "LOW"),
    tag_of("InputReadinessState"): ("INCOMPLETE", "UNAVAILABLE", "READY"),
}
"""Enumerated Values (PS3.3 C.30.1)."""

SINGLE = frozenset(
    map(
        tag_of,
        (
            "ProcedureStepProgressInformationSequence",
            "UnifiedProcedureStepPerformedProcedureSequence",
        ),
    )
)
"""Sequences of one item at most (PS3.3 C.30.2, C.30.3)."""
