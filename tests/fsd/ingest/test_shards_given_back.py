"""Shards that a writer gives back: those too many are ended, and none stays written by nobody."""

from __future__ import annotations

import pytest
from store_harness import MIB

from fsd.engine.engine import Engine
from fsd.format.errors import DiskError
from fsd.ingest.shard_writer import IDLE_SHARDS_MAX


def test_what_cannot_be_ended_is_left_and_fails_nobody(store, monkeypatch: pytest.MonkeyPatch):
    """Shards begun ahead may be several too many at once, while no catalog takes an entry."""
    made = store(started=False)
    engine = Engine(made.config)
    engine.start()
    try:
        writer, shards = engine.shard_writer, engine.store.shards
        lent = [writer.lease("raw", 1000, owner, 1000 * MIB) for owner in "abc"]
        ours = set(shards.writing)
        assert len(ours) > IDLE_SHARDS_MAX + 2

        def refusing(*_entries: object) -> None:
            raise DiskError("no disk takes an entry")

        with monkeypatch.context() as patched:
            patched.setattr(engine.store.catalog, "append", refusing)
            writer.release(lent.pop())
        assert len(shards.writing & ours) == IDLE_SHARDS_MAX + len(lent)
        for shard in lent:
            writer.release(shard)
        assert len(shards.writing & ours) == IDLE_SHARDS_MAX
    finally:
        engine.stop()
    made.start()
    assert made.client.health().state == "ok"
