"""Manifests that nobody refers to: it owns finding them, and letting them go before a compaction.

A build that was killed, or a view that was unpublished, leaves its manifest in the hidden batch.
It goes the way of a purge (see `purge`) once it is older than `manifest_grace_days` and no view,
pin, running copy, batch or folder of the SSD names it. Its line in the hidden batch stays.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator

from base.errors import DrystoneError
from base.files import parse_json
from fsd.delete.compact_drop import Dropper
from fsd.delete.purge import PurgeRun
from fsd.delete.purge_marking import Marking
from fsd.format.batch_part import parse_files
from fsd.format.errors import CancelledError
from fsd.repair.projection import MANIFESTS_BATCH
from fsd.running.engine_core import EngineCore
from fsd.store.index import IndexReader
from fsd.store.job import Job
from fsd.store.purge_place import live_shard
from fsd.store.read import read_small

COLLECTED = ".collected"
"""The name of the batch that the catalog calls purged; there never is one of this name."""
DAY_NS = 86400 * 10**9
_AREAS = ("3c", "3d")


def collect_manifests(dropper: Dropper, job: Job) -> int:
    """Let old manifests go that nobody refers to; returns how many.

    What keeps a purge from being safe (a disk that is away) keeps them: it is reported, no error.
    """
    engine = dropper.engine
    marking = _ManifestMarking(engine, job)
    try:
        with engine.store.index.read() as reader:
            if not marking.unused(reader):
                return 0
        run = PurgeRun(dropper, COLLECTED, job, lambda: _ManifestMarking(engine, job))
        return run.delete()["purged_objects"]
    except CancelledError:
        raise
    except DrystoneError as error:
        job.report({"reason": f"unused manifests stay: {error}"})
        return 0


class _ManifestMarking(Marking):
    """The stored manifests, less those that are young or that something refers to."""

    def __init__(self, engine: EngineCore, job: Job) -> None:
        super().__init__(engine.store, engine.references, MANIFESTS_BATCH, job)
        self._engine = engine
        days = engine.config.store.manifest_grace_days
        self._before_ns = time.time_ns() - int(days * DAY_NS)

    def unused(self, reader: IndexReader) -> dict[bytes, int]:
        """Return the old manifests that no view, pin or folder names (key -> bytes).

        It is a first look that costs little: what batches and manifests name is not looked at.
        """
        with self._store.lock:
            state = self._store.shards.state
            named = {view.manifest_key for view in state.views.values()}
            named |= {pin.manifest_key for pin in state.pins.values()}
        kept = {bytes.fromhex(key) for key in named}
        kept.update(key for _, key in _folders(self._engine))
        found: dict[bytes, int] = {}
        for part in reader.batch_parts(MANIFESTS_BATCH):
            for file in parse_files(read_small(self._store, part)):
                key = bytes.fromhex(file.key)
                if key not in kept and self._is_old(reader, key):
                    found[key] = file.size_bytes
        return found

    def collect(self) -> None:
        """Take every manifest that may go, instead of all that a batch has."""
        with self._store.index.read() as reader:
            self.candidates.update(self.unused(reader))
        self.files = len(self.candidates)

    def mark_others(self) -> None:
        """Leave out what folders on the SSD were made of, besides what every purge leaves."""
        super().mark_others()
        for folder, key in _folders(self._engine):
            self.keep(f"folder {folder}", (key,))

    def _is_old(self, reader: IndexReader, key: bytes) -> bool:
        place = reader.locate(key)
        if place is None:
            return False
        shards = [live_shard(self._store, one) for one in (place, *reader.spares(key))]
        known = [shard for shard in shards if shard is not None]
        return all(shard.sealed and shard.sealed_ns < self._before_ns for shard in known)


def _folders(engine: EngineCore) -> Iterator[tuple[str, bytes]]:
    """Yield (folder, key of its manifest) of whatever lies complete, or begun, on the SSD."""
    for area in _AREAS:
        root = glob.escape(engine.config.area_path(area))
        for folders in ("*/*", "*/*/*", ".tmp/*"):  # A layout, a part of one, and what is begun.
            for path in glob.glob(f"{root}/{folders}/_JOB.json"):
                key = _manifest_of(path)
                if key is not None:
                    yield os.path.dirname(path), key


def _manifest_of(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            document = parse_json(file.read())
        return bytes.fromhex(document["manifest_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
