"""Hospitals with real studies, for the tests of this room."""

from collections.abc import Iterator

import pytest

from tests.plugins.hospital import Hospital, with_real_studies


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
