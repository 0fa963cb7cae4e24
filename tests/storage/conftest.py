"""The three kinds of store that every behaviour is asked of, and a wire that can fail."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest

from storage.spool import SpooledStore
from storage.store import ObjectStore, open_store
from tests.plugins.seaweed import Seaweed

Kind = Literal["local", "s3", "spool", "moved"]


@dataclass
class Bench:
    """A store, how to open it again elsewhere, and `settle`, which moves what it can to S3."""

    kind: Kind
    url: str
    spool: Path
    opened: list[ObjectStore] = field(default_factory=list)

    @property
    def ack(self) -> Literal["spool", "store"]:
        return "store" if self.kind == "s3" else "spool"

    def open(self) -> ObjectStore:
        store = open_store(self.url, spool=self.spool, ack=self.ack)
        self.opened.append(store)
        return store

    @property
    def store(self) -> ObjectStore:
        return self.opened[0] if self.opened else self.open()

    def settle(self) -> None:
        if self.kind == "moved":
            assert isinstance(self.store, SpooledStore)
            for waiting in list(self.store.pending()):
                self.store.upload(waiting.key)


@pytest.fixture
def new_bench(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Kind], Bench]]:
    """Makes benches with an empty store each; S3 runs only for those that need it."""
    made: list[Bench] = []

    def make(kind: Kind) -> Bench:
        spool = tmp_path / f"spool-{len(made)}"
        url = f"file://{spool}"
        if kind != "local":
            server: Seaweed = request.getfixturevalue("seaweed")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
            # One bucket, emptied: the server takes 0.2 s for the first object of a new one.
            assert not any(bench.kind != "local" for bench in made)
            url = server.store_url("bench")
            with closing(open_store(url, spool=spool, ack="store")) as bucket:
                for found in list(bucket.list()):
                    bucket.delete(found.key)
        made.append(Bench(kind, url, spool))
        return made[-1]

    yield make
    for bench in made:
        for store in bench.opened:
            store.close()


@pytest.fixture(params=["local", "s3", "spool", "moved"])
def bench(request: pytest.FixtureRequest, new_bench: Callable[[Kind], Bench]) -> Bench:
    """Each kind of store in turn."""
    return new_bench(request.param)


@pytest.fixture
def spooled(new_bench: Callable[[Kind], Bench]) -> SpooledStore:
    """A spooled store that moves only what it is told to."""
    store = new_bench("spool").store
    assert isinstance(store, SpooledStore)
    return store


class Wire:
    """A TCP proxy: passes everything on, until told to cut answers or to alter what passes."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.answers_to_cut = 0
        self.cut_after = 0
        self.alter: Callable[[bytes], bytes] = bytes
        self.alter_answer: Callable[[bytes], bytes] = bytes
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._target)
                except ConnectionRefusedError:
                    near.close()
                    continue
                for way in (self._requests, self._answers):
                    threading.Thread(target=way, args=(near, far), daemon=True).start()

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(self.alter(data))
            far.shutdown(socket.SHUT_WR)

    def _answers(self, near: socket.socket, far: socket.socket) -> None:
        passed = 0
        with near, far, suppress(OSError):
            while data := far.recv(65536):
                passed += len(data)
                if self.answers_to_cut and passed > self.cut_after:
                    self.answers_to_cut -= 1
                    near.shutdown(socket.SHUT_RDWR)
                    return
                near.sendall(self.alter_answer(data))


@pytest.fixture
def wire(seaweed: Seaweed) -> Iterator[Wire]:
    """A wire to the S3 server."""
    parts = urlsplit(seaweed.endpoint)
    assert parts.hostname is not None
    assert parts.port is not None
    made = Wire((parts.hostname, parts.port))
    yield made
    made.close()
