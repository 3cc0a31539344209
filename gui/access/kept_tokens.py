"""Tokens on the SSD: which are worth something while the database is away, as it last said.

    database -> every few seconds, by the public port -> SSD/access/tokens.json (hashes, no secrets)

By this alone something may be sent: it has to be taken at any time, and is attributed to the owner
of the token. For all else that has been used shortly before, too (see `sessions`). What is written
here is what the database said before: a token that is revoked while the port runs counts for at
most REFRESH_S more, and only if the database goes away within them. One that is revoked while the
port is down counts until that has asked once. One process writes it.
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

from pydantic import ConfigDict, ValidationError

from base.errors import DrystoneError
from base.files import write_durably
from base.logging.ids import about
from base.model import Document
from gui.access.roles import Visitor
from sql import Database, Role, Scope

REFRESH_S = 2.0
CONFIRM_S = 60.0
"""So often it is written that nothing has changed."""
BELIEVED_S = 7 * 86_400.0
"""So long it counts after the database said it last."""

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
    tokens: tuple[_Kept, ...]


class KeptTokens:
    """What the database said of tokens, on the SSD; `keep` has one caller, `find` any."""

    def __init__(self, ssd: str, database: Callable[[], Database]) -> None:
        self._path = os.path.join(ssd, "access", "tokens.json")
        self._database = database
        self._written: _Book | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokens", daemon=True)

    def start(self) -> None:
        """Begin to ask the database."""
        self._thread.start()

    def close(self) -> None:
        """End it; a database that hangs is not waited for."""
        self._is_over.set()

    def keep(self) -> None:
        """Write what the database says now; blocks. Raises DrystoneError, OSError."""
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
        book, before = _Book(said_s=time.time(), tokens=found), self._written
        age_s = CONFIRM_S if before is None else book.said_s - before.said_s
        if before is not None and before.tokens == found and 0 <= age_s < CONFIRM_S:
            return
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        write_durably(self._path, book.model_dump_json().encode("ascii"), mode=0o600)
        self._written = book

    def find(self, token_hash: bytes) -> Visitor | None:
        """Return who has a token by what was last said; None for nobody, or if that is long ago."""
        try:
            with open(self._path, "rb") as file:
                book = _Book.model_validate_json(file.read())
        except (OSError, ValidationError):
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
        while not self._is_over.wait(REFRESH_S):
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
