"""The datasets' branch of the errors; their root and a person's mistakes are in `base.errors`.

RefusedDocumentError
└── DefinitionError        a definition is refused; lists problems with their places
DatasetError
├── NotFoundError          no such dataset, version or export
├── RefusedError           the definition is well-formed, but what it asks for cannot be made
├── ChangedError           a tree or manifest is not what was built
└── CancelledError         somebody asked to stop; the same call again goes on
"""

from __future__ import annotations

from base.errors import DrystoneError, RefusedDocumentError


class DatasetError(DrystoneError):
    """A dataset could not be made, read or exported."""


class DefinitionError(RefusedDocumentError):
    """A definition is refused."""


class NotFoundError(DatasetError):
    """The named dataset, version or export does not exist here."""


class RefusedError(DatasetError):
    """What a definition asks for cannot be made of what is there; nothing was copied."""


class ChangedError(DatasetError):
    """A tree or a manifest is not what was built; the message lists the differences."""


class CancelledError(DatasetError):
    """Somebody asked to stop; what was stored stays, and the same call again goes on."""
