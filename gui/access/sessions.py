"""Who is asking: it owns logging in and out, and the short memory of sessions and tokens.

A browser asks for dozens of things at once, so what the database said of a session counts for a few
seconds more; for longer only while the database is away. It counts no more once anybody was shut
out or got another role since, by whatever process (`KeptMark`). A token is looked up every time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from gui.access.kept_tokens import KeptTokens
from gui.access.passwords import hash_of, new_secret, password_fits
from gui.access.roles import Visitor
from gui.core.config import GuiConfig
from sql import Database, DatabaseUnavailableError, KeptMark, LoginAttempt

REMEMBERED_S = 5.0
REMEMBERED_WITHOUT_DATABASE_S = 900.0
"""So long pages stay usable for those who were logged in when the database went away."""
REMEMBERED_MAX = 4_096
SECRET_LENGTH_MAX = 200


class LoginAnswer(NamedTuple):
    """How an attempt ended: a secret for the cookie, or the reason for the person."""

    secret: str | None
    reason: str = ""
    wait_s: float = 0.0


class _Known(NamedTuple):
    """What the database said, when, and the mark of before it was asked."""

    visitor: Visitor | None
    asked: float
    mark: str


class Sessions:
    """Sessions and tokens of one store; every method may block, so call it in a thread."""

    def __init__(
        self,
        config: GuiConfig,
        database: Callable[[], Database],
        remembered_s: float = REMEMBERED_S,
    ) -> None:
        self._config = config
        self._remembered_s = remembered_s
        self._database = database
        self.kept = KeptTokens(config.ssd, database)
        # Guards `_known`, never held while the database is asked. Innermost.
        self._lock = threading.Lock()
        self._known: dict[bytes, _Known] = {}
        self._mark = KeptMark(config.ssd)

    def remembered(self, secret: str) -> Visitor | None:
        """Return the visitor when the last answer is fresh; reads one small file at most."""
        return self._fresh(hash_of(secret))

    def visitor(self, secret: str, *, is_token: bool = False) -> Visitor | None:
        """Return who has this cookie or token; None for nobody.

        Raises DatabaseUnavailableError when nobody can tell and it is too long ago that somebody
        could.
        """
        if not secret or len(secret) > SECRET_LENGTH_MAX:
            return None
        return self._visitor(hash_of(secret), is_token=is_token)

    def sender(self, token: str) -> Visitor | None:
        """Return who has this token, for what is received: by the SSD while the database is away.

        Raises DatabaseUnavailableError when that does not know it.
        """
        try:
            return self.visitor(token, is_token=True)
        except DatabaseUnavailableError:
            if found := self.kept.find(hash_of(token)):
                return found
            raise

    def still(self, visitor: Visitor) -> Visitor | None:
        """Return who a visitor is now: another role, or None when the session has ended."""
        assert visitor.session_hash is not None
        return self._visitor(visitor.session_hash, is_token=False)

    def _visitor(self, secret_hash: bytes, *, is_token: bool) -> Visitor | None:
        # A token is asked for at every request: one that was revoked a moment ago is worthless.
        if not is_token and (found := self._fresh(secret_hash)):
            return found
        mark = self._read_mark()
        try:
            visitor = (self._token if is_token else self._session)(secret_hash)
        except DatabaseUnavailableError:
            with self._lock:
                known = self._known.get(secret_hash)
            if known is None or time.monotonic() - known.asked > REMEMBERED_WITHOUT_DATABASE_S:
                raise
            if known.mark != mark:
                raise
            visitor = known.visitor
            if is_token and self.kept.find(secret_hash) is None:
                raise
            return visitor
        with self._lock:
            while len(self._known) >= REMEMBERED_MAX:
                self._known.pop(next(iter(self._known)))
            self._known.pop(secret_hash, None)
            if visitor is not None:
                self._known[secret_hash] = _Known(visitor, time.monotonic(), mark)
        return visitor

    def log_in(self, name: str, password: str, address: str, browser: str) -> LoginAnswer:
        """Check a password and open a session; raises SqlError when the database cannot."""
        return self.finish_log_in(self.begin_log_in(name, address), password, address, browser)

    def begin_log_in(self, name: str, address: str) -> LoginAttempt:
        """Write an attempt down; whoever answers waits for its `delay_s` before it is finished."""
        return self._database().users.begin_login(name.strip().lower(), address)

    def finish_log_in(
        self, attempt: LoginAttempt, password: str, address: str, browser: str
    ) -> LoginAnswer:
        """Check the password of an attempt and open a session."""
        if attempt.wait_s > 0:
            minutes = max(1, round(attempt.wait_s / 60))
            return LoginAnswer(
                None, f"Too many attempts. Try again in {minutes} min.", attempt.wait_s
            )
        fits = password_fits(password, attempt.password_hash)
        if not fits or attempt.user is None or attempt.user.is_disabled:
            return LoginAnswer(None, "Name or password is wrong.")
        secret = new_secret()
        self._database().users.open_session(
            attempt,
            hash_of(secret),
            address=address,
            browser=browser,
            lifetime_s=self._config.session_hours * 3600,
            idle_s=self._config.session_idle_hours * 3600,
        )
        return LoginAnswer(secret)

    def log_out(self, secret: str) -> None:
        """End a session."""
        self.forget(hash_of(secret))
        self._database().users.end_session(hash_of(secret))

    def forget(self, secret_hash: bytes | None = None) -> None:
        """Ask the database again about one session, or about all."""
        with self._lock:
            if secret_hash is None:
                self._known.clear()
            else:
                self._known.pop(secret_hash, None)

    def _fresh(self, secret_hash: bytes) -> Visitor | None:
        with self._lock:
            known = self._known.get(secret_hash)
        if known is None or time.monotonic() - known.asked >= self._remembered_s:
            return None
        return known.visitor if known.mark and known.mark == self._read_mark() else None

    def _read_mark(self) -> str:
        try:
            return self._mark.read()
        except OSError:
            return ""

    def _session(self, session_hash: bytes) -> Visitor | None:
        idle_s = self._config.session_idle_hours * 3600
        session = self._database().users.session(session_hash, idle_s)
        if session is None:
            return None
        return Visitor(session.user_id, session.name, session.role, session_hash)

    def _token(self, token_hash: bytes) -> Visitor | None:
        owner = self._database().users.token_owner(token_hash)
        if owner is None:
            return None
        scopes = tuple(owner.scopes)
        return Visitor(owner.user_id, owner.name, owner.role or "", None, owner.token_name, scopes)
