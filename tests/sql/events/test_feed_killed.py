"""Writers and readers of the feed are killed again and again: nothing is lost, told twice or out
of order."""

from __future__ import annotations

import multiprocessing
import random
import time

import pytest

from sql import Database
from sql.events.event_book import FeedEvent, add_event

SUBJECTS = ("s0", "s1", "s2")


def write_on(dsn: str, seed: int) -> None:
    chance = random.Random(seed)
    with Database.connect(dsn) as database:
        while True:
            subject = chance.choice(SUBJECTS)
            with database.connection() as connection:
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [subject])
                row = connection.execute(
                    "INSERT INTO fact SELECT %s, count(*) + 1 FROM fact WHERE subject = %s "
                    "RETURNING number",
                    [subject, subject],
                ).fetchone()
                assert row is not None
                add_event(connection, "run.trial", subject, {"number": row[0]})


def read_on(dsn: str) -> None:
    with Database.connect(dsn) as database:
        after = 0
        while True:
            _, after = database.events.feed(after)
            database.events.plan(lambda kind: ["hook"])


@pytest.mark.fault
def test_what_is_committed_is_told_once_and_in_order(database: Database, database_url: str):
    with database.connection() as connection:
        connection.execute("CREATE TABLE fact (subject text, number bigint)")
    forks = multiprocessing.get_context("fork")
    chance = random.Random(7)
    found: list[FeedEvent] = []
    after = 0
    for number in range(5):
        workers = [
            forks.Process(target=write_on, args=[database_url, number * 2 + n]) for n in (0, 1)
        ]
        workers += [forks.Process(target=read_on, args=[database_url]) for _ in "12"]
        for worker in workers:
            worker.start()
        wanted = len(found) + 30
        while len(found) < wanted:
            more, after = database.events.feed(after)
            found += more
        time.sleep(chance.random() / 10)
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()
    # What the killed had sent is committed or not by then: the lock is theirs no more.
    with database.connection() as connection:
        for subject in SUBJECTS:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [subject])
        facts = connection.execute("SELECT subject, number FROM fact").fetchall()
    more, after = database.events.feed(after)
    found += more
    told = [(one.subject, one.data["number"]) for one in found]
    assert len(told) == len(set(told)) and set(told) == set(facts)
    for subject in SUBJECTS:
        numbers = [number for name, number in told if name == subject]
        assert numbers == list(range(1, len(numbers) + 1))
    while database.events.plan(lambda kind: ["hook"]):
        pass
    with database.connection() as connection:
        planned = connection.execute("SELECT count(*), count(DISTINCT event_id) FROM delivery")
        assert planned.fetchone() == (len(facts), len(facts))
