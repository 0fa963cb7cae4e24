"""What each status means that we answer by, for every request (PS3.7 C, PS3.4 B.2.3, C.4, J.3).

A test walks through what serves the requests and sees that these are exactly the statuses there.
"""

from collections.abc import Mapping

from dicom_node.dimse import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    CANCELLED,
    CANNOT_CALCULATE_MATCHES,
    CANNOT_PERFORM_SUBOPERATIONS,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    INVALID_ARGUMENT_VALUE,
    MOVE_DESTINATION_UNKNOWN,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    NO_SUCH_ACTION_TYPE,
    NO_SUCH_EVENT_TYPE,
    NO_SUCH_OBJECT_INSTANCE,
    NO_SUCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    PENDING,
    PENDING_WITHOUT_OPTIONAL_KEYS,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUBOPERATIONS_INCOMPLETE,
    SUCCESS,
)

_RETRIEVAL = {
    PENDING: "sub-operations go on; sent every second",
    SUCCESS: "all instances were sent, and stored by the receiver without a warning",
    SUBOPERATIONS_INCOMPLETE: "some instances could not be sent, or were refused, or stored with a"
    " warning; Failed SOP Instance UID List (0008,0058) names those that failed",
    CANCELLED: "ended by C-CANCEL; the counts say how far it came",
    CANNOT_CALCULATE_MATCHES: "the database does not answer: try again later",
    CANNOT_PERFORM_SUBOPERATIONS: "not one instance could be sent",
    DATA_SET_DOES_NOT_MATCH: "the identifier cannot be read, names no level of the model, has no"
    " unique key of its level or one below it, or a value there that is no UID; Offending Element"
    " (0000,0901) says where",
}

MEANINGS: Mapping[int, Mapping[int, str]] = {
    C_ECHO_RQ: {SUCCESS: "we are here"},
    C_STORE_RQ: {
        SUCCESS: "the object's bytes and its place in the index are durable",
        OUT_OF_RESOURCES: "larger than this archive takes (Error Comment says so); or the store or"
        " the database cannot take it now: send it again later",
        DATA_SET_DOES_NOT_MATCH: "SOP Class UID or SOP Instance UID of the data set differ from"
        " the command's",
        CANNOT_UNDERSTAND: "the data set is no DICOM object, or has no UIDs to keep it under",
        PROCESSING_FAILURE: "anything else that went wrong here; the log says what",
    },
    C_FIND_RQ: {
        PENDING: "a match; every key with a value was used to select",
        PENDING_WITHOUT_OPTIONAL_KEYS: "a match; some optional keys with a value are not supported"
        " and have selected nothing out",
        SUCCESS: "there are no more matches",
        CANCELLED: "ended by C-CANCEL",
        OUT_OF_RESOURCES: "the database does not answer: ask again later",
        DATA_SET_DOES_NOT_MATCH: "the identifier cannot be read, or names no level of the model;"
        " or it asks for series or images without any key that has a value, and relational queries"
        " have not been negotiated",
        CANNOT_UNDERSTAND: "a value that cannot be matched, such as a date that is none; Offending"
        " Element (0000,0901) says whose",
    },
    C_MOVE_RQ: {
        **_RETRIEVAL,
        MOVE_DESTINATION_UNKNOWN: "the destination is no device whose host and port are known here",
        OUT_OF_RESOURCES: "the database does not answer when the destination is looked up: try"
        " again later",
    },
    C_GET_RQ: _RETRIEVAL,
    N_ACTION_RQ: {
        SUCCESS: "the request is on record and will be answered by N-EVENT-REPORT",
        PROCESSING_FAILURE: "the data set cannot be read",
        NO_SUCH_OBJECT_INSTANCE: "not the well-known SOP Instance",
        INVALID_ARGUMENT_VALUE: "Transaction UID or references are missing or no UIDs",
        NO_SUCH_SOP_CLASS: "not the Storage Commitment Push Model",
        NO_SUCH_ACTION_TYPE: "an Action Type ID other than 1",
        RESOURCE_LIMITATION: "the database does not answer: ask again later",
    },
    N_EVENT_REPORT_RQ: {
        SUCCESS: "the result is on record",
        PROCESSING_FAILURE: "the data set cannot be read",
        NO_SUCH_EVENT_TYPE: "an Event Type ID other than 1 and 2",
        INVALID_ARGUMENT_VALUE: "the Transaction UID is not one that we have sent to this AE title,"
        " or a reference has no UIDs",
        RESOURCE_LIMITATION: "the database does not answer: report it again later",
    },
}
