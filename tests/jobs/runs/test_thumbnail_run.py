"""Thumbnails by a job: made once, kept in the store, and found by the pages."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from action_house import MEASURE, ActionYard, event_of, make_action_yard
from PIL import Image
from store_harness import write_files

from adapters import Signal, make_thumbnails, run_ingest, source_facts
from jobs.core.config import ArrivalAction
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.scheduler.arrivals import Arrivals
from jobs.scheduler.periodic_task import Watch


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


class LookingOut:
    """The scheduler's look at what came in, with a clock that the test moves."""

    def __init__(self, yard: ActionYard, *actions: ArrivalAction) -> None:
        self.now_s = 1000.0
        deliverer = Deliverer(connect(yard.config), yard.config.queues)
        is_asked = {"thumbnails_on_arrival": not actions, "actions_on_arrival": actions}
        config = yard.config.model_copy(update=is_asked)
        self._watch = Watch(yard.config_path, config, yard.database, deliverer)
        self._arrivals, self._yard = Arrivals(lambda: self.now_s), yard

    def look(self, later_s: float = 10.0) -> list[tuple[int, str]]:
        """Look once, and return the runs that are open."""
        self.now_s += later_s
        self._arrivals(self._watch)
        return self._yard.rows("SELECT run_id, requested_by FROM run WHERE end_time IS NULL")

    def bring(self, number: int) -> None:
        """Have one more picture come in."""
        folder = os.path.join(self._yard.store.config.area_path("3a"), f"new-{number}")
        os.makedirs(folder)
        Image.new("RGB", (40, 30), (number, 200, 100)).save(os.path.join(folder, "a.png"))
        signal = Signal(folder, f"new-{number}", "plain-folder", "tester")
        run_ingest(self._yard.config_path, signal, database=self._yard.database)


def test_what_comes_in_gets_thumbnails_when_the_last_of_it_has_come(yard: ActionYard):
    yard.start_redis()
    out = LookingOut(yard)
    assert out.look() == []
    ((first, by),) = out.look()
    assert by == "arrival"
    yard.start_worker()
    yard.wait(first)
    assert yard.database.thumbnails.counts() == (6, 1)
    # There is nothing more, and what could not be made is no reason.
    assert out.look() == out.look() == []
    out.bring(1)
    assert out.look() == []
    out.bring(2)
    assert out.look() == [], "more came meanwhile"
    ((second, _),) = out.look()
    yard.wait(second)
    assert yard.database.thumbnails.counts() == (8, 1)
    # What comes without an end is not waited for without an end.
    out.bring(3)
    assert out.look() == []
    out.bring(4)
    ((third, _),) = out.look(400)
    yard.wait(third)
    assert yard.database.thumbnails.counts() == (10, 1)
    assert out.look() == out.look() == []


def test_what_comes_during_such_a_run_is_looked_at_after_it(yard: ActionYard):
    yard.start_redis()
    out = LookingOut(yard)
    # A person's own, with other parts.
    mine, _ = yard.control.start("thumbnails", {"part_nodes": 3})
    out.bring(1)
    assert [run for run, _ in (*out.look(), *out.look(), *out.look())] == [mine.run_id] * 3
    yard.control.cancel(mine.run_id)
    ((own, _),) = out.look()
    out.bring(2)
    assert [run for run, _ in (*out.look(), *out.look(), *out.look())] == [own] * 3
    yard.control.cancel(own)
    ((last, _),) = out.look()
    yard.start_worker()
    yard.wait(last)
    assert yard.database.thumbnails.counts() == (8, 1)
    assert out.look() == []


def done_by(yard: ActionYard, run_id: int) -> dict[str, int]:
    """Return how many nodes came to which outcome in a run of an action."""
    found = yard.rows(
        f"SELECT outcome, count(*) FROM action_node WHERE {event_of(yard, run_id)} GROUP BY 1"
    )
    return dict(found)


def test_what_comes_in_gets_the_actions_of_the_settings(yard: ActionYard, caplog, monkeypatch):
    monkeypatch.setattr("jobs.scheduler.arrivals.NODES_MAX", 4)
    yard.start_redis()
    # The first of the inputs of a run is never written.
    yard.add_action("measure", MEASURE + '\nsed -i 2d "$2/sizes.csv"\n')
    yard.add_action("elsewhere", number=902)
    contract = os.path.join(yard.root, "actions", "elsewhere", "contract.yaml")
    with open(contract, encoding="utf-8") as file:
        text = file.read().replace("[/bin/sh,", "[no-such-program,")
    with open(contract, "w", encoding="utf-8") as file:
        file.write(text)
    names = ("elsewhere", "no_such_action", "measure")
    out = LookingOut(yard, *(ArrivalAction(action=name) for name in names))
    with caplog.at_level("INFO", logger="jobs.scheduler.arrivals"):
        assert out.look() == []
        ((first, by),) = out.look()
    assert by == "arrival" and out.look() == [(first, by)], "one at a time"
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "elsewhere is not done for what comes in" in told[0], told
    assert "no_such_action cannot be done" in told[1]
    yard.start_worker()
    yard.wait(first, "partial")
    assert done_by(yard, first) == {"done": 3, "missing": 1}
    # The other three of seven; what failed is not tried again.
    ((second, _),) = out.look()
    yard.wait(second, "partial")
    assert done_by(yard, second) == {"done": 2, "missing": 1}
    assert out.look() == out.look() == []
    out.bring(1)
    out.bring(2)
    assert out.look() == []
    ((third, _),) = out.look()
    yard.wait(third, "partial")
    assert done_by(yard, third) == {"done": 1, "missing": 1}
    assert out.look() == out.look() == []


def test_what_was_ended_in_between_is_not_begun_again_and_again(yard: ActionYard):
    yard.start_redis()
    yard.add_action("measure")
    out = LookingOut(yard, ArrivalAction(action="measure"))
    assert out.look() == []
    ((first, _),) = out.look()
    yard.control.cancel(first)
    assert out.look() == out.look() == []
    # What comes later is another matter.
    out.bring(1)
    assert out.look() == []
    ((second, _),) = out.look()
    assert second > first


def test_a_store_that_is_away_for_a_moment_is_asked_again(yard: ActionYard):
    yard.start_redis()
    yard.add_action("measure")
    out = LookingOut(yard, ArrivalAction(action="measure"))
    assert out.look() == []
    yard.store.stop()
    assert out.look() == []
    yard.store.start()
    ((_, by),) = out.look()
    assert by == "arrival"


def test_the_backlog_and_what_actions_made_are_no_arrivals(yard: ActionYard):
    yard.start_redis()
    yard.add_action("measure")
    yard.rows_change("UPDATE physical_content SET create_time = create_time - interval '9 days'")
    out = LookingOut(yard, ArrivalAction(action="measure"))
    assert out.look() == out.look() == []
    out.bring(1)
    yard.rows_change("UPDATE common_metadata SET is_raw = false")
    assert out.look() == out.look() == []


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
