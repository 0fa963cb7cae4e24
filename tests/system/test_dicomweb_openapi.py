"""schemathesis over the OpenAPI description: no operation fails, and each answers as documented."""

import zlib
from typing import Any
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    status_code_conformance,
)

from tests.plugins.web_archive import WebArchive

pytestmark = pytest.mark.system

EXAMPLES = 3
"""Of each operation, with right values and as many with wrong ones."""
ENDLESS = ("/api/v1/events",)
"""Answers that last for as long as somebody listens."""


@pytest.mark.parametrize("web_archive", ["disk"], indirect=True)
def test_no_operation_fails(web_archive: WebArchive) -> None:
    description = schemathesis.openapi.from_url(
        f"{web_archive.product.url}/api/openapi.json", headers=web_archive.headers
    )
    headers = {"Authorization": f"Bearer {web_archive.product.token('admin')}"}
    tried, failed = 0, []
    for result in description.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if operation.path in ENDLESS:
            continue
        tried += 1
        for mode in GenerationMode:
            try:
                _try(operation, mode, web_archive, headers)
            except (FailureGroup, BaseExceptionGroup) as failure:
                failed.append(f"{operation.label}: {_said(failure)}")
            except (SkipTest, Unsatisfiable):
                pass  # nothing that it takes can be wrong
    assert tried > 50
    assert failed == [], "\n".join(failed)


def _try(
    operation: Any, mode: GenerationMode, web_archive: WebArchive, headers: dict[str, str]
) -> None:
    image = web_archive.holding("MR_small_padded.dcm")
    there = {
        "study": image.StudyInstanceUID,
        "series": image.SeriesInstanceUID,
        "instance": image.SOPInstanceUID,
        "frames": "1",
    }

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        # Half of all calls are about something that is there.
        if zlib.crc32(repr((case.path_parameters, case.query)).encode()) % 2:
            for name in there.keys() & (case.path_parameters or {}).keys():
                case.path_parameters[name] = there[name]
        case.call_and_validate(
            headers=headers,
            checks=(not_a_server_error, status_code_conformance, content_type_conformance),
        )

    call()


def _said(failure: BaseExceptionGroup[Any]) -> str:
    """The first failure and what the server answered, in one line."""
    return " ".join(str(failure.exceptions[0]).split())[:600]
