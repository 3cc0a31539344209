"""Every error of the browser's side; it owns the tree and the exit codes.

GuiError
├── UsageError            a person's mistake: says what to do (exit 2)
├── ForbiddenError        the role of whoever asks does not allow it
└── ServerStartError      the server did not start; the message has the end of its log
"""

from __future__ import annotations


class GuiError(Exception):
    """Root of this folder's errors; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(GuiError):
    """A mistake in what was asked; the message says what to do instead."""

    exit_code = 2


class ForbiddenError(GuiError):
    """Whoever asked may not do this; the message says which role may."""


class ServerStartError(GuiError):
    """The server ended before it answered."""
