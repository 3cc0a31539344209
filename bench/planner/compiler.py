"""What the process costs that reads a manifest and plans its export, or lays out its view.

Owns a simulated index (random keys, records in shards one behind the other, written in key order)
and manifests of a random share of it, and asks the compiler process what an engine asks of it; no
store and no object is needed. Beside it the least that any program would do: decode every line with
`json`, and write as many bytes as the view has. `planner` prints what it finds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bench.growth.store import path_of
from bench.growth.watch import peaks
from fsd.compile.compile_process import LANES, ManifestSummary
from fsd.format.index_rows import LOCATION_FIELDS
from fsd.planning.plan import DiskModel
from fsd.process.process import Child
from fsd.process.slots import SlotPool
from fsd.store.index import Index

SHARD_RECORDS = 8192
RECORD_BYTES = 32 * 1024
AT_ONCE = 100_000
KEY_BYTES = 32
TIMEOUT_S = 900.0

Figures = dict[str, float]
Keys = npt.NDArray[np.void]
_Answer = TypeVar("_Answer")


def simulate(folder: str, objects: int) -> Keys:
    """Make an index of so many objects below the folder; returns their keys, by object."""
    rng = np.random.default_rng(1)
    keys = np.frombuffer(rng.bytes(KEY_BYTES * objects), f"V{KEY_BYTES}")
    # By the first eight bytes: among ten million random keys no two are alike in them.
    order = np.argsort(keys.view(">u8")[:: KEY_BYTES // 8].astype(np.uint64))
    fields = np.zeros(objects, np.dtype(list(LOCATION_FIELDS)))
    fields["number"] = 1 + np.arange(objects) // SHARD_RECORDS
    fields["offset_low"] = np.arange(objects) % SHARD_RECORDS * RECORD_BYTES + RECORD_BYTES
    fields["length_low"] = rng.integers(1, RECORD_BYTES - 1024, objects)
    index = Index(folder, 1)
    with index.write() as writer:
        cursor = writer.transaction.cursor(db=writer.tables["objects"])
        for start in range(0, objects, AT_ONCE):
            some = order[start : start + AT_ONCE]
            rows = zip(keys[some].tolist(), fields[some].view("V16").tolist(), strict=True)
            cursor.putmulti(rows, append=True)
    index.close()
    return keys


def write_manifest(path: str, keys: Keys, share: float) -> int:
    """Write a manifest of a random share of the objects, folder by folder; returns their count."""
    wanted = np.flatnonzero(np.random.default_rng(2).random(len(keys)) < share)
    with open(path, "wb") as file:
        for start in range(0, len(wanted), AT_ONCE):
            file.write("".join(_lines(wanted[start : start + AT_ONCE].tolist(), keys)).encode())
    return len(wanted)


def _lines(numbers: list[int], keys: Keys) -> Iterator[str]:
    for number, key in zip(numbers, keys[numbers].tolist(), strict=True):
        yield f'{{"path":"{path_of(number)}","key":"{key.hex()}","node_id":{number}}}\n'


def measure(folder: str, objects: int, share: float, disks: tuple[DiskModel, ...]) -> Figures:
    """Plan an export, and lay out a view, of a random share of a simulated index."""
    manifest, tree = os.path.join(folder, "manifest.jsonl"), os.path.join(folder, "tree")
    canonical = os.path.join(folder, "canonical.jsonl")
    wanted = write_manifest(manifest, simulate(folder, objects), share)
    shards = 1 + (objects - 1) // SHARD_RECORDS
    spread = len(disks)
    replicas = {number: [number % spread, (number + 1) % spread] for number in range(1, shards + 1)}
    figures: Figures = {"objects": objects, "wanted": wanted}
    child = Child("fsd.compile.compile_process", "bench", LANES, SlotPool(0, 0), TIMEOUT_S)
    try:
        load = (manifest, folder, 1, "by_node", False, canonical)
        answer = _noted(figures, "load", lambda: child.call("load_manifest", *load))
        assert ManifestSummary(*answer).files == wanted
        _noted(figures, "tree", lambda: child.call("write_tree", tree, 1))
        plan = _noted(figures, "plan", lambda: child.call("plan", replicas, list(disks)))
        handed_out = _noted(figures, "segments", lambda: _hand_out(child, len(plan[0])))
        assert handed_out == wanted
    finally:
        child.kill()
    _, figures["bound_s"] = _timed(lambda: _plain_work(manifest, os.path.getsize(tree)))
    figures["planned_s"] = figures["load_s"] + figures["plan_s"]
    figures["view_s"] = figures["load_s"] + figures["tree_s"]
    figures["peak_mb"] = max(value for name, value in figures.items() if name.endswith("_mb"))
    return {name: round(value, 4) for name, value in figures.items()}


def _noted(figures: Figures, name: str, work: Callable[[], _Answer]) -> _Answer:
    with peaks(os.getpid()) as seen:
        answer, figures[f"{name}_s"] = _timed(work)
    figures[f"{name}_mb"] = seen.helper_bytes / 1e6
    return answer


def _timed(work: Callable[[], _Answer]) -> tuple[_Answer, float]:
    started = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - started


def _hand_out(child: Child, segments: int) -> int:
    """Take every segment as the engine does; returns how many files they have."""
    return sum(len(child.call("segment", number)) for number in range(segments))


def _plain_work(manifest: str, tree_bytes: int) -> None:
    """Decode every line, and write a view's bytes: its canonical manifest and its tree."""
    with open(manifest, "rb") as file, open(manifest + ".plain", "wb") as copy:
        for line in file:
            json.loads(line)
            copy.write(line)
        copy.write(bytes(tree_bytes))
        copy.flush()
        os.fsync(copy.fileno())
