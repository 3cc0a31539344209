"""The database's branch of the errors; their root and a person's mistakes are in `base.errors`.

UsageError
├── RefusedDocumentError
│   ├── IntentError             a write-intent is refused whole; lists problems with their paths
│   └── SelectorError           a selector is refused; lists problems with their paths
├── EventsGoneError             a feed is read from a point that is gone, or never was
├── KeyReusedError              an Idempotency-Key was sent with another request before
└── SchemaError                 a declared table contradicts what is there; carries the difference
SqlError
├── NotFoundError               no such batch, pipeline, node or package
├── PartlyDoneError             what is done in parts failed after some; says how much is done
├── AnswerLostError             a request was done, and its answer is not known any more
├── GuestError              a guest asked for what guests may not, or there can be none here
├── StaleAttemptError           a worker speaks of a task that is somebody else's by now
├── MigrationError              the schema of the database cannot be brought to that of the code
├── QueryTimeoutError           a query ran longer than it may
├── BusyError                   somebody else held a lock for too long; try again
│   └── TurnError               somebody else builds the same dataset, for hours perhaps
├── StatementError              the server refused a statement; carries its SQLSTATE
├── BackupError                 a backup could not be made, restored or checked
│   └── BackupDamagedError      no copy of a backup is as it was written; lists what is wrong
└── DatabaseUnavailableError    nobody answers, or the embedded server does not start
    └── DatabaseFullError       there is no room to write; the embedded server only reads till then
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from base.errors import DrystoneError, RefusedDocumentError, UsageError


class SqlError(DrystoneError):
    """The database could not do it."""


class _RefusedError(RefusedDocumentError):
    """A document refused as a whole, of a kind that needs no name."""

    what = "the document"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(self.what, problems)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.problems,)


class IntentError(_RefusedError):
    """A write-intent is refused as a whole; nothing of it was written."""

    what = "the write-intent"


class SelectorError(_RefusedError):
    """A selector is refused; nothing was asked of the database."""

    what = "the selector"


class SchemaError(UsageError):
    """A declared table cannot be made or changed so; `difference` has one line per conflict."""

    def __init__(self, message: str, difference: Sequence[str] = ()) -> None:
        self.difference = list(difference)
        self.message = message
        super().__init__("\n  ".join([message, *self.difference]))

    def __reduce__(self) -> tuple[type[SchemaError], tuple[str, list[str]]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.message, self.difference)


class EventsGoneError(UsageError):
    """A feed cannot be read on from there; begin at 0, and read anew what you follow."""


class KeyReusedError(UsageError):
    """An Idempotency-Key stands for another request; take a new one."""


class AnswerLostError(SqlError):
    """The request was done before, by a process that was stopped before it answered."""


class PartlyDoneError(SqlError):
    """Something failed after parts of it were done; the same again does the rest."""

    def __init__(self, nodes_done: int, reason: str) -> None:
        self.nodes_done, self.reason = nodes_done, reason
        super().__init__(
            f"{nodes_done:,} nodes are done, then it failed: {reason}; "
            "ask for the same again to do the rest"
        )

    def __reduce__(self) -> tuple[type[PartlyDoneError], tuple[int, str]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.nodes_done, self.reason)


class NotFoundError(SqlError):
    """The named batch, pipeline, node or package does not exist here."""


class GuestError(SqlError):
    """A guest asked for what guests may not, or this database cannot keep guests apart."""


class StaleAttemptError(SqlError):
    """The attempt is over: it was taken back, cancelled or ended. Stop, and change nothing more."""

    def __init__(self, task_id: int, token: int) -> None:
        self.task_id, self.token = task_id, token
        super().__init__(f"attempt {token} of task {task_id} is over; nothing was changed")

    def __reduce__(self) -> tuple[type[StaleAttemptError], tuple[int, int]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.task_id, self.token)


class MigrationError(SqlError):
    """The schema of the database and that of this code do not fit; the message says which."""


class QueryTimeoutError(SqlError):
    """A query ran into the statement timeout; narrow it, or raise `statement_timeout_s`."""


class BusyError(SqlError):
    """Somebody else held a lock for too long; nothing was done, and the same call may succeed."""


class TurnError(BusyError):
    """Somebody else builds the same dataset, for hours perhaps; nothing was done."""


class StatementError(SqlError):
    """The server refused a statement, and nothing was done; `sqlstate` says why, or is ''."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        self.message = message
        self.sqlstate = sqlstate
        super().__init__(f"{message} (SQLSTATE {sqlstate})" if sqlstate else message)

    def __reduce__(self) -> tuple[type[StatementError], tuple[str, str]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.message, self.sqlstate)


class BackupError(SqlError):
    """A backup could not be made, restored or checked; the former ones are untouched."""


class BackupDamagedError(BackupError):
    """No copy of a backup is whole; the message says which file of which copy is damaged."""


class DatabaseUnavailableError(SqlError):
    """Nobody answers, or the embedded server does not start; the message has the end of its log."""


class DatabaseFullError(DatabaseUnavailableError):
    """The filesystem of the embedded server is full: reading goes on, the same call works later."""
