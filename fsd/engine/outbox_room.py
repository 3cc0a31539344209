"""Room of the outbox (3B) for packages that others write: reservations, by the packages' names.

It never looks at what a package is. The reservations live in memory, and so does who writes: after
a restart of the engine whoever goes on with a package reserves for it again.
"""

import contextlib
import threading

from base.errors import UsageError
from fsd.documents.models import OutboxRoomRequest
from fsd.format.paths import check_identifier
from fsd.store.ssd.areas import Areas, Reservation

AREA = "3b"


class OutboxRoom:
    """The reservations of packages that are being written. Thread-safe."""

    def __init__(self, areas: Areas) -> None:
        self._areas = areas
        # Guards `_held`, also while the area is walked. Before the locks of `Areas`.
        self._lock = threading.Lock()
        self._held: dict[str, Reservation] = {}

    def reserve(self, request: OutboxRoomRequest) -> None:
        """Reserve room for a package; QuotaError when there is none, and none is held then."""
        if reason := check_identifier(request.package):
            raise UsageError(f"the package {request.package!r} is refused: {reason}")
        with self._lock:
            self._give_back(request.package)
            # Packages that were copied away are removed by others, who say nothing here.
            self._measure()
            held = self._areas.reserve(
                AREA, f"package {request.package}", request.size_bytes, request.files
            )
            self._held[request.package] = held
            # While it is written it lies there: what a walk finds of it is not counted twice.
            self._areas.watch(held.id, self._areas.paths[AREA] / (request.package + ".tmp"))

    def release(self, package: str) -> None:
        """Give the rest of a reservation back; what was written counts as used from now on."""
        with self._lock:
            self._measure()
            self._give_back(package)

    def _measure(self) -> None:
        with contextlib.suppress(OSError):  # Who writes the package meets the same, and says it.
            self._areas.measure(AREA)

    def _give_back(self, package: str) -> None:
        if (held := self._held.pop(package, None)) is not None:
            self._areas.release(held.id)
