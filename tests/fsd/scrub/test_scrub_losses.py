"""What is known as damaged stays known, whoever asks meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fsd.disk_io.reading.verify import Problem
from fsd.engine.engine import Engine
from fsd.scrub.scrub_losses import Damage

REPLICA = ("ab" * 16, "disk-1")
KEY = "cd" * 32


@pytest.fixture
def engine(store) -> Iterator[Engine]:
    running = Engine(store(3, started=False).config)
    yield running
    running.stop()


def test_damage_that_is_noted_while_somebody_asks_is_kept(engine: Engine):
    """The order that lost it: asked what is suspect, suspected and noted, forgotten."""
    damage = Damage(engine.store)
    problem = Problem(offset=0, key=KEY, reason="checksum")
    lock = engine.store.lock

    class Noting:
        """The store's lock, and what another lane does right after it was let go."""

        def __enter__(self) -> None:
            lock.__enter__()

        def __exit__(self, *error: object) -> None:
            lock.__exit__(*error)
            engine.store.lock = lock
            engine.store.shards.suspect.add(REPLICA)
            thread = threading.Thread(target=damage.note, args=(REPLICA, [problem]))
            thread.start()
            thread.join(10.0)

    engine.store.lock = Noting()  # type: ignore[assignment]
    assert damage.replicas() == [REPLICA]
    assert damage.by_replica() == {REPLICA: frozenset({KEY})}
    engine.store.shards.suspect.discard(REPLICA)
    assert damage.replicas() == []
