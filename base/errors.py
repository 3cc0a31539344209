"""The root of every error of ours, the mistakes of a person, and what a command ends with.

DrystoneError                   something of ours failed (exit 1)
├── UsageError                  a person's mistake: says what to do (exit 2)
│   ├── ConfigError             drystone.toml is missing, broken or contradictory
│   └── RefusedDocumentError    a document that somebody wrote is refused; lists its problems
│       ├── ContractError       adapters: an action contract or a pipeline
│       ├── DefinitionError     datasets: a definition
│       ├── IntentError         sql: a write-intent
│       └── SelectorError       sql: a selector
├── JournalError                what was to be accepted is not durable; see `base/journal`
├── FsdError                    the store; its branch is drawn in `fsd/format/errors.py`
├── SqlError                    the database; see `sql/core/errors.py`
├── AdapterError                sources, ingest, actions; see `adapters/records/errors.py`
├── DatasetError                datasets; see `datasets/definition/errors.py`
├── JobsError                   runs and workers; see `jobs/core/errors.py`
└── GuiError                    pages; see `gui/core/errors.py`

A branch is for who must tell where a failure comes from. Everybody else catches DrystoneError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_INTERRUPTED = 130
EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but degraded or incomplete, "
    "130 interrupted."
)
"""What the help of every command ends with."""

PROBLEMS_SHOWN_MAX = 20


class DrystoneError(Exception):
    """Something of ours failed; the message is for a person, `exit_code` for a command's end."""

    exit_code = EXIT_FAILED
    is_lost = False
    """Whether another process was asked and never answered: nobody knows whether it was done."""


class UsageError(DrystoneError):
    """A mistake in what was asked; the message says what to do instead."""

    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    """The configuration cannot be used as it is written."""


class RefusedDocumentError(UsageError):
    """A document is refused as a whole; `problems` has one `place: reason` for each mistake."""

    verdict = "is refused, nothing was done"
    shown_max = PROBLEMS_SHOWN_MAX

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        self.subject = subject
        self.problems = list(problems)
        hidden = len(self.problems) - self.shown_max
        more = f"\n  ... and {hidden} more" if hidden > 0 else ""
        listed = "\n  ".join(self.problems[: self.shown_max])
        super().__init__(f"{subject} {self.verdict}:\n  {listed}{more}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.subject, self.problems)
