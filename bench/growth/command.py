"""What the store costs as it grows: one real store measured at several sizes, table and plot.

    python -m bench.growth [--objects 100000 1000000 10000000] [--folder DIR] [--sources DIR]
                           [--packers N] [--json FILE] [--plot docs/growth.svg]

Owns the figures and the order of measuring. The store has four folders of one filesystem as disks;
its objects have 100 to 300 bytes, so what is measured is the cost of their number: engine, index,
catalog, planning, not the disks. At each size, in this order:

put         the next objects (at most 50,000): rate, and CPU of the engine and its helpers
start       after kill -9 (shards were open), after an ordinary stop; both with a warm page cache
listing     the first 1,000 files of a batch, one folder of its tree file, the scan of the index
planning    a copy of a random 1 %, and of a half, until the first file would be read: manifest
            checked and looked up, reads planned; then the job is cancelled
views       of the same 1 %, and of a million files (of all while there are fewer), published
reindex     a new index from the shards, and the listing of every batch from its parts
memory      anonymous (RssAnon), of the engine and of its largest helper: the peak in each step

Beside others' work only ratios within one run mean anything. The 10 M objects need some 13 GB in
`--folder` and 3 GB of memory for the manifest of a half.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from bench.growth.plot import draw
from bench.growth.store import GrowingStore
from bench.growth.watch import anonymous_bytes, cpu_s, peaks
from fsd.format import layout
from fsd.format.tree import Tree
from fsd.store.generation import current_generation
from fsd.store.index import Index

SIZES = (100_000, 1_000_000, 10_000_000)
PUT_FILES_MAX = 50_000
LISTED_FILES = 1000
SCANNED_KEYS_MAX = 1_000_000
VIEW_FILES = 1_000_000
MEGABYTE = 1e6

Figures = dict[str, float]
_Answer = TypeVar("_Answer")

ROWS = (
    ("put_objects_per_s", "put, objects/s", "{:,.0f}"),
    ("put_cpu_us_per_object", "put, CPU of all processes per object, us", "{:.0f}"),
    ("start_s", "start after a stop, s", "{:.2f}"),
    ("start_after_kill_s", "start after kill -9, s", "{:.2f}"),
    ("first_page_ms", "first 1,000 files of a batch, ms", "{:.0f}"),
    ("folder_ms", "`ls` of a folder of 1,000 in its tree, ms", "{:.1f}"),
    ("scan_keys_per_s", "scan of the index, keys/s", "{:,.0f}"),
    ("plan_1_percent_s", "export of 1 % planned, s", "{:.2f}"),
    ("plan_half_s", "export of a half planned, s", "{:.1f}"),
    ("plan_half_us_per_object", "the same, per object, us", "{:.1f}"),
    ("plan_half_helper_mb", "the same, memory of the planning process, MB", "{:,.0f}"),
    ("view_1_percent_s", "view of 1 % published, s", "{:.2f}"),
    ("view_million_s", "view of a million files (or all) published, s", "{:.1f}"),
    ("reindex_s", "reindex with all listings, s", "{:.1f}"),
    ("engine_started_mb", "engine's anonymous memory after a start, MB", "{:.0f}"),
    ("put_engine_mb", "the same, most in a put, MB", "{:.0f}"),
    ("plan_half_engine_mb", "the same, most while a half is planned, MB", "{:.0f}"),
    ("reindex_engine_mb", "the same, most in a reindex, MB", "{:.0f}"),
    ("reindex_helper_mb", "largest helper in a reindex, MB", "{:.0f}"),
    ("index_bytes_per_object", "index, bytes per object", "{:.0f}"),
    ("index_live_bytes_per_object", "the same without free pages", "{:.0f}"),
    ("tree_bytes_per_path", "listings, bytes per path", "{:.0f}"),
    ("catalog_mb_per_disk", "catalog, MB on each disk", "{:.2f}"),
)


def timed(work: Callable[[], _Answer]) -> tuple[float, _Answer]:
    """Return (seconds, answer)."""
    started = time.perf_counter()
    answer = work()
    return time.perf_counter() - started, answer


def measure(store: GrowingStore) -> Figures:
    """Measure everything at the size the store has now; the put adds to it."""
    figures: Figures = {"objects": store.objects}
    for step in (measure_put, measure_starts, measure_listing, measure_exports, measure_reindex):
        seconds, found = timed(lambda step=step: step(store))
        print(f"  {step.__name__}: {seconds:.0f} s", file=sys.stderr)
        figures |= found
    return figures | measure_sizes(store)


def measure_put(store: GrowingStore) -> Figures:
    folder = store.make_sources(min(PUT_FILES_MAX, store.objects))
    before_s, pid = cpu_s(store.pid), store.pid
    with peaks(pid) as seen:
        seconds, job = timed(lambda: store.put(folder))
    return {
        "put_files": job.done_files,
        "put_objects_per_s": job.done_files / seconds,
        "put_cpu_us_per_object": (cpu_s(pid) - before_s) / job.done_files * 1e6,
        "put_engine_mb": seen.engine_bytes / MEGABYTE,
        "put_helper_mb": seen.helper_bytes / MEGABYTE,
    }


def measure_starts(store: GrowingStore) -> Figures:
    store.kill()
    killed_s, _ = timed(store.start)
    store.stop()
    seconds, _ = timed(store.start)
    started_mb = anonymous_bytes(store.pid) / MEGABYTE
    return {"start_after_kill_s": killed_s, "start_s": seconds, "engine_started_mb": started_mb}


def measure_listing(store: GrowingStore) -> Figures:
    batch = store.batches[0]
    page_s, _ = timed(lambda: list(itertools.islice(store.client.batch_files(batch), LISTED_FILES)))
    index = open_index(store)
    with index.read() as reader:
        row = reader.batch(batch)
        assert row is not None
        folder_s, _ = timed(lambda: list_folder(index.tree_path(row.tree_file)))
        scan_s, keys = timed(
            lambda: sum(1 for _ in itertools.islice(reader.keys(), SCANNED_KEYS_MAX))
        )
    index.close()
    return {
        "first_page_ms": page_s * 1e3,
        "folder_ms": folder_s * 1e3,
        "scan_keys_per_s": keys / scan_s,
    }


def list_folder(tree_path: str) -> int:
    """List the first folder of a tree file; returns the names in it."""
    with Tree(tree_path) as tree:
        first = next(tree.children(0))
        return len(list(tree.children(first.node)))


def open_index(store: GrowingStore) -> Index:
    """Open the index beside the engine, as the mount does."""
    root = store.config.index_root
    return Index(root, current_generation(root) or 0, readonly=True)


def measure_exports(store: GrowingStore) -> Figures:
    manifest = os.path.join(store.config.root, "manifest.jsonl")
    figures: Figures = {}
    for share, name in ((0.01, "1_percent"), (0.5, "half")):
        count = store.write_manifest(manifest, share)
        with peaks(store.pid) as seen:
            seconds, checked_s = plan_only(store, manifest, f"{name}-{store.objects}")
        figures |= {
            f"plan_{name}_objects": count,
            f"plan_{name}_s": seconds,
            f"plan_{name}_checked_s": checked_s,
            f"plan_{name}_us_per_object": seconds / count * 1e6,
            f"plan_{name}_helper_mb": seen.helper_bytes / MEGABYTE,
            f"plan_{name}_engine_mb": seen.engine_bytes / MEGABYTE,
        }
        if share < 0.1:
            figures["view_1_percent_s"] = timed(lambda name=name: publish(store, manifest, name))[0]
        os.unlink(manifest)
    return figures | measure_large_view(store, manifest)


def measure_large_view(store: GrowingStore, manifest: str) -> Figures:
    count = store.write_manifest(manifest, min(1.0, VIEW_FILES / store.objects))
    with peaks(store.pid) as seen:
        seconds, _ = timed(lambda: publish(store, manifest, "million"))
    os.unlink(manifest)
    return {
        "view_million_files": count,
        "view_million_s": seconds,
        "view_million_helper_mb": seen.helper_bytes / MEGABYTE,
    }


def plan_only(store: GrowingStore, manifest: str, name: str) -> tuple[float, float]:
    """Begin an export and cancel it at once, which it notices when it is planned and its folders
    are made; returns (seconds, of which checking and looking up).
    """
    started = time.perf_counter()
    answer = store.client.export_to_3d(manifest, name, "plain", "copy")
    checked_s = time.perf_counter() - started
    store.client.cancel(answer.job_id)
    store.client.wait(answer.job_id)
    return time.perf_counter() - started, checked_s


def publish(store: GrowingStore, manifest: str, name: str) -> None:
    answer = store.client.export_to_3d(manifest, f"view-{name}-{store.objects}", "plain", "view")
    store.finish(answer.job_id)


def measure_reindex(store: GrowingStore) -> Figures:
    with peaks(store.pid) as seen:
        seconds, _ = timed(lambda: store.finish(store.client.reindex().job_id))
    return {
        "reindex_s": seconds,
        "reindex_engine_mb": seen.engine_bytes / MEGABYTE,
        "reindex_helper_mb": seen.helper_bytes / MEGABYTE,
    }


def measure_sizes(store: GrowingStore) -> Figures:
    """The sizes after the reindex: its index is the one that a lost SSD leaves one with."""
    index = open_index(store)
    with index.read() as reader:
        rows = list(reader.batches())
        objects = reader.object_count()
        stats = [reader.transaction.stat(table) for table in reader.tables.values()]
    pages = sum(one["branch_pages"] + one["leaf_pages"] + one["overflow_pages"] for one in stats)
    trees = [os.path.getsize(index.tree_path(row.tree_file)) for row in rows if row.tree_file]
    size_bytes = index.size_bytes()
    index.close()
    catalogs = [os.path.getsize(os.path.join(disk, layout.CATALOG_NAME)) for disk in store.disks]
    return {
        "index_bytes_per_object": size_bytes / objects,
        "index_live_bytes_per_object": pages * stats[0]["psize"] / objects,
        "tree_bytes_per_path": sum(trees) / store.objects,
        "catalog_mb_per_disk": max(catalogs) / MEGABYTE,
    }


def grow_and_measure(
    sizes: list[int], folder: str, sources: str, packers: int | None = None
) -> Iterator[Figures]:
    """Grow one store through all sizes; yields the figures of each."""
    store = GrowingStore(folder, sources, packers)
    try:
        store.start()
        for size in sorted(sizes):
            grown_s, added = timed(lambda size=size: store.grow(size))
            line = f"{store.objects:,} objects: {added:,} more in {grown_s:.0f} s"
            print(line, file=sys.stderr, flush=True)
            index_bytes = open_index(store).size_bytes() / store.objects
            yield measure(store) | {"put_index_bytes_per_object": index_bytes}
    finally:
        store.close()


def table(found: list[Figures]) -> str:
    """The figures as Markdown, a column for each size."""
    lines = ["| objects | " + " | ".join(f"{f['objects']:,.0f}" for f in found) + " |"]
    lines.append("| --- |" + " --- |" * len(found))
    for name, label, form in ROWS:
        lines.append(f"| {label} | " + " | ".join(form.format(f[name]) for f in found) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--objects", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--folder", default="/var/tmp", help="where to work; not on tmpfs")
    parser.add_argument("--sources", default="/dev/shm", help="for source files; best on tmpfs")
    parser.add_argument(
        "--packers", type=int, help="processes of a put; with 1 sizes are no chance"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", metavar="FILE", help="draw the table there, as SVG")
    given = parser.parse_args()
    prefix = "drystone-bench-"
    with (
        tempfile.TemporaryDirectory(dir=given.folder, prefix=prefix) as folder,
        tempfile.TemporaryDirectory(dir=given.sources, prefix=prefix) as sources,
    ):
        found: list[Figures] = []
        for figures in grow_and_measure(given.objects, folder, sources, given.packers):
            found.append(figures)
            # After each size: a run that is stopped has told what it found.
            if given.json:
                write(given.json, json.dumps(found, indent=1) + "\n")
            if given.plot:
                write(given.plot, draw(found))
    print(table(found))


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
