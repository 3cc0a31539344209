"""Requests that carry a key (`Idempotency-Key`): each is done once, and answered the same again.

A request is begun before it is done, marked as done by its own transaction (`RequestMark`) and
finished with its answer. What a crash leaves:
  begun     the process is gone, nothing was changed: the next one with this key does it
  marked    it was done, its answer was lost: the next one is told so
  finished  the next one gets the answer
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from base.errors import UsageError
from sql.core.errors import AnswerLostError, BusyError, KeyReusedError
from sql.core.request_mark import RequestMark, marking
from sql.core.statements import statements

if TYPE_CHECKING:
    from sql.core.transactions import Transactions

KEPT_S = 24 * 3_600
KEY_LENGTH_MAX = 255

_SQL = statements("request_key")
_being_done: dict[tuple[int, str, str], str] = {}
"""The holders of this process whose request goes on, by database, account and key."""


class RequestBook:
    """The requests with keys of a database; get it as `Database.requests`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def begin(self, account: str, key: str, operation: str, digest: bytes) -> tuple[bool, Any]:
        """Begin a request, or return True and the answer that it had.

        `digest` is the SHA-256 of the request. Raises KeyReusedError for a key of another request,
        BusyError while it is being done, AnswerLostError when it was done and nobody knows the
        answer any more.
        """
        mine = f"{_this_process()}:{secrets.token_hex(8)}"
        given = {"account": account, "key": _checked(key), "holder": mine}
        with self._database.connection() as connection:
            connection.execute(_SQL["forget"], {"kept_s": KEPT_S})
            begun = connection.execute(
                _SQL["begin"], {**given, "operation": operation, "digest": digest}
            ).rowcount
            if begun:
                self._hold(account, key, mine)
                return False, None
            row = connection.execute(_SQL["known"], given).fetchone()
            if row is None:  # Abandoned at this moment.
                raise BusyError("the same request is being done; ask again")
            known_operation, known_digest, holder, is_done, answer = row
            if (known_operation, known_digest) != (operation, digest):
                raise KeyReusedError(
                    "this Idempotency-Key was sent with another request before; take a new key"
                )
            if answer is not None:
                return True, json.loads(answer)
            if is_done and not _is_alive(holder):
                raise AnswerLostError(
                    f"{operation} was done, but the server failed or was stopped before it "
                    "answered; look at what there is, and take a new key to do it again"
                )
            if _is_alive(holder):
                raise BusyError("the same request is being done; ask again")
            if not connection.execute(_SQL["take_over"], {**given, "former": holder}).rowcount:
                raise BusyError("the same request is being done; ask again")
            self._hold(account, key, mine)
        return False, None

    def marking(self, account: str, key: str) -> AbstractContextManager[None]:
        """Return a block whose transactions mark the request as done."""
        return marking(RequestMark(account, key))

    def finish(self, account: str, key: str, answer: Any) -> None:
        """Keep the answer, a JSON document."""
        given = {"account": account, "key": key, "answer": json.dumps(answer)}
        with self._released(account, key), self._database.connection() as connection:
            connection.execute(_SQL["finish"], given)

    def abandon(self, account: str, key: str, *, is_undone: bool = True) -> None:
        """Forget a request that changed nothing; one that was marked stays."""
        with self._released(account, key), self._database.connection() as connection:
            connection.execute(_SQL["abandon"], {"account": account, "key": key})

    def mark(self, account: str, key: str) -> None:
        """Mark a request as done before it is."""
        with self._database.connection() as connection:
            connection.execute(_SQL["mark_ahead"], {"account": account, "key": key})

    def unmark(self, account: str, key: str) -> None:
        """Take a mark back that was made before."""
        with self._database.connection() as connection:
            connection.execute(_SQL["unmark"], {"account": account, "key": key})

    def release(self, account: str, key: str) -> None:
        """Let others ask after the request; it stays as it is."""
        with self._released(account, key):
            pass

    def _hold(self, account: str, key: str, holder: str) -> None:
        _being_done[id(self._database), account, key] = holder

    @contextmanager
    def _released(self, account: str, key: str) -> Generator[None]:
        """Let others do the request after this block, also when the database failed in it."""
        try:
            yield
        finally:
            _being_done.pop((id(self._database), account, key), None)


class RequestsAhead:
    """Requests whose change another process makes (the engine), which knows no key.

    They are marked as done before that process is asked. What a crash leaves:
      begun     it was not asked: the next one with this key does it
      marked    it may have been done, and is never done again: the next one is told so
    What that process refused, or was never asked for, is forgotten.
    """

    def __init__(self, book: RequestBook) -> None:
        self._book = book

    def begin(self, account: str, key: str, operation: str, digest: bytes) -> tuple[bool, Any]:
        """Begin a request, or return True and its answer, as `RequestBook.begin` does."""
        is_known, answer = self._book.begin(account, key, operation, digest)
        if not is_known:
            try:
                # Durable before the other process hears of it; a crash before this leaves `begun`.
                self._book.mark(account, key)
            except BaseException:
                self._book.release(account, key)
                raise
        return is_known, answer

    def marking(self, account: str, key: str) -> AbstractContextManager[None]:
        """Return a block that marks nothing more."""
        return nullcontext()

    def finish(self, account: str, key: str, answer: Any) -> None:
        """Keep the answer, a JSON document."""
        self._book.finish(account, key, answer)

    def abandon(self, account: str, key: str, *, is_undone: bool = True) -> None:
        """Forget a request that was refused; one whose end nobody knows stays marked."""
        if not is_undone:
            self._book.release(account, key)
            return
        try:
            self._book.unmark(account, key)
        finally:
            self._book.abandon(account, key)


def _checked(key: str) -> str:
    if not 0 < len(key) <= KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
        raise UsageError(
            f"an Idempotency-Key has 1 to {KEY_LENGTH_MAX} printable ASCII characters, as a UUID"
        )
    return key


def _this_process() -> str:
    return f"{os.uname().nodename} {os.getpid()} {_start_ticks(os.getpid())}"


def _is_alive(holder: str) -> bool:
    """Tell whether a process may still be doing its request; of other machines nobody knows."""
    node, pid, rest = holder.rsplit(" ", 2)
    ticks, mark, _ = rest.partition(":")  # A row of the last version has no mark.
    if mark and f"{node} {pid} {ticks}" == _this_process():
        return holder in list(_being_done.values())
    return node != os.uname().nodename or _start_ticks(int(pid)) == ticks


def _start_ticks(pid: int) -> str:
    """Return when a process began, which tells it from a later one of its number; '' for none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""
