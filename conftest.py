"""What all tests share."""

pytest_plugins = ["tests.plugins.postgres", "tests.plugins.seaweed"]
