"""What keeps a benchmark from being measured."""


class BenchmarkError(Exception):
    """The message is a sentence for whoever started the benchmark."""


class ProgramMissing(BenchmarkError):
    """A program of another package is not installed; `.program` names it."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed: apt-get install {package}")
        self.program = program


class ServerFailed(BenchmarkError):
    """A server did not come up, or ended while it was measured; `.server` names it."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server} {reason}")
        self.server = server


class SendFailed(BenchmarkError):
    """A sender was refused or cut off: nothing was measured; `.server` names by whom."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"sending to {server} failed: {reason}")
        self.server = server
