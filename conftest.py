"""What all tests share."""

import pytest

pytest_plugins = [
    "tests.plugins.archive",
    "tests.plugins.browser",
    "tests.plugins.command_line",
    "tests.plugins.dcmtk",
    "tests.plugins.debian_postgres",
    "tests.plugins.interop",
    "tests.plugins.modality",
    "tests.plugins.postgres",
    "tests.plugins.product",
    "tests.plugins.seaweed",
    "tests.plugins.tunnel",
    "tests.plugins.web_archive",
    "tests.plugins.workstation",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of our own."""
    parser.addoption("--soak-seconds", default="45", help="how long the mixed load lasts")
