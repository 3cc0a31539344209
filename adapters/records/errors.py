"""The adapters' branch of the errors; their root and a person's mistakes are in `base.errors`.

RefusedDocumentError
└── ContractError         an action contract or a pipeline is refused; lists `place: reason`
AdapterError
├── BatchBusyError        another process works on the batch: wait for it
├── RecordError           one record cannot be understood; it is quarantined with this reason
├── LimitError            a file is larger, deeper or more numerous than its named limit
├── SpaceError            the store has no room now: wait and try again
├── BatchChangedError     the folder of a frozen batch is not what it was
└── PackageError          a TYPE1 package is not what its manifest says
"""

from __future__ import annotations

from base.errors import DrystoneError, RefusedDocumentError


class AdapterError(DrystoneError):
    """A source, a batch or a package could not be worked on."""


class ContractError(RefusedDocumentError):
    """A contract or pipeline that somebody wrote is refused."""

    verdict = "is refused"
    shown_max = 40


class BatchBusyError(AdapterError):
    """Another process works on the batch; the same call succeeds when that one is done."""


class SpaceError(AdapterError):
    """The store has no room for it now; nothing was begun, and the same call may succeed later."""


class RecordError(AdapterError):
    """One record is not what its format says; the message is the reason of its quarantine."""


class LimitError(RecordError):
    """A record or file exceeds a limit; the message names the limit."""


class BatchChangedError(AdapterError):
    """The files of a signalled folder changed after they were frozen."""


class PackageError(AdapterError):
    """A package for cold storage is damaged or incomplete."""
