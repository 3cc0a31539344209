"""Every error of the adapters; it owns the tree and the exit codes.

AdapterError
├── UsageError            a person's mistake: says what to do (exit 2)
├── RecordError           one record cannot be understood; it is quarantined with this reason
├── LimitError            a file is larger, deeper or more numerous than its named limit
├── BatchChangedError     the folder of a frozen batch is not what it was
└── PackageError          a TYPE1 package is not what its manifest says
"""

from __future__ import annotations


class AdapterError(Exception):
    """Root of the adapters' errors; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(AdapterError):
    """A mistake in what was asked; the message says what to do instead."""

    exit_code = 2


class RecordError(AdapterError):
    """One record is not what its format says; the message is the reason of its quarantine."""


class LimitError(RecordError):
    """A record or file exceeds a limit; the message names the limit."""


class BatchChangedError(AdapterError):
    """The files of a signalled folder changed after they were frozen."""


class PackageError(AdapterError):
    """A package for cold storage is damaged or incomplete."""
