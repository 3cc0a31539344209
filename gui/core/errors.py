"""The pages' branch of the errors; their root and a person's mistakes are in `base.errors`.

GuiError
├── ForbiddenError        the role of whoever asks does not allow it
└── ServerStartError      the server did not start; the message has the end of its log
"""

from __future__ import annotations

from base.errors import DrystoneError


class GuiError(DrystoneError):
    """A page or its server could not do it."""


class ForbiddenError(GuiError):
    """Whoever asked may not do this; the message says which role may."""


class ServerStartError(GuiError):
    """The server ended before it answered."""
