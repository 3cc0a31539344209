"""Tokens on the SSD: which are worth something while the database is away, as it last said.

    database -> every few seconds, by the public port -> SSD/access/tokens.json (hashes, no secrets)

By this alone something may be sent: it has to be taken at any time, and is attributed to the owner
of the token. For all else that has been used shortly before, too (see `sessions`). What is written
here is what the database said before, and counts until somebody is shut out (`KeptMark`), or the
database was asked again. A port that was just started has asked it first. One process writes it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from pydantic import ConfigDict

from base.errors import DrystoneError
from base.files import write_durably
from base.logging.ids import about
from base.model import Document
from gui.access.roles import Visitor
from sql import Database, KeptMark, Role, Scope

REFRESH_S = 2.0
CONFIRM_S = 60.0
"""So often it is written that nothing has changed."""
BELIEVED_S = 7 * 86_400.0
"""So long it counts after the database said it last."""
FIRST_S = 5.0
"""So long after its start a port waits for what the database says, before it takes what it said."""

_log = logging.getLogger(__name__)


class _Kept(Document):
    model_config = ConfigDict(extra="forbid", frozen=True)

    token_hash: str
    user_id: int
    user_name: str
    role: Role | Literal[""]
    token_name: str
    scopes: tuple[Scope, ...]
    expire_time: datetime | None


class _Book(Document):
    model_config = ConfigDict(extra="forbid", frozen=True)

    said_s: float
    mark: str
    tokens: tuple[_Kept, ...]


class KeptTokens:
    """What the database said of tokens, on the SSD; `keep` has one caller, `find` any."""

    def __init__(self, ssd: str, database: Callable[[], Database]) -> None:
        self._mark = KeptMark(ssd)
        self._path = os.path.join(self._mark.folder, "tokens.json")
        self._database = database
        self._written: _Book | None = None
        self._is_over = threading.Event()
        self._has_asked = threading.Event()
        self._has_asked.set()  # Of a process that keeps nothing itself.
        self._begun_s = 0.0
        self._thread = threading.Thread(target=self._run, name="tokens", daemon=True)

    def start(self) -> None:
        """Begin to ask the database."""
        self._has_asked.clear()
        self._begun_s = time.monotonic()
        self._thread.start()

    def close(self) -> None:
        """End it; a database that hangs is not waited for."""
        self._is_over.set()

    def keep(self) -> None:
        """Write what the database says now; blocks. Raises DrystoneError, OSError."""
        # Before it is asked: what is changed from here on takes this mark away.
        mark = self._mark.read_or_make()
        found = tuple(
            _Kept(
                token_hash=one.token_hash.hex(),
                user_id=one.owner.user_id,
                user_name=one.owner.name,
                role=one.owner.role or "",
                token_name=one.owner.token_name,
                scopes=tuple(one.owner.scopes),
                expire_time=one.expire_time,
            )
            for one in self._database().users.known_tokens()
        )
        book, before = _Book(said_s=time.time(), mark=mark, tokens=found), self._written
        if (
            before is not None
            and (before.mark, before.tokens) == (mark, found)
            and 0 <= book.said_s - before.said_s < CONFIRM_S
        ):
            return
        write_durably(self._path, book.model_dump_json().encode("ascii"), mode=0o600)
        self._written = book

    def find(self, token_hash: bytes) -> Visitor | None:
        """Return who has a token by what was last said; None for nobody, or if that is long ago.

        Blocks for as long as the database is asked for the first time, up to FIRST_S after a start.
        """
        self._has_asked.wait(max(0.0, self._begun_s + FIRST_S - time.monotonic()))
        try:
            with open(self._path, "rb") as file:
                book = _Book.model_validate_json(file.read())
            if book.mark != self._mark.read():
                return None
        except (OSError, ValueError):
            return None
        now_s = time.time()
        if not 0 <= now_s - book.said_s < BELIEVED_S:
            return None
        for one in book.tokens:
            if one.token_hash == token_hash.hex():
                if one.expire_time is not None and one.expire_time.timestamp() <= now_s:
                    return None
                return Visitor(
                    one.user_id, one.user_name, one.role, None, one.token_name, one.scopes
                )
        return None

    def _run(self) -> None:
        told = ""
        while True:
            try:
                self.keep()
                told = ""
            except DrystoneError:
                pass  # Just then it is needed as it is.
            except Exception as error:
                # Better none than one that is told nothing any more.
                with contextlib.suppress(OSError):
                    os.unlink(self._path)
                self._written = None
                if str(error) != told:
                    told = str(error)
                    _log.error("tokens are not kept: %s", told, exc_info=True,
                               extra=about("tokens.unkept"))  # fmt: skip
            self._has_asked.set()
            if self._is_over.wait(REFRESH_S):
                return
