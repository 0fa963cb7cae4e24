"""A hospital with real studies, for all tests of this room."""

import secrets
from collections.abc import Iterator

import pytest

from pacs.archive import Archive, open_archive
from pacs.settings import load_settings
from tests.plugins.hospital import STUDIES, Hospital, database, serving
from tests.plugins.workitems import Worklist


@pytest.fixture(scope="session")
def hospital(
    postgres: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """A server with real studies. Tests may add to it, and must not count on its being alone."""
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("hospital"), institution_name="Bệnh viện tỉnh"
    )
    with (
        database(postgres, template_database) as url,
        open_archive(settings, url) as archive,
        serving(archive) as running,
    ):
        for name in STUDIES:
            running.receive(name)
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
