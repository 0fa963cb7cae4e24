"""What all tests share."""

pytest_plugins = [
    "tests.plugins.archive",
    "tests.plugins.postgres",
    "tests.plugins.seaweed",
]
