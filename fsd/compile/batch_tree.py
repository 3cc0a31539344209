"""A batch's tree file: it owns making the listing that the mount shows, from the batch's parts."""

import os
import shutil
import tempfile
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

from fsd.compile import compile_process
from fsd.compile.lost_parts import (
    FILES_AT_ONCE,
    listed_files,
    listed_parts,
    name_tree,
    not_listed,
    open_listing,
    read_part,
    unlisted,
)
from fsd.format.batch_part import format_part, parse_files, parse_head
from fsd.process.process import Child
from fsd.store.index import BatchRow
from fsd.store.purged_keys import without_purged
from fsd.store.ssd import ballast
from fsd.store.store import Store

# Sorting and planning 10 M entries takes a minute without a step that the watchdog could see.
COMPILE_TIMEOUT_S = 900.0


@contextmanager
def compiler(store: Store, label: str) -> Generator[Child, None, None]:
    """Start a compiler process for one job and end it afterwards."""
    child = Child(
        "fsd.compile.compile_process",
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


def compile_batch(
    store: Store,
    row: BatchRow,
    known: Mapping[bytes, bytes] | None = None,
    *,
    add_to_former: bool = False,
) -> bool:
    """Write the batch's tree file and put it into the index; the mount shows it from then on.

    Parts that are `known` by their keys are not read: each would cost the disks a seek; nor are,
    with `add_to_former`, those that the listing before was made of, when all others are known.
    Returns whether all could be read. What a lost one names comes from the listing before then;
    without that it is a NoReplicaError.

    The tree is a projection: a crash before the index commit leaves a stale file and the old row.
    """
    with store.index.read() as reader:
        parts, known_row = reader.batch_parts(row.name), reader.batch(row.name)
    if known_row is not None:  # A part that came back with its disk may have been taken in.
        row.tree_file, row.between = known_row.tree_file, known_row.between
    tree_file = name_tree(parts)
    former = row.tree_file
    with store.lock:  # Before anything is read: what is purged from now on asks for another one.
        row.key_purges = store.shards.state.key_purges.get(row.name, 0)
    with scratch_folder(store) as folder, compiler(store, f"batch {row.name}") as child:
        made_of = _made_of(store, row, parts, known or {}) if add_to_former else frozenset[bytes]()
        paths, lost = _write_parts(store, parts, folder, known or {}, made_of)
        if stood_for := [part for part in parts if part in made_of or part in lost]:
            paths = _by_former(store, row, parts, stood_for, folder, paths)
        tree_path = store.index.tree_path(tree_file)
        with ballast.naming(store.config.index_root):
            row.files, row.size_bytes = child.call(
                "compile_batch", paths, tree_path, row.created_ns
            )
    row.tree_file = tree_file
    with store.index.write() as writer:
        now = writer.batch(row.name)
        came = [] if now is None else now.between
        row.between = [part for part in came if bytes.fromhex(part) not in parts]
        writer.put_batch(row)
    remove_tree(store, former)
    return not lost


def _made_of(
    store: Store, row: BatchRow, parts: Sequence[bytes], known: Mapping[bytes, bytes]
) -> frozenset[bytes]:
    """Return the parts that the former listing can stand for; none where it is not all the rest."""
    listed = listed_parts(row, parts)
    if not listed or any(part not in known for part in parts[len(listed) :]):
        return frozenset()
    tree = open_listing(store, row, parts, listed)
    if tree is None or list(listed) != list(parts[: len(listed)]):
        return frozenset()
    tree.close()
    return frozenset(listed)


def _write_parts(
    store: Store,
    parts: Sequence[bytes],
    folder: str,
    known: Mapping[bytes, bytes],
    unread: Collection[bytes],
) -> tuple[list[str], list[bytes]]:
    """Write the parts to files; returns their paths, empty where one is lost, and the lost ones."""
    paths: list[str] = []
    lost: list[bytes] = []
    for number, key in enumerate(parts):
        if key in unread:
            paths.append("")
            continue
        data = known.get(key) or read_part(store, key)
        if data is None:
            lost.append(key)
            paths.append("")
            continue
        paths.append(_write(folder, f"{number}.part", _less_purged(store, data)))
    return paths, lost


def _less_purged(store: Store, part: bytes) -> bytes:
    """Return a part as a listing is made of it: without what was purged by itself."""
    listed = parse_files(part)
    left = without_purged(store, listed)
    if len(left) == len(listed):
        return part
    head = parse_head(part)
    return format_part(head.batch, head.class_name, head.number, left)


def _by_former(
    store: Store,
    row: BatchRow,
    parts: Sequence[bytes],
    lost: Sequence[bytes],
    folder: str,
    paths: Sequence[str],
) -> list[str]:
    """Return what a listing is made of where parts are lost, the oldest first.

    The former one stands for the last that is lost and those before. What it was not made of came
    back with a disk, and gives way to it.
    """
    last = max(place for place, path in enumerate(paths) if not path)
    came = unlisted(row, parts, last)
    others = [paths[place] for place in range(last) if parts[place] in came]
    return [*others, *_former(store, row, parts, lost, folder), *paths[last + 1 :]]


def _former(
    store: Store, row: BatchRow, parts: Sequence[bytes], lost: Sequence[bytes], folder: str
) -> list[str]:
    """Write the former listing as parts, which stand for all those that it was made of."""
    tree = open_listing(store, row, parts, lost)
    if tree is None:
        raise not_listed(store, row, lost[0])
    paths: list[str] = []
    with tree:
        listed = listed_files(tree)
        while files := tuple(islice(listed, FILES_AT_ONCE)):
            left = without_purged(store, files)
            data = format_part(row.name, row.class_name, len(paths), left)
            paths.append(_write(folder, f"former-{len(paths)}.part", data))
    return paths


def _write(folder: str, name: str, data: bytes) -> str:
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def remove_tree(store: Store, tree_file: str) -> None:
    """Delete a tree file that no row names any more; the mount keeps what it has open."""
    if tree_file and os.path.exists(store.index.tree_path(tree_file)):
        os.unlink(store.index.tree_path(tree_file))
