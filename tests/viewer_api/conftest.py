"""A hospital with real studies, for all tests of this room."""

from collections.abc import Iterator

import pytest

from pacs.archive import open_archive
from pacs.settings import load_settings
from tests.plugins.hospital import STUDIES, Hospital, database, serving


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
