"""A batch's listing stands for the parts that it was made of, and for no others."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from purge_checks import reindex
from store_checks import assert_batch, finish, put, settle, shard_files, until
from store_harness import Store, write_files

from fsd.compile.lost_parts import is_whole, listed_parts, name_tree, unlisted
from fsd.engine.engine import Engine
from fsd.format.tree import Tree
from fsd.store.index import BatchRow

PARTS = [bytes([n]) * 32 for n in range(5)]
FILES = {str(n): os.urandom(3000 + n) for n in range(3)}


def row_of(tree_file: str, *between: bytes) -> BatchRow:
    row = BatchRow("b", "raw", 1, tree_file=tree_file)
    row.between = [part.hex() for part in between]
    return row


def test_a_listing_is_that_of_its_parts():
    row = row_of(name_tree(PARTS[:3]))
    assert listed_parts(row, PARTS[:3]) == listed_parts(row, PARTS) == PARTS[:3]
    assert is_whole(row, PARTS[:3]) and not is_whole(row, PARTS)
    others = [PARTS[0], PARTS[3], PARTS[2]]  # As many, and not these.
    assert listed_parts(row, others) == [] and not is_whole(row, others)
    assert listed_parts(row, PARTS[:2]) == [] and not is_whole(row, PARTS[:2])


def test_parts_that_came_between_are_not_listed():
    row = row_of(name_tree([PARTS[0], PARTS[2]]), PARTS[1])
    assert listed_parts(row, PARTS[:4]) == [PARTS[0], PARTS[2]]
    assert unlisted(row, PARTS[:4], 2) == [PARTS[1]]
    assert unlisted(row, PARTS[:4], 0) == []


@pytest.mark.parametrize(("name", "count"), [("batch-17ab-3.tree", 3), ("batch-17ab.tree", 0)])
def test_a_listing_of_an_earlier_version_is_made_anew(name: str, count: int):
    """Till then it stands for as many parts as its name says."""
    row = row_of(name)
    assert listed_parts(row, PARTS) == PARTS[:count]
    assert not is_whole(row, PARTS[:count])


@pytest.fixture
def parted(store: Callable[..., Store], short_tmp: str) -> Store:
    """A store with a batch of three parts, each in a shard of its own."""
    made = store(2)
    source = write_files(os.path.join(short_tmp, "source"), FILES)
    for name in FILES:
        job = made.client.batch_write(source, "b", "raw", files=[name, "not there"]).job_id
        finish(made, job, "incomplete")
        settle(made)
    put(made, source, "b")
    settle(made)
    return made


def shard_of(store: Store, name: str) -> str:
    return next(f.key for f in store.client.batch_files("b") if f.path == name)


def hide(store: Store, shard_id: str) -> None:
    """Take the files of a shard away, as a disk that is lost does."""
    store.stop()
    for path in (path for one in store.disks for path in shard_files(one) if shard_id in path):
        os.rename(path, os.path.join(store.root, path.replace("/", "+")))
    store.start()


def bring_back(store: Store, shard_id: str) -> None:
    store.stop()
    for name in (name for name in os.listdir(store.root) if shard_id in name):
        os.rename(os.path.join(store.root, name), name.replace("+", "/"))
    store.start()


def listing(store: Store) -> tuple[str, set[str]]:
    """Return the name of the batch's listing and the files in it; the engine is off meanwhile."""
    store.stop()
    engine = Engine(store.config)
    engine.start()
    try:
        with engine.store.index.read() as reader:
            row = reader.batch("b")
        assert row is not None
        with Tree(engine.store.index.tree_path(row.tree_file)) as tree:
            names = {os.fsdecode(child.name) for child in tree.children(0)}
    finally:
        engine.stop()
    store.start()
    return row.tree_file, names


def listed_names(store: Store) -> set[str]:
    return {file.path for file in store.client.batch_files("b")}


@pytest.mark.fault
def test_a_part_that_comes_back_before_a_lost_one_is_listed(parted: Store):
    shards = [parted.client.head(shard_of(parted, name)).shard_id for name in FILES]
    assert len(set(shards)) == 3
    hide(parted, shards[1])
    reindex(parted)
    assert listed_names(parted) == {"0", "2"}
    # From here on only the listing tells of this one.
    hide(parted, shards[2])
    assert listed_names(parted) == {"0", "2"}
    bring_back(parted, shards[1])
    until(lambda: listed_names(parted) == set(FILES), "the part that came back")
    name, names = listing(parted)
    assert names == set(FILES)
    assert listing(parted) == (name, names)
    bring_back(parted, shards[2])
    assert_batch(parted, "b", FILES)
    reindex(parted)
    assert_batch(parted, "b", FILES)


@pytest.mark.fault
@pytest.mark.parametrize("earlier", [True, False])
def test_a_listing_of_other_parts_is_made_anew(parted: Store, earlier: bool):
    """It has as many parts as the batch: one of an earlier version, and one of another time."""
    parted.stop()
    engine = Engine(parted.config)
    engine.start()
    try:
        with engine.store.index.write() as writer:
            row, parts = writer.batch("b"), writer.batch_parts("b")
            assert row is not None and is_whole(row, parts)
            others = name_tree(PARTS[: len(parts)])
            name = f"batch-17ab-{len(parts)}.tree" if earlier else others
            os.unlink(engine.store.index.tree_path(row.tree_file))
            with open(engine.store.index.tree_path(name), "wb") as file:
                file.write(b"of other parts")
            row.tree_file = name
            writer.put_batch(row)
        engine.make_listings()
        with engine.store.index.read() as reader:
            again = reader.batch("b")
        assert again is not None and is_whole(again, parts)
        assert not os.path.exists(engine.store.index.tree_path(name))
        with Tree(engine.store.index.tree_path(again.tree_file)) as tree:
            assert tree.file_count == len(FILES)
    finally:
        engine.stop()
