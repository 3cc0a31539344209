"""The models of the store's disks: it owns one small JSON file on the SSD, and measures nothing.

    {"format": 1, "disks": {DISK ID: {...fields of Measurement...}}, "xxh3_64": "..."}

The checksum is of the canonical JSON of `disks`. A file that is lost costs nothing but measuring
again; one that is damaged, or says what no disk can be, is not used: every disk is then planned by
the default. Written atomically; on a full SSD the models live in memory.
"""

import contextlib
import json
import math
import os
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import xxhash

from base.files import parse_json, write_durably
from fsd.planning.disk_model import DEFAULT_MODEL, DiskModel

FORMAT = 1
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

    def __init__(self, path: str) -> None:
        self._path = path
        # Guards all below and the file, which is written with it held. Innermost.
        self._lock = threading.Lock()
        self._doubted: set[str] = set()
        self.problem = ""
        self._known: dict[str, Measurement] = {}
        try:
            with open(path, "rb") as file:
                self._known = unpack_models(file.read())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self.problem = f"the disks' models cannot be used ({error}); they are measured again"

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
            self._write()
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

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            write_durably(self._path, pack_models(self._known))


def pack_models(known: dict[str, Measurement]) -> bytes:
    """Return the file's bytes."""
    disks = {disk_id: asdict(known[disk_id]) for disk_id in sorted(known)}
    document = {"format": FORMAT, "disks": disks, "xxh3_64": _digest(disks)}
    return json.dumps(document, indent=1).encode()


def unpack_models(data: bytes) -> dict[str, Measurement]:
    """Return the models of a file; ValueError says why it cannot be used."""
    try:
        document = parse_json(data)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']} is not known")
        disks = document["disks"]
        if document["xxh3_64"] != _digest(disks):
            raise ValueError("the checksum does not match")
        return {disk_id: _parse(fields) for disk_id, fields in disks.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _parse(fields: dict[str, Any]) -> Measurement:
    rest = {name: value for name, value in fields.items() if name != "model"}
    model = DiskModel(**fields["model"])
    made = Measurement(model, **rest)
    numbers = [model.bandwidth_bytes_per_s, model.span_bytes, made.best_bandwidth_bytes_per_s]
    times = [model.seek_min_s, model.seek_max_s - model.seek_min_s]
    if not all(math.isfinite(n) and n > 0 for n in numbers) or not all(t >= 0 for t in times):
        raise ValueError("a model says what no disk can be")
    return made


def _digest(disks: dict[str, Any]) -> str:
    canonical = json.dumps(disks, sort_keys=True, separators=(",", ":")).encode()
    return xxhash.xxh3_64_hexdigest(canonical)
