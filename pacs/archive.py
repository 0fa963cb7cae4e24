"""The archive put together: settings, database, object store and the one way in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from pacs.database.engine import connect
from pacs.ingest import Ingest
from pacs.settings import Settings
from storage.store import ObjectStore, open_store


@dataclass(frozen=True)
class Archive:
    """What a door needs to work on the archive."""

    settings: Settings
    database_url: str
    engine: Engine
    store: ObjectStore
    ingest: Ingest


@contextmanager
def open_archive(settings: Settings, database_url: str) -> Iterator[Archive]:
    """The archive on a database that runs and is migrated; closed at the end.

    Raises StoreError where the store's settings cannot be used.
    """
    engine = connect(database_url)
    store = open_store(settings.object_store_url, spool=settings.spool_dir, ack=settings.ack)
    ingest = Ingest(settings, engine, store)
    try:
        yield Archive(settings, database_url, engine, store, ingest)
    finally:
        ingest.close()
        store.close()
        engine.dispose()
