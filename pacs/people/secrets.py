"""Random secrets that are shown once and kept only as their SHA-256.

A fast hash is enough here: 256 random bits cannot be guessed, unlike a password.
"""

import hashlib
import secrets

_BYTES = 32


def new_secret() -> str:
    """256 random bits, URL-safe, 43 characters."""
    return secrets.token_urlsafe(_BYTES)


def secret_hash(secret: str) -> bytes:
    """What is stored and looked up in place of the secret; 32 bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
