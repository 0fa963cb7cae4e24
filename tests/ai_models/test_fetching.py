"""Weights are fetched by URL and SHA-256, go on when interrupted, and are refused if others."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ai_models.errors import FetchError
from ai_models.fetching import fetch
from tests.plugins.command_line import CommandLine

CONTENT = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = "densenet121-res224-all"


class Server(ThreadingHTTPServer):
    """Serves CONTENT by ranges; hangs up after `patience` bytes of each answer."""

    patience = len(CONTENT)
    with_ranges = True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    """One answer."""

    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = 0
        if wanted is not None and self.server.with_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if self.path != "/weights.pt":
            self.send_error(404)
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        rest = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.patience])

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/weights.pt"


def test_it_goes_on_where_it_was_interrupted(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "weights.pt"
    server.patience = 2_000_000
    for _ in range(2):
        with pytest.raises(FetchError, match="cannot be reached"):
            fetch(url(server), DIGEST, target)
        assert not target.exists()
    told: list[tuple[int, int | None]] = []
    fetch(url(server), DIGEST.upper(), target, lambda done, total: told.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=2000000-", "bytes=4000000-"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.patience = 1_000_000
    with pytest.raises(FetchError):
        fetch(url(server), DIGEST, tmp_path / "weights.pt")
    server.patience, server.with_ranges = len(CONTENT), False
    fetch(url(server), DIGEST, tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_what_was_whole_already_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt.part").write_bytes(CONTENT)
    fetch(url(server), DIGEST, tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=f"what came has SHA-256 {DIGEST}"):
        fetch(url(server), "0" * 64, tmp_path / "weights.pt")
    assert list(tmp_path.iterdir()) == []


def test_only_https_and_this_machine(tmp_path: Path) -> None:
    for wrong in ("http://example.org/w.pt", "file:///etc/passwd", "ftp://127.0.0.1/w", "w.pt"):
        with pytest.raises(FetchError, match="https only"):
            fetch(wrong, DIGEST, tmp_path / "weights.pt")
    with pytest.raises(FetchError, match="64 hexadecimal digits"):
        fetch("https://127.0.0.1/w.pt", "abc", tmp_path / "weights.pt")


def test_the_command_says_what_to_do_without_a_network(
    command_line: CommandLine, server: Server
) -> None:
    options = ("--research-signed-by", "Dr An", "--sha256", DIGEST)
    gone = "http://127.0.0.1:9/weights.pt"
    said = command_line("models", "fetch", NAME, *options, "--url", gone, status=1).stderr
    assert "127.0.0.1 cannot be reached" in said
    assert "pacs models import" in said
    lost = url(server) + "x"
    said = command_line("models", "fetch", NAME, *options, "--url", lost, status=1).stderr
    assert "answers 404" in said
    # What comes is no network of PyTorch's: it is refused like any such file.
    said = command_line("models", "fetch", NAME, *options, "--url", url(server), status=1).stderr
    assert "no network of PyTorch's" in said
    assert "say --weights" in command_line("models", "fetch", "nothing", *options, status=1).stderr
    command_line("models", "fetch", NAME, status=2)
