"""Downloads one file whose SHA-256 is known before; goes on where an earlier attempt ended."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ai_models.errors import FetchError
from ai_models.registry import sha256 as digest

SECONDS = 30.0
LARGEST_FILE = 4 << 30
_CHUNK = 1 << 20

Progress = Callable[[int, int | None], None]


def fetch(url: str, sha256: str, target: Path, progress: Progress | None = None) -> None:
    """Downloads `url` to `target`; what came so far is kept beside it (`.part`) until it is whole.

    `progress` gets bytes done and, where the server says so, in all. Raises FetchError: no network,
    another SHA-256 (what came is removed then), a URL that is neither https nor of this machine.
    """
    _check_url(url)
    if len(sha256) != 64 or not all(digit in "0123456789abcdefABCDEF" for digit in sha256):
        raise FetchError(target.name, "a SHA-256 has 64 hexadecimal digits")
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(url, part, progress)
    except urllib.error.HTTPError as error:
        raise FetchError(target.name, f"{url} answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(
            target.name,
            f"{urlsplit(url).hostname} cannot be reached ({reason}). Where there is no network,"
            " bring the file on a medium and import it: pacs models import",
        ) from error
    found = digest(part)
    if found != sha256.lower():
        part.unlink()
        raise FetchError(
            target.name, f"what came has SHA-256 {found}, not the one asked for; it was thrown away"
        )
    part.replace(target)


def _download(url: str, part: Path, progress: Progress | None) -> None:
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})  # noqa: S310
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)  # noqa: S310  checked before
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            return  # all of it is there; its SHA-256 will tell
        raise
    with answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if done > LARGEST_FILE:
                    raise FetchError(part.stem, f"larger than {LARGEST_FILE >> 30} GiB")
                if progress is not None:
                    progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done < total:
            raise http.client.IncompleteRead(b"", total - done)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.hostname is None or not (parts.scheme == "https" or (parts.scheme == "http" and here)):
        raise FetchError(url[:200], "models are fetched by https only")
