"""A shard comes into the index by pieces: as if at once, also when a crash came between two."""

import shutil

import pytest

from fsd import recover
from fsd.engine import Engine
from fsd.index import Index, current_generation

FILES = {f"d{n % 5}/{n:03d}.txt": f"content {n}".encode() * (n + 1) for n in range(60)}
PIECE = 7


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
    index = Index(root, current_generation(root) or 0)
    expected = places(index)
    index.close()
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
    real, left = recover.take_in, [pieces]

    def take_in(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*arguments)

    monkeypatch.setattr(recover, "take_in", take_in)
