"""The server's own secret: it owns a file that only its owner may read, made once."""

from __future__ import annotations

import os
import secrets

SECRET_BYTES = 32


def storage_secret(run_dir: str) -> str:
    """Return the secret of this store's server; the same after a restart."""
    path = os.path.join(run_dir, "gui.secret")
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        with open(path, encoding="ascii") as file:
            found = file.read().strip()
        if len(found) >= SECRET_BYTES:
            return found
        os.unlink(path)  # A crash left it empty: nothing was signed with it.
        return storage_secret(run_dir)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(SECRET_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return storage_secret(run_dir)
