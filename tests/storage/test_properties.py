"""Any keys, any bytes, any order of doings: a store is a dictionary that survives."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test

from storage.errors import ObjectNotFound, StoreError
from storage.keys import check_key
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.spool import SpooledStore
from tests.plugins.seaweed import Seaweed

# Lower case only, lest a file system without case make two keys one.
segments = st.text("abc019-_.", min_size=1, max_size=8).filter(lambda s: not s.startswith("."))
keys = st.lists(segments, min_size=1, max_size=4).map("/".join)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    store = LocalStore(tmp_path_factory.mktemp("objects"))
    yield store
    store.close()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=600) | st.text("ab./-_\0\\", max_size=12))
def test_key_is_refused_or_stays_in_the_directory(text: str) -> None:
    root = Path("/objects")
    try:
        check_key(text)
    except StoreError as error:
        assert error.key == text
        return
    path = root / text
    assert root in path.parents
    assert str(path) == f"/objects/{text}"
    assert all(0 < len(part) < 256 and part[0] != "." for part in text.split("/"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 400))
def test_ranged_read_is_a_slice(local: LocalStore, data: bytes, start: int, length: int) -> None:
    local.put("a/ranged", data)
    assert local.read("a/ranged", start, length) == data[start : start + length]
    with local.open("a/ranged") as stream:
        stream.seek(start)
        assert stream.read(length) == data[start : start + length]


class Doings(RuleBasedStateMachine):
    """A spooled store beside a dictionary; `store` is set by the test, keys are new each run."""

    store: SpooledStore
    runs = 0
    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self._home = f"run-{self.runs}/"
        self._model: dict[str, bytes] = {}

    @rule(target=known, key=keys, data=st.binary(max_size=100))
    def put(self, key: str, data: bytes) -> str:
        # A leaf of its own: no key runs through another.
        key = f"{self._home}{key}/o"
        if any(k.startswith(f"{key}/") or key.startswith(f"{k}/") for k in self._model):
            return key
        self.store.put(key, data)
        self._model[key] = data
        return key

    @rule(key=known)
    def upload(self, key: str) -> None:
        if key in self._model:
            self.store.upload(key)
        else:
            with pytest.raises(ObjectNotFound):
                self.store.upload(key)

    @rule(key=known)
    def delete(self, key: str) -> None:
        self.store.delete(key)
        self._model.pop(key, None)

    @rule(key=known, start=st.integers(0, 120), length=st.integers(0, 120))
    def read(self, key: str, start: int, length: int) -> None:
        if key in self._model:
            expected = self._model[key][start : start + length]
            assert self.store.read(key, start, length) == expected
            assert self.store.stat(key).size == len(self._model[key])
        else:
            with pytest.raises(ObjectNotFound):
                self.store.read(key, start, length)

    @rule(key=known, cut=st.integers(0, 10))
    def list(self, key: str, cut: int) -> None:
        prefix = key[: max(len(self._home), len(key) - cut)]
        found = {found.key: found.size for found in self.store.list(prefix)}
        expected = {k: len(v) for k, v in self._model.items() if k.startswith(prefix)}
        assert found == expected


def test_spooled_store_is_a_dictionary(seaweed: Seaweed, tmp_path: Path) -> None:
    remote = S3Store(
        seaweed.bucket("doings"),
        endpoint=seaweed.endpoint,
        access_key=seaweed.access_key,
        secret_key=seaweed.secret_key,
        staging=tmp_path,
    )
    Doings.store = SpooledStore(LocalStore(tmp_path), remote)
    try:
        run_state_machine_as_test(
            Doings, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
        )
    finally:
        Doings.store.close()
