"""Files from disk into the archive, through the one way in."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pacs.errors import PacsError
from pacs.ingest import Ingest, IngestError, Received, Source

CHUNK_BYTES = 1 << 20
CONCURRENT_FILES = 8
# Bounds the memory of an import of millions of files.
WAITING_FILES = 64


class ImportPathError(PacsError):
    """A path that cannot be read."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: taken in, or why not."""

    path: Path
    received: Received | None
    refusal: str | None


def files_below(paths: Iterable[Path]) -> list[Path]:
    """The files that the paths name, folders searched to the bottom; raises ImportPathError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(inner for inner in path.rglob("*") if inner.is_file()))
        elif path.is_file():
            found.append(path)
        else:
            raise ImportPathError(f"{path}: there is no such file or folder")
    return found


def import_files(ingest: Ingest, files: Iterable[Path]) -> Iterator[Imported]:
    """Takes each file in and tells what became of it, in order.

    A file that is refused stops nothing; raises StoreFull, StoreUnavailable and
    DatabaseUnavailable, after which the same call takes up where this one ended: what is in
    already is found to be.
    """
    with ThreadPoolExecutor(CONCURRENT_FILES, "import") as threads:
        waiting: list[Future[Imported]] = []
        for path in files:
            waiting.append(threads.submit(_import_file, ingest, path))
            if len(waiting) >= WAITING_FILES:
                yield waiting.pop(0).result()
        for result in waiting:
            yield result.result()


def _import_file(ingest: Ingest, path: Path) -> Imported:
    try:
        with path.open("rb") as file:
            chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
            return Imported(path, ingest.receive(chunks, Source("import", str(path))), None)
    except IngestError as refusal:
        return Imported(path, None, str(refusal))
    except OSError as error:
        return Imported(path, None, f"cannot be read: {error.strerror}")
