"""Secrets of people and scripts: it owns how they are made, hashed and compared, and keeps none."""

from __future__ import annotations

import hashlib
import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from base.errors import UsageError

PASSWORD_LENGTH_MIN = 10
PASSWORD_SIZE_BYTES_MAX = 1024
HASHES_AT_ONCE_MAX = 2
"""Each takes 64 MiB and a core for a moment: a crowd at the door must not take the machine."""
TOKEN_PREFIX = "drystone_"
"""So that a token that was pasted somewhere is recognised."""
_SECRET_BYTES = 32

# RFC 9106's second choice: 3 passes over 64 MiB.
_hasher = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
# Held while a password is hashed, by no more threads than that. Innermost.
_turns = threading.BoundedSemaphore(HASHES_AT_ONCE_MAX)
# Of a password that nobody knows: a wrong name costs as long as a wrong password.
_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$cPf9+JrdhkGIK64AggLu0w"
    "$b6uySZlMFUEBeV5GSLd4OLl6FAoKDH+O8q9V9vR8NV0"
)


def hash_password(password: str) -> str:
    """Return the hash to keep; UsageError when the password is too short or too long."""
    if len(password) < PASSWORD_LENGTH_MIN:
        raise UsageError(f"a password has at least {PASSWORD_LENGTH_MIN} characters")
    if len(_bytes(password)) > PASSWORD_SIZE_BYTES_MAX:
        raise UsageError(f"a password has at most {PASSWORD_SIZE_BYTES_MAX} bytes")
    with _turns:
        return _hasher.hash(_bytes(password))


def password_fits(password: str, password_hash: str | None) -> bool:
    """Tell whether a password is the right one; takes as long when there is no hash."""
    if len(_bytes(password)) > PASSWORD_SIZE_BYTES_MAX:
        return False
    with _turns:
        try:
            fits = _hasher.verify(password_hash or _NOBODY, _bytes(password))
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
    return fits and password_hash is not None


def new_secret() -> str:
    """Return a secret for a session's cookie."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def new_token() -> str:
    """Return a token for a script."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def hash_of(secret: str) -> bytes:
    """Return what is kept of a random secret, which is too long to be guessed from its sha256."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
