"""Index generations: it owns opening, filling and replacing them, from catalog and shards alone."""

import contextlib
import os
import shutil
import time
from collections.abc import Generator

from base.errors import DrystoneError
from base.logging.ids import about
from fsd.compile.batch_tree import compile_batch, compiler, remove_tree, scratch_folder
from fsd.compile.lost_parts import is_whole
from fsd.format.errors import CorruptError
from fsd.repair.index_check import check_rows
from fsd.repair.recover import roll_forward
from fsd.store.generation import current_generation, generation_path, set_current_generation
from fsd.store.index import LAYOUT, NEXT_NUMBER, BatchRow, DiskRow, Index, IndexReader, ViewRow
from fsd.store.job import Job
from fsd.store.purged_keys import stored_again
from fsd.store.read import read_to_file
from fsd.store.ssd import ballast
from fsd.store.store import Store

HIDDEN_PREFIX = "."
STARTS_NAME = "UNFINISHED_STARTS"
STARTS_MAX = 2
MANIFESTS_BATCH = ".manifests"


@contextlib.contextmanager
def unfinished_start(store: Store) -> Generator[bool, None, None]:
    """Tell whether the last two starts ended inside this block; this one counts until it is out.

    A damaged index can kill the process that maps it (SIGBUS, SIGSEGV): no error tells of that.
    """
    root = store.config.index_root
    os.makedirs(root, mode=0o700, exist_ok=True)
    ballast.of_index(root).ease()
    marker = os.path.join(root, STARTS_NAME)
    starts = os.path.getsize(marker) if os.path.exists(marker) else 0
    # A full SSD is no reason not to start.
    with contextlib.suppress(OSError), open(marker, "ab") as file:
        file.write(b"x")
    try:
        yield starts >= STARTS_MAX
    finally:
        # Also after an error: whoever can raise one was not killed.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(marker)


def open_index(store: Store, *, suspicious: bool = False) -> bool:
    """Open the current generation, or begin a new one when it is missing, damaged or suspicious.

    Returns whether it is new, so that CURRENT must be moved once it is filled.
    """
    root = store.config.index_root
    # One that was never finished, by a crash or for want of room, would keep its room for ever.
    _remove_others(root, current_generation(root))
    generation = None if suspicious else current_generation(root)
    if generation is not None and os.path.exists(
        os.path.join(generation_path(root, generation), "data.mdb")
    ):
        try:
            index = Index(root, generation)
            damage = check_rows(index)
            if not damage and _fits(store, index):
                _name_shards(store, index)
                store.set_index(index)
                return False
            index.close()
        except (CorruptError, ValueError, TypeError) as error:
            damage = [str(error)]
        for reason in damage:
            told = about("index.damaged", generation=generation)
            store.disks.log.warning("%s; it is made anew", reason, extra=told)
    begin_generation(store)
    return True


def _fits(store: Store, index: Index) -> bool:
    """Tell whether an index may be rolled forward: it is of this store, layout, and past."""
    with index.read() as reader:
        same = reader.meta("store_id") in (None, store.config.store.store_id)
        same &= reader.meta("layout") == LAYOUT
        sequence = reader.meta("catalog_sequence") or 0
    return same and sequence <= store.shards.state.sequence


def _name_shards(store: Store, index: Index) -> None:
    """Take over the numbers before recovery, which would give open shards new ones."""
    with index.read() as reader:
        for row in reader.shards():
            store.shards.name(row.shard_id, row.number)


def begin_generation(store: Store) -> Index | None:
    """Put a new, empty generation in place; returns the former one, still open."""
    root = store.config.index_root
    numbers = [int(name) for name in os.listdir(root) if name.isdigit()]
    # Those that were open count although their folders are gone: somebody may read in them yet.
    index = Index(root, max([*numbers, store.last_generation]) + 1)
    _number_on(store, index)
    with store.lock:
        store.shards.numbers.clear()
        store.shards.ids.clear()
    return store.set_index(index, whole=False)


def _number_on(store: Store, index: Index) -> None:
    """Let a generation go on with the numbers of the open one: a reader may still hold a place.

    Its number must never be that of another shard then.
    """
    # Where none is open, it is damaged, or the SSD is full: what is read is compared with its key.
    with contextlib.suppress(DrystoneError):
        with store.index.read() as reader:
            used = int(reader.meta(NEXT_NUMBER) or 1)
        with index.write() as writer:
            writer.put_meta(NEXT_NUMBER, max(used, int(writer.meta(NEXT_NUMBER) or 1)))


def take_up_generation(store: Store, former: Index) -> None:
    """Put the generation that CURRENT names back in place of one that was begun, which goes.

    It is rolled forward: shards may have been sealed, moved or dropped meanwhile. CorruptError when
    it cannot be read; it is in place then as well.
    """
    _number_on(store, former)
    try:
        with store.lock:
            store.shards.numbers.clear()
            store.shards.ids.clear()
            begun = store.set_index(former, whole=False)
            store.index_lacks()  # Should this fail, housekeeping does it.
            _name_shards(store, former)
        if begun is not None:
            begun.close()
            shutil.rmtree(begun.path, ignore_errors=True)
        project(store)
    except CorruptError:
        store.index_filled()  # It is as before: damaged rows are told of by whoever reads them.
        raise
    store.index_filled()
    write_disk_rows(store)


