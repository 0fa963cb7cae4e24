"""What all tests share."""

pytest_plugins = [
    "tests.plugins.archive",
    "tests.plugins.browser",
    "tests.plugins.dcmtk",
    "tests.plugins.debian_postgres",
    "tests.plugins.interop",
    "tests.plugins.modality",
    "tests.plugins.postgres",
    "tests.plugins.product",
    "tests.plugins.seaweed",
    "tests.plugins.tunnel",
    "tests.plugins.workstation",
]
