"""Thumbnails by a job: made once, kept in the store, and found by the pages."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from action_house import ActionYard, make_action_yard
from PIL import Image
from store_harness import write_files

from adapters import Signal, make_thumbnails, run_ingest, source_facts


@pytest.fixture
def yard(store, database_url: str) -> Iterator[ActionYard]:
    """Six pictures, one that cannot be decoded, and a text."""
    made = make_action_yard(store(), database_url)
    try:
        folder = os.path.join(made.store.config.area_path("3a"), "more")
        write_files(folder, {"broken.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "note.txt": b"hi"})
        signal = Signal(folder, "more", "plain-folder", "tester")
        run_ingest(made.config_path, signal, database=made.database)
        yield made
    finally:
        made.stop()
        made.database.close()


def thumbnails(yard: ActionYard) -> dict[int, tuple[str | None, str | None]]:
    rows = yard.rows("SELECT node_id, encode(thumbnail_key, 'hex'), reason FROM thumbnail")
    return {node_id: (key, reason) for node_id, key, reason in rows}


def make_all(yard: ActionYard, name: str, **given):
    return make_thumbnails(yard.config_path, yard.database, 0, 2**62, name=name, **given)


def test_a_run_makes_what_is_missing_and_keeps_it_in_the_store(yard: ActionYard, tmp_path):
    yard.start_redis()
    yard.start_worker()
    run, _ = yard.control.start("thumbnails", {"part_nodes": 3})
    yard.wait(run.run_id)
    made = thumbnails(yard)
    assert len(made) == 7 and yard.database.thumbnails.counts() == (6, 1)
    assert len([task for task in yard.task_states(run.run_id) if task[0] == "make"]) == 3
    for number, key in enumerate(key for key, _ in made.values() if key):
        path = os.path.join(tmp_path, f"{number}.webp")
        yard.store.client.read(key, path)
        with Image.open(path) as picture:
            assert picture.format == "WEBP" and picture.height == 30
        facts = source_facts(path)
        assert facts is not None and facts.height == 30 and facts.orientation == 1
        assert yard.store.client.head(key).class_name == "generated"
    # Nothing is left where it worked, and again there is nothing to do.
    assert yard.staged() == []
    again, created = yard.control.start("thumbnails", {"part_nodes": 3})
    assert created
    yard.wait(again.run_id)
    assert thumbnails(yard) == made


def test_what_a_crash_lost_is_made_again_and_stored_once(yard: ActionYard):
    first = make_all(yard, "one")
    assert (first.made, first.broken, first.away) == (6, 1, 0)
    before, batches = thumbnails(yard), len(yard.store.client.batches())
    # Killed between the store and the database: the pictures are there, their rows are not.
    yard.rows("DELETE FROM thumbnail RETURNING node_id")
    assert make_all(yard, "two") == first
    assert thumbnails(yard) == before and len(yard.store.client.batches()) == batches


def test_it_stops_when_it_is_asked_to(yard: ActionYard):
    seen: list[int] = []
    report = make_all(yard, "one", progress=seen.append, cancelled=lambda: len(seen) >= 2)
    assert report.made + report.broken == 2
    rest = make_all(yard, "one")
    assert rest.made + rest.broken == 5


def test_a_hidden_node_wants_none(yard: ActionYard):
    hide = "UPDATE physical_content SET {} = true WHERE record_id = {} RETURNING record_id"
    for column, record in (("is_delete", 1), ("in_black_list", 2)):
        yard.rows(hide.format(column, record))
    assert sum(one.nodes for one in yard.database.thumbnails.ranges(100)) == 5
