"""The index is disposable: deleted, cut, flipped or old, it is brought back, with the same keys."""

from __future__ import annotations

import contextlib
import os
import random
import shutil

import pytest
from engine_processes import kill_engine
from store_checks import (
    assert_batch,
    assert_clean,
    finish,
    key_of,
    keys_of,
    put,
    read_object,
    write_manifest,
)
from store_harness import MIB, Store, write_files

from base.errors import DrystoneError
from fsd.cli.daemons import daemon
from fsd.format.errors import CorruptError

FLIPS = 6
READS = 10
COUNTS = {"first": 300, "second": 300}


def make_source(folder: str, count: int, seed: int) -> dict[str, bytes]:
    rng = random.Random(seed)
    files = {f"{n % 7}/{n}": rng.randbytes(rng.randint(0, 9000)) for n in range(count)}
    write_files(folder, files)
    return files


class Filled:
    """A store with two batches and a view, and what they must look like."""

    def __init__(self, store: Store, folder: str) -> None:
        self.store = store
        self.first = make_source(os.path.join(folder, "a"), 300, 1)
        self.second = make_source(os.path.join(folder, "b"), 300, 2)
        put(store, os.path.join(folder, "a"), "first")
        manifest = write_manifest(os.path.join(folder, "m"), keys_of(self.first))
        finish(store, store.client.export_to_3d(manifest, "set", "plain", mode="view").job_id)
        self.folder = folder

    @property
    def data(self) -> str:
        """The file of the current generation."""
        root = self.store.config.index_root
        with open(os.path.join(root, "CURRENT"), encoding="ascii") as file:
            return os.path.join(root, file.read().strip(), "data.mdb")

    def put_second(self) -> None:
        put(self.store, os.path.join(self.folder, "b"), "second")

    def assert_right_or_error(self, rng: random.Random) -> None:
        """Nothing that the index tells is wrong; what it does not tell is an error."""
        client = self.store.client
        for batch, files in (("first", self.first), ("second", self.second)):
            with contextlib.suppress(DrystoneError):
                assert {file.path: file.key for file in client.batch_files(batch)} == keys_of(files)
            for path in rng.sample(sorted(files), READS):
                with contextlib.suppress(DrystoneError):
                    assert read_object(self.store, key_of(files[path])) == files[path]
        with contextlib.suppress(DrystoneError):
            counts = {row.batch: row.files for row in client.batches() if row.batch in COUNTS}
            assert counts == COUNTS
        with contextlib.suppress(DrystoneError):
            assert [view.name for view in client.views()] == ["exports/set/plain"]

    def assert_listed(self) -> None:
        client = self.store.client
        for batch, files in (("first", self.first), ("second", self.second)):
            assert {file.path: file.key for file in client.batch_files(batch)} == keys_of(files)
        assert {row.batch: row.files for row in client.batches()}.items() >= COUNTS.items()

    def check(self) -> None:
        assert_batch(self.store, "first", self.first)
        assert_batch(self.store, "second", self.second)
        assert [view.name for view in self.store.client.views()] == ["exports/set/plain"]
        assert all(batch.sealed for batch in self.store.client.batches())
        assert_clean(self.store)


@pytest.fixture
def filled(store, tmp_path):
    return Filled(store(3, shard_size_bytes=MIB), str(tmp_path))


@pytest.mark.fault
def test_deleted(filled):
    filled.put_second()
    filled.store.stop()
    shutil.rmtree(filled.store.config.index_root)
    filled.store.start()
    filled.check()


def test_deleted_after_a_kill_with_open_shards(filled):
    """Recovery seals the open shards; what they hold must reach the new index all the same."""
    filled.put_second()
    kill_engine(filled.store.config, group=True)
    shutil.rmtree(filled.store.config.index_root)
    filled.store.start()
    filled.check()


@pytest.mark.fault
@pytest.mark.parametrize("left_bytes", [0, 4096, 8192, 3 * 4096, "half"])
def test_cut_off(filled, left_bytes):
    filled.put_second()
    kill_engine(filled.store.config, group=True)
    size = os.path.getsize(filled.data)
    os.truncate(filled.data, size // 2 if left_bytes == "half" else left_bytes)
    filled.store.start()
    filled.check()


@pytest.mark.fault
def test_rolled_back(filled):
    """The SSD came back from a backup: all of the later batch is rolled forward."""
    filled.store.stop()
    backup = filled.store.config.index_root + ".backup"
    shutil.copytree(filled.store.config.index_root, backup)
    filled.store.start()
    filled.put_second()
    kill_engine(filled.store.config, group=True)
    shutil.rmtree(filled.store.config.index_root)
    os.rename(backup, filled.store.config.index_root)
    filled.store.start()
    filled.check()


def test_rolled_back_behind_a_changed_view(filled):
    """A view that was replaced since the backup must not come back with its old content."""
    store = filled.store
    store.stop()
    backup = store.config.index_root + ".backup"
    shutil.copytree(store.config.index_root, backup)
    store.start()
    filled.put_second()
    store.client.unpublish("exports", "set", "plain")
    manifest = write_manifest(os.path.join(filled.folder, "n"), keys_of(filled.second))
    answer = store.client.export_to_3d(manifest, "set", "plain", mode="view")
    finish(store, answer.job_id)
    store.stop()
    shutil.rmtree(store.config.index_root)
    os.rename(backup, store.config.index_root)
    store.start()
    assert [view.manifest_key for view in store.client.views()] == [answer.manifest_key]
    filled.check()


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(FLIPS))
def test_bits_flipped(filled, seed):
    """A flipped bit may hide anything, and tells nothing else: until a scrub or a reindex."""
    filled.put_second()
    store = filled.store
    kill_engine(store.config, group=True)
    flip(filled.data, random.Random(seed))
    start_at_last(store)
    with contextlib.suppress(DrystoneError):
        filled.assert_right_or_error(random.Random(seed))
        # What it meets it puts right, or says; the engine may die of a page only touched now.
        if store.client.wait(store.client.scrub().job_id).state == "done":
            filled.assert_listed()
    start_at_last(store)
    for _ in range(2):
        try:
            finish(store, store.client.reindex().job_id)
            break
        except DrystoneError:
            start_at_last(store)  # It died of a page it only touched now.
    filled.check()


@pytest.mark.fault
def test_an_engine_whose_index_is_damaged_under_it_can_be_asked_for_another(filled):
    """It answers with an error to nearly all; it is up all the same, and a reindex helps."""
    filled.put_second()
    store = filled.store
    with open(filled.data, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(2 * 4096)
        file.write(bytes(size - 2 * 4096))
    with pytest.raises(CorruptError, match="reindex"):
        store.client.health()
    assert daemon.start_engine(store.config, store.config_path) is False
    assert daemon.status(store.config).engine_answers
    finish(store, store.client.reindex().job_id)
    filled.check()


def flip(path: str, rng: random.Random) -> None:
    """Flip bits in used pages: a few single ones, or a whole sector."""
    with open(path, "r+b") as file:
        for _ in range(rng.choice((1, 5, 50))):
            file.seek(rng.randrange(os.path.getsize(path) // 512) * 512)
            if rng.random() < 0.5:
                file.write(rng.randbytes(512))
            else:
                offset = file.tell() + rng.randrange(512)
                file.seek(offset)
                byte = file.read(1)
                file.seek(offset)
                file.write(bytes([byte[0] ^ (1 << rng.randrange(8))]))


def start_at_last(store: Store) -> None:
    """Start the engine, as a supervisor does: again when the damaged index killed it."""
    for _ in range(3):
        try:
            store.start()
            return
        except DrystoneError:
            continue
    store.start()