def publish_generation(store: Store, former: Index | None) -> None:
    """Move CURRENT to the open generation and delete all others; who reads there goes on."""
    index = store.index
    ballast.of_index(index.index_root).ease()
    with ballast.naming(index.index_root):
        # Barrier: the new generation is committed and synced; CURRENT moves by one rename.
        set_current_generation(index.index_root, index.generation)
    store.index_filled()
    if former is not None:
        former.close()
    _remove_others(index.index_root, index.generation)


def _remove_others(root: str, generation: int | None) -> None:
    for name in os.listdir(root):
        if name.isdigit() and int(name) != generation:
            shutil.rmtree(generation_path(root, int(name)), ignore_errors=True)


def project(store: Store, job: Job | None = None) -> int:
    """Bring the open generation up to the catalog and the shards; returns the shards taken in.

    CancelledError between two shards when the job is cancelled.
    """
    _forget_batches(store)
    count = roll_forward(store, job)
    if again := stored_again(store):
        # Only what a later loss is called depends on it: told the next time, should it fail.
        with contextlib.suppress(DrystoneError):
            store.catalog.append(*again)
            store.behind = True  # Batches that named them list them again.
    with store.lock:
        state = store.shards.state
        hidden = state.hidden_batches()
        batches = {name: row for name, row in state.batches.items() if name not in hidden}
        published = dict(state.views)
    with store.index.write() as writer:
        for name, known in batches.items():
            row = writer.batch(name) or BatchRow(name, known.class_name, known.created_ns)
            row.sealed, row.created_ns = known.sealed, known.created_ns
            row.purges = known.purges
            writer.put_batch(row)
        for name, view in published.items():
            former = writer.view(name)
            if former is None or former.created_ns != view.created_ns:
                writer.put_view(view)
        stale = [view for view in writer.views() if view.name not in published]
        for view in stale:
            writer.delete_view(view.name)
        writer.put_meta("layout", LAYOUT)
        writer.put_meta("store_id", store.config.store.store_id)
        writer.put_meta("catalog_sequence", state.sequence)
    for view in stale:
        remove_tree(store, view.tree_file)
    return count


def _forget_batches(store: Store) -> None:
    """Take purged batches out of the index, also where one of the same name was put since.

    Before the shards are projected: those of the new one must not join the parts of the old one,
    which an index that is older than the purge still has.
    """
    with store.lock:
        hidden = store.shards.state.hidden_batches()
        counts = dict(store.shards.state.purge_counts)
    with store.index.write() as writer:
        rows = list(writer.batches())
        gone = [r for r in rows if r.name in hidden or r.purges != counts.get(r.name, 0)]
        for row in gone:
            writer.delete_batch(row.name)
    for row in gone:
        remove_tree(store, row.tree_file)


def make_trees(store: Store, job: Job | None = None) -> list[str]:
    """Write the tree files that are missing; returns what could not be made, by name.

    CancelledError between two of them when the job is cancelled.
    """
    with store.index.read() as reader:
        shown = [row for row in reader.batches() if not row.name.startswith(HIDDEN_PREFIX)]
        batches = [row for row in shown if not _is_listed(store, reader, row)]
        views = [view for view in reader.views() if not _has_tree(store, view.tree_file)]
    problems: list[str] = []
    if job is not None:
        job.expect(len(batches) + len(views))
    for row in batches:
        with _noting(problems, f"batch {row.name}", job):
            compile_batch(store, row)
    for view in views:
        with _noting(problems, f"view {view.name}", job):
            make_view_tree(store, view)
    return problems


def make_view_tree(store: Store, view: ViewRow) -> None:
    """Write a view's tree file from its manifest object and name it in the index."""
    index = store.index
    with scratch_folder(store) as folder, compiler(store, f"view {view.name}") as child:
        path = os.path.join(folder, "manifest.jsonl")
        read_to_file(store, bytes.fromhex(view.manifest_key), path)
        output = os.path.join(folder, "canonical.jsonl")
        arguments = (path, index.index_root, index.generation, "by_node", True, output)
        child.call("load_manifest", *arguments)
        view.tree_file = f"view-{time.time_ns():x}.tree"
        with ballast.naming(index.index_root):
            child.call("write_tree", index.tree_path(view.tree_file), view.created_ns)
    with index.write() as writer:
        writer.put_view(view)


def write_disk_rows(store: Store) -> None:
    """Tell the mount where the disks are and how they do."""
    rows = [
        DiskRow(disk.disk_id, disk.name, disk.path, disk.state, disk.reason)
        for disk in store.disks.disks.values()
    ]
    with store.index.write() as writer:
        try:
            if writer.disks() == rows:
                return
        except CorruptError as error:
            writer.transaction.drop(writer.tables["disks"], delete=False)
            store.disks.log.warning("%s; written again", error, extra=about("index.rows_mended"))
        for row in rows:
            writer.put_disk(row)


def _is_listed(store: Store, reader: IndexReader, row: BatchRow) -> bool:
    """Return whether a batch has a listing of all its parts: a put that ended early adds some.

    One that a purge of single objects changed since is none.
    """
    with store.lock:
        key_purges = store.shards.state.key_purges.get(row.name, 0)
    if row.key_purges != key_purges or not _has_tree(store, row.tree_file):
        return False
    return is_whole(row, reader.batch_parts(row.name))


def _has_tree(store: Store, tree_file: str) -> bool:
    return bool(tree_file) and os.path.exists(store.index.tree_path(tree_file))


@contextlib.contextmanager
def _noting(problems: list[str], what: str, job: Job | None) -> Generator[None, None, None]:
    if job is not None:
        job.check()
    try:
        yield
    except (DrystoneError, OSError) as error:
        problems.append(f"{what}: {error}")
    if job is not None:
        job.advance(1, 0)
