"""Everything that is refused or fails is answered as an RFC 9457 problem, never as a bare 500."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from pacs.database.errors import DatabaseError
from pacs.dicom.codecs import NotEncodable, UndecodableFrame
from pacs.dicom.transcoding import CannotTranscode
from pacs.index.query import QueryError
from pacs.retrieve import NotFound
from storage.errors import StoreError, StoreFull

log = logging.getLogger(__name__)

RETRY_SECONDS = 5


class Problem(HTTPException):
    """An answer that is not success.

    `code` is the stable machine key that the web translates; `detail` is one English sentence for
    whoever reads the answer, without patient data.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status_code).phrase


def not_found(detail: str) -> Problem:
    """404."""
    return Problem(404, "not_found", detail)


def bad_request(code: str, detail: str) -> Problem:
    """400."""
    return Problem(400, code, detail)


def problem_of(error: Exception) -> Problem:
    """The answer to an exception; 500 (and a log entry) for what nobody foresaw."""
    if isinstance(error, Problem):
        return error
    for kinds, answer in _ANSWERS:
        if isinstance(error, kinds):
            return answer(error)
    log.error("unforeseen %s", type(error).__name__, exc_info=error)
    return Problem(500, "internal_error", "The server failed; its log says why.")


def install(app: FastAPI) -> None:
    """Answer every exception of the application as a problem."""

    async def answer(request: Request, error: Exception) -> Response:
        return problem_response(request, problem_of(error))

    app.add_exception_handler(Problem, answer)
    app.add_exception_handler(Exception, answer)
    for kinds, _ in _ANSWERS:
        for kind in kinds:
            app.add_exception_handler(kind, answer)


def problem_response(request: HTTPConnection, problem: Problem) -> Response:
    """The answer in the form of the door that was asked: OperationOutcome for FHIR."""
    if request.url.path == "/fhir" or request.url.path.startswith("/fhir/"):
        media_type, body = "application/fhir+json", _outcome(problem)
    else:
        media_type, body = (
            "application/problem+json",
            {
                "type": f"urn:filmless:problem:{problem.code}",
                "title": problem.title,
                "status": problem.status_code,
                "detail": problem.detail,
                "code": problem.code,
            },
        )
    return Response(
        orjson.dumps(body),
        problem.status_code,
        {**(problem.headers or {}), "Cache-Control": "no-store"},
        media_type=media_type,
    )


_OUTCOME_CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    422: "invalid",
    503: "transient",
}


def _outcome(problem: Problem) -> dict[str, Any]:
    """A FHIR R4 OperationOutcome with one issue."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": _OUTCOME_CODES.get(problem.status_code, "exception"),
                "details": {"text": problem.code},
                "diagnostics": problem.detail,
            }
        ],
    }


def _unavailable(what: str) -> Callable[[Any], Problem]:
    def answer(error: Exception) -> Problem:
        log.warning("%s: %s", what, error)
        return Problem(
            503,
            f"{what.replace(' ', '_')}_unavailable",
            f"The {what} does not answer right now.",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )

    return answer


def _of_http(error: HTTPException) -> Problem:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return Problem(error.status_code, code, str(error.detail), headers=error.headers)


def _of_validation(error: RequestValidationError) -> Problem:
    """Which fields are wrong and why, without what they held: that may be a password."""
    reasons = (
        f"{'.'.join(str(part) for part in reason['loc'])}: {reason['msg']}"
        for reason in error.errors()[:10]
    )
    return Problem(422, "invalid_request", "; ".join(reasons))


# The first that fits decides.
_ANSWERS: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], Problem]], ...] = (
    ((NotFound,), lambda error: not_found(str(error))),
    ((QueryError,), lambda error: bad_request("bad_query", str(error))),
    ((NotEncodable, CannotTranscode), lambda error: Problem(406, "not_acceptable", str(error))),
    ((UndecodableFrame,), lambda error: Problem(422, "pixels_unreadable", str(error))),
    (
        (StoreFull,),
        lambda _: Problem(507, "store_full", "There is no space left for objects."),
    ),
    ((StoreError,), _unavailable("store")),
    ((DatabaseError, OperationalError), _unavailable("database")),
    ((HTTPException,), _of_http),
    ((RequestValidationError,), _of_validation),
)
