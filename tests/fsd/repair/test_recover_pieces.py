"""A shard comes into the index by pieces: as if at once, also when a crash came between two."""

import fcntl
import os
import shutil
from typing import Any

import pytest
from engine_processes import kill_engine
from store_harness import write_files

from fsd.disks.config import Config
from fsd.engine.engine import Engine
from fsd.format.record import Entry
from fsd.repair import recover
from fsd.store.generation import current_generation
from fsd.store.index import Index
from fsd.store.purge_place import take_in

FILES = {f"d{n % 5}/{n:03d}.txt": f"content {n}".encode() * (n + 1) for n in range(60)}
PIECE = 7
FEW = range(20)


def places(index: Index) -> dict[bytes, tuple[str, int, int]]:
    with index.read() as reader:
        shards = {row.number: row.shard_id for row in reader.shards()}
        return {key: (shards[place[0]], *place[1:]) for key, place in reader.keys(b"")}


@pytest.fixture
def stored(store, tmp_path):
    made = store(2)
    for path, content in FILES.items():
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_bytes(content)
    made.put(str(tmp_path / "in"), "b")
    made.stop()
    return made


@pytest.mark.parametrize("pieces_before_the_end", [None, 3])
def test_what_was_taken_in_by_pieces_is_whole(stored, monkeypatch, pieces_before_the_end):
    root = stored.config.index_root
    expected = kept_places(root)
    shutil.rmtree(root)
    monkeypatch.setattr(recover, "PLACED_AT_ONCE_MAX", PIECE)
    if pieces_before_the_end:
        end_after(monkeypatch, pieces_before_the_end)
        broken = Engine(stored.config)
        with pytest.raises(KeyboardInterrupt):
            broken.start()
        monkeypatch.undo()
        broken.stop()
    engine = Engine(stored.config)
    try:
        engine.start()
        assert places(engine.store.index) == expected
        with engine.store.index.read() as reader:
            row = reader.batch("b")
            assert row is not None and row.files == len(FILES)
            assert all(shard.sealed for shard in reader.shards())
    finally:
        engine.stop()


def end_after(monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    """End the start when so many pieces are in the index, as Ctrl-C would."""
    left = [pieces]

    def take_in_or_end(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        take_in(*arguments)

    monkeypatch.setattr(recover, "take_in", take_in_or_end)


@pytest.mark.parametrize("index_is_older", [False, True])
def test_only_what_the_index_lacks_of_an_open_shard_is_taken_in(
    store, tmp_path, monkeypatch, index_is_older
):
    made = store(2)
    root, copy = made.config.index_root, str(tmp_path / "index")
    for number, batch in enumerate("ab"):
        folder = write_files(str(tmp_path / batch), {f"{n}": b"%d%d" % (number, n) for n in FEW})
        made.put(folder, batch)
        if batch == "a":
            shutil.copytree(root, copy)
    kill_engine(made.config, group=True)
    wait_for_lock(made.config)
    expected = kept_places(root)
    if index_is_older:
        shutil.rmtree(root)
        shutil.copytree(copy, root)
    taken: list[Entry] = []
    monkeypatch.setattr(recover, "take_in", lambda *given: keep_and_take_in(taken, *given))
    engine = Engine(made.config)
    try:
        engine.start()
        # The files of the second batch, and its part.
        assert len(taken) == (len(FEW) + 1 if index_is_older else 0)
        assert places(engine.store.index) == expected
        with engine.store.index.read() as reader:
            assert [row.files for row in reader.batches()] == [len(FEW)] * 2
    finally:
        engine.stop()


def wait_for_lock(config: Config) -> None:
    """Wait until the last thread of a killed engine has ended."""
    with open(os.path.join(config.run_dir, "engine.lock"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def kept_places(root: str) -> dict[bytes, tuple[str, int, int]]:
    index = Index(root, current_generation(root) or 0)
    try:
        return places(index)
    finally:
        index.close()


def keep_and_take_in(taken: list[Entry], *given: Any) -> None:
    *others, entries, dead = given
    listed = list(entries)
    taken += listed
    take_in(*others, listed, dead)
