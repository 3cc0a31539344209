"""A batch's tree file: it owns making the listing that the mount shows, from the batch's parts."""

import os
import shutil
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from fsd import ballast, compile_process
from fsd.index import BatchRow
from fsd.process import Child
from fsd.read import read_small
from fsd.store import Store

# Sorting and planning 10 M entries takes a minute without a step that the watchdog could see.
COMPILE_TIMEOUT_S = 900.0


@contextmanager
def compiler(store: Store, label: str) -> Generator[Child, None, None]:
    """Start a compiler process for one job and end it afterwards."""
    child = Child(
        "fsd.compile_process",
        label,
        compile_process.LANES,
        store.pool,
        stall_timeout_s=COMPILE_TIMEOUT_S,
    )
    store.disks.watch(child)
    try:
        yield child
    finally:
        child.kill()


@contextmanager
def scratch_folder(store: Store) -> Generator[str, None, None]:
    """Make a folder for a job's small files below the run folder and remove it afterwards."""
    folder = tempfile.mkdtemp(prefix="job-", dir=store.config.run_dir)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compile_batch(store: Store, row: BatchRow, known: Mapping[bytes, bytes] | None = None) -> None:
    """Write the batch's tree file and put it into the index; the mount shows it from then on.

    Parts that are `known` by their keys are not read: each would cost the disks a seek.

    The tree is a projection: a crash before the index commit leaves a stale file and the old row.
    """
    with store.index.read() as reader:
        parts = reader.batch_parts(row.name)
    tree_file = f"batch-{time.time_ns():x}.tree"
    former = row.tree_file
    with scratch_folder(store) as folder, compiler(store, f"batch {row.name}") as child:
        paths: list[str] = []
        for number, key in enumerate(parts):
            path = os.path.join(folder, f"{number}.part")
            with open(path, "wb") as file:
                file.write((known or {}).get(key) or read_small(store, key))
            paths.append(path)
        tree_path = store.index.tree_path(tree_file)
        with ballast.naming(store.config.index_root):
            row.files, row.size_bytes = child.call(
                "compile_batch", paths, tree_path, row.created_ns
            )
    row.tree_file = tree_file
    with store.index.write() as writer:
        writer.put_batch(row)
    remove_tree(store, former)


def remove_tree(store: Store, tree_file: str) -> None:
    """Delete a tree file that no row names any more; the mount keeps what it has open."""
    if tree_file and os.path.exists(store.index.tree_path(tree_file)):
        os.unlink(store.index.tree_path(tree_file))
