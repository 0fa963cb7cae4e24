"""What a key may look like, the same in every store."""

import re

from storage.errors import StoreError

MAX_KEY_LENGTH = 512
_MAX_SEGMENT_LENGTH = 255
_ALLOWED = re.compile(r"[A-Za-z0-9._/-]+")


def check_key(key: str) -> None:
    """Accept keys such as ``instances/2026/11/22/0193f0.dcm``.

    Letters, digits, ``.``, ``_`` and ``-`` in segments of 1 to 255 characters, joined by ``/``,
    512 characters at most. A segment that begins with a dot belongs to the stores themselves.

    Raises:
        StoreError: the key is anything else; the message says which rule it breaks.
    """
    if not key:
        raise StoreError("a key cannot be empty", key=key)
    _check_characters(key, "key")
    segments = key.split("/")
    if not all(segments):
        raise StoreError(f"key {key!r} has an empty segment: no leading, double or last /", key=key)
    if any(segment.startswith(".") for segment in segments):
        raise StoreError(f"key {key!r} has a segment that begins with a dot", key=key)
    if any(len(segment) > _MAX_SEGMENT_LENGTH for segment in segments):
        raise StoreError(
            f"key {key!r} has a segment of more than {_MAX_SEGMENT_LENGTH} characters", key=key
        )


def check_prefix(prefix: str) -> None:
    """Accept any beginning of a valid key, the empty one too; raises StoreError otherwise."""
    if not prefix:
        return
    _check_characters(prefix, "prefix")
    *folders, last = prefix.split("/")
    if not all(folders) or any(part.startswith(".") for part in [*folders, last]):
        raise StoreError(f"prefix {prefix!r} cannot begin any key", key=prefix)


def is_visible(key: str) -> bool:
    """Tell whether a stored name is an object of the caller's rather than the store's own."""
    return not key.startswith(".") and "/." not in key


def _check_characters(text: str, what: str) -> None:
    if len(text) > MAX_KEY_LENGTH:
        raise StoreError(
            f"{what} {text[:40]!r}... has {len(text)} characters, {MAX_KEY_LENGTH} are allowed",
            key=text,
        )
    if not _ALLOWED.fullmatch(text):
        raise StoreError(
            f"{what} {text!r} may hold only letters, digits and the characters . _ - /", key=text
        )
