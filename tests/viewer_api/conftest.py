"""Hospitals with real studies, for the tests of this room."""

import secrets
from collections.abc import Iterator

import pytest

from pacs.archive import Archive
from tests.plugins.hospital import Hospital, serving, with_real_studies
from tests.plugins.workitems import Worklist


@pytest.fixture(scope="session")
def hospital(
    postgres: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """A server with real studies. Tests may add to it, and must not count on its being alone."""
    folder = tmp_path_factory.mktemp("hospital")
    with with_real_studies(postgres, template_database, folder) as running:
        yield running


@pytest.fixture(scope="module")
def own_hospital(
    postgres: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """A server with real studies and nothing else, for a module that counts what is there."""
    folder = tmp_path_factory.mktemp("own-hospital")
    with with_real_studies(postgres, template_database, folder) as running:
        yield running


@pytest.fixture
def worklist(hospital: Hospital) -> Worklist:
    """The worklist of that hospital. Others use it too."""
    return Worklist(hospital.machine())


@pytest.fixture
def aet() -> str:
    """An AE title that nobody else has."""
    return f"AE{secrets.token_hex(6)}"


@pytest.fixture
def alone(archive: Archive) -> Iterator[Hospital]:
    """A server on a fresh archive."""
    with serving(archive) as running:
        yield running


@pytest.fixture
def own(alone: Hospital) -> Worklist:
    """A worklist that nobody else uses."""
    return Worklist(alone.machine())
