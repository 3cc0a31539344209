"""The mark by which tokens count that are written down outside of the database.

    public port -> reads the mark, or makes one -> asks the database -> writes mark and tokens
    a change    -> commit -> the mark is gone, durably -> the answer

What is written down counts while its mark is there. So whoever is shut out is so from the answer
on, also if the port or the database is down by then; and what was asked before a change never
counts after it, however late it is written.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from base.files import sync_folder, write_durably
from sql.core.errors import SqlError

MARK_BYTES = 16


class KeptMark:
    """The mark of a store, in SSD/access."""

    def __init__(self, ssd: str) -> None:
        self.folder = os.path.join(ssd, "access")
        self._path = os.path.join(self.folder, "tokens.mark")

    def read(self) -> str:
        """Return the mark; nothing when there is none. Raises OSError."""
        try:
            with open(self._path, encoding="ascii") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def read_or_make(self) -> str:
        """Return the mark, made now when there is none; one process does so. Raises OSError."""
        if not (mark := self.read()):
            mark = secrets.token_hex(MARK_BYTES)
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            write_durably(self._path, mark.encode("ascii"), mode=0o600)
        return mark

    def remove(self) -> None:
        """Let nothing count that is written down by now; durable. Raises SqlError."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            # Also of one that is gone: whoever removed it may have been stopped before this.
            with contextlib.suppress(FileNotFoundError):
                sync_folder(self.folder)
        except OSError as error:
            raise SqlError(
                f"the database was changed, but {self._path} cannot be removed: {error.strerror}. "
                "Without the database the former rights still count; ask for the same again"
            ) from error
