"""The models of the store's disks: it owns how fast they are known to be, and measures nothing.

What is lost of it costs nothing but measuring again: a disk without a model is planned by the
default. On a full SSD the models live in memory.
"""

import contextlib
import math
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from fsd.disks.watch_file import WatchFile
from fsd.planning.disk_model import DEFAULT_MODEL, DiskModel

KIND = "model"
SLOW_SHARE_MAX = 0.5
"""Of the best bandwidth ever measured: full inner tracks alone come to two thirds."""
DOUBT_RATIO = 1.5
DOUBT_PLANNED_S_MIN = 5.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A disk's model, when it was measured, and the best bandwidth it ever had.

    `stored_bytes` is what the disk held then: of a fuller one more inner tracks are read.
    """

    model: DiskModel
    measured_s: int
    stored_bytes: int
    best_bandwidth_bytes_per_s: float
    best_s: int

    @property
    def slow(self) -> bool:
        """Return whether the disk reads much slower than it once did."""
        share = self.model.bandwidth_bytes_per_s / self.best_bandwidth_bytes_per_s
        return share < SLOW_SHARE_MAX


class DiskModels:
    """The models by disk id. Safe to use from several threads."""

    def __init__(self, file: WatchFile) -> None:
        self._file = file
        # Guards all below, and is held while they are written. Before the file's lock.
        self._lock = threading.Lock()
        self._doubted: set[str] = set()
        self._known: dict[str, Measurement] = {}
        for disk_id, fields in file.rows(KIND).items():
            with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):
                self._known[disk_id] = _parse(fields)

    def get(self, disk_id: str) -> Measurement | None:
        """Return what is known of a disk, None when it was never measured."""
        with self._lock:
            return self._known.get(disk_id)

    def model(self, disk_id: str) -> DiskModel:
        """Return the model to plan a disk by, the default when it was never measured."""
        known = self.get(disk_id)
        return DEFAULT_MODEL if known is None else known.model

    def put(
        self, disk_id: str, model: DiskModel, stored_bytes: int, *, accept: bool = False
    ) -> Measurement:
        """Keep a new model, durable when it returns (if the SSD has room).

        With `accept` it counts as the best one from now on.
        """
        now, bandwidth = int(time.time()), model.bandwidth_bytes_per_s
        with self._lock:
            former = self._known.get(disk_id)
            best, best_s = bandwidth, now
            better = former is not None and former.best_bandwidth_bytes_per_s > bandwidth
            if former is not None and better and not accept:
                best, best_s = former.best_bandwidth_bytes_per_s, former.best_s
            made = Measurement(model, now, stored_bytes, best, best_s)
            self._known[disk_id] = made
            self._doubted.discard(disk_id)
            self._file.write(KIND, {disk_id: asdict(made)})
        return made

    def note_copy(self, disk_id: str, planned_s: float, busy_s: float) -> None:
        """Compare a plan with what it took; a great difference puts the model in doubt."""
        if planned_s >= DOUBT_PLANNED_S_MIN:
            with self._lock:
                if not 1 / DOUBT_RATIO <= busy_s / planned_s <= DOUBT_RATIO:
                    self._doubted.add(disk_id)

    def doubted(self, disk_id: str) -> bool:
        """Return whether a copy took much longer, or shorter, than the model says."""
        with self._lock:
            return disk_id in self._doubted


def _parse(fields: dict[str, Any]) -> Measurement:
    rest = {name: value for name, value in fields.items() if name != "model"}
    model = DiskModel(**fields["model"])
    made = Measurement(model, **rest)
    numbers = [model.bandwidth_bytes_per_s, model.span_bytes, made.best_bandwidth_bytes_per_s]
    times = [model.seek_min_s, model.seek_max_s - model.seek_min_s]
    if not all(math.isfinite(n) and n > 0 for n in numbers) or not all(t >= 0 for t in times):
        raise ValueError("a model says what no disk can be")
    return made
