"""The feed: its order, what comes into it, how it is read on, and from where it cannot be."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import database_harness
import psycopg
import pytest

from base.logging.ids import bind
from base.operations.operation import Caller
from sql import Database
from sql.core import migrate
from sql.core.errors import EventsGoneError
from sql.core.migrate import known_migrations
from sql.core.statements import statements
from sql.events.event_book import FeedEvent, add_event
from sql.events.event_types import EVENT_TYPES
from sql.intent.intent import key_of, load_intent
from sql.operations import events
from sql.operations.place import Place
from sql.rights.grant_book import NewGrant

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g"
FILE = "ab" * 32
ADMIN, VIEWER = Caller("ada", "admin"), Caller("vera", "viewer")


def told(found: list[FeedEvent]) -> list[tuple[str, str]]:
    return [(one.type, one.subject) for one in found]


def apply(database: Database, intent_id: str, **fields: Any) -> None:
    database.apply_intent(load_intent({"intent_id": intent_id, **fields}))


def make_old(database: Database, days: float, until: int) -> None:
    with database.connection() as connection:
        connection.execute(
            "UPDATE event SET create_time = now() - make_interval(secs => %s) WHERE position <= %s",
            [days * 86_400, until],
        )


def test_an_intent_is_one_event_with_counts_and_a_repeat_is_none(database: Database):
    database.ingests.open("march", adapter="t", user="ada", folder="/march")
    fields = {
        "ingest_batch": "march",
        "virtual_nodes": [{"description": f"t:post:{n}"} for n in range(50)],
        "physical_nodes": [{"key": FILE, "size_bytes": 3, "extension": "jpg"}],
    }
    with bind(trace_id="4bf92f3577b34da6a3ce929d0e0e4736"):
        apply(database, "one", **fields)
    apply(database, "one", **fields)
    apply(database, "known", virtual_nodes=[{"description": "t:post:1"}])
    apply(database, "hide", flags=[{"key": FILE, "is_delete": True}])
    apply(database, "hide again", flags=[{"key": FILE, "is_delete": True}])
    apply(database, "black", flags=[{"key": FILE, "in_black_list": True}])
    apply(database, "show", flags=[{"key": FILE, "is_delete": False}])
    found, next_after = database.events.feed(0)
    assert told(found) == [
        ("node.created", "batch march"), ("node.deleted", "intent hide"),
        ("node.restored", "intent show"),
    ]  # fmt: skip
    created = found[0]
    assert created.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736" and created.data == {
        "intent_id": "one", "batch": "march", "nodes_new": 51, "nodes_existing": 0,
        "observations_new": 0, "edges_new": 0,
    }  # fmt: skip
    assert found[1].data["nodes"] == 1
    assert next_after == found[-1].position


def test_edges_are_told_with_the_intent_that_brought_them(database: Database):
    database.ingests.open("march", adapter="t", user="ada", folder="/march")
    nodes = [{"description": f"t:post:{n}"} for n in range(3)]
    words = [
        {"description": "contains", "forms_tree": True},
        {"description": "reply", "forms_tree": False},
    ]
    edges = [
        {"parent": key_of("t:post:0"), "child": key_of("t:post:1"), "relationship": "contains"},
        {"parent": key_of("t:post:2"), "child": key_of("t:post:1"), "relationship": "reply"},
    ]
    fields = {"virtual_nodes": nodes, "relationships": words}
    apply(database, "one", ingest_batch="march", edges=edges[:1], **fields)
    apply(database, "known", edges=edges[:1], **fields)
    apply(database, "two", edges=edges, **fields)
    found, _ = database.events.feed(0)
    assert told(found) == [
        ("node.created", "batch march"), ("relationship.created", "batch march"),
        ("relationship.created", "intent two"),
    ]  # fmt: skip
    assert [(one.data["edges_new"], one.data["relationships"]) for one in found[1:]] == [
        (1, ["contains"]), (1, ["contains", "reply"]),
    ]  # fmt: skip


def test_an_intent_that_fails_tells_nothing(database: Database):
    with pytest.raises(Exception, match="no node has this key"):
        apply(
            database, "bad", virtual_nodes=[{"description": "t:post:1"}],
            flags=[{"key": "cd" * 32, "is_delete": True}],
        )  # fmt: skip
    assert database.events.feed(0) == ([], 0)


def test_batches_tell_when_they_are_stored_once_and_described(database: Database):
    database.ingests.open("march", "t", "ada", "/march", 7, 700)
    for state in ("stored", "stopped", "stored", "described", "described", "packed"):
        database.ingests.set_state("march", state)
    found, _ = database.events.feed(0)
    assert told(found) == [("batch.stored", "batch march"), ("batch.described", "batch march")]
    assert database.events.times_of_batch("march") == {one.type: one.time for one in found}
    assert database.events.times_of_batch("marc") == {}
    with database.connection() as connection:
        # A few rows are read one by one whatever there is.
        connection.execute("SET LOCAL enable_seqscan = off")
        explain = b"EXPLAIN " + statements("event")["of_batch"]
        plan = str(connection.execute(explain, {"subject": "batch march"}).fetchall())
    assert "event_of_batch" in plan, plan
    assert found[0].data == {"batch": "march", "files": 7, "size_bytes": 700}


def test_a_package_tells_once_that_it_lies_in_cold_storage(database: Database):
    database.ingests.open("march", "t", "ada", "/march")
    database.ingests.add_package("march-1", "march", 2, 30, "ab" * 32)
    for copy in ("/cold/1", "/cold/2"):
        database.ingests.confirm_package("march-1", copy)
    found, _ = database.events.feed(0)
    assert told(found) == [("tier.moved", "batch march")]
    assert found[0].data == {
        "tier": "cold", "package": "march-1", "batch": "march", "files": 2, "size_bytes": 30,
        "confirmed_by": "copy",
    }  # fmt: skip


def test_a_guest_reads_what_happened_to_batches_that_were_granted(database: Database):
    gus = database.users.add("gus", "guest", HASH)
    for name in ("march", "april"):
        database.ingests.open(name, "t", "ada", f"/{name}")
        apply(database, name, ingest_batch=name, virtual_nodes=[{"description": f"t:post:{name}"}])
    database.events.add("processing.failed", "batch march", {})
    place, caller = Place("", lambda: database), Caller("gus", "guest", gus.user_id)
    database.events.feed(0)
    assert events.events(place, caller, events.FeedRequest(after=0)).events == []
    grant = NewGrant(level="viewer", granted_by="ada", account="gus", batch="april")
    grant_id = database.rights.add(grant)
    part = events.events(place, caller, events.FeedRequest(after=0))
    assert told(part.events) == [("node.created", "batch april")]
    database.rights.revoke(grant_id)
    assert events.events(place, caller, events.FeedRequest(after=0)).events == []


def test_a_guest_who_reads_first_is_told_what_nobody_else_has_read(database: Database):
    """And all others find it in the same order."""
    gus = database.users.add("gus", "guest", HASH)
    for name in ("march", "april"):
        database.ingests.open(name, "t", "ada", f"/{name}")
    for name in ("april", "march"):
        database.rights.add(NewGrant("viewer", "ada", account="gus", batch=name))
        apply(database, name, ingest_batch=name, virtual_nodes=[{"description": f"t:post:{name}"}])
    place, caller = Place("", lambda: database), Caller("gus", "guest", gus.user_id)
    part = events.events(place, caller, events.FeedRequest(after=0))
    assert told(part.events) == [("node.created", "batch april"), ("node.created", "batch march")]
    found, last = database.events.feed(0)
    assert [one for one in found if one.type == "node.created"] == part.events
    assert last == part.next_after == database.events.feed()[1]


def test_a_purge_tells_what_is_hidden_and_what_comes_back(database: Database):
    database.ingests.open("march", "t", "ada", "/march")
    apply(
        database, "one", ingest_batch="march",
        physical_nodes=[{"key": FILE, "size_bytes": 3, "extension": "jpg"}],
    )  # fmt: skip
    database.ingests.begin_purge("march")
    database.ingests.begin_purge("march")
    database.ingests.finish_purge("march", lambda keys: keys)
    found, _ = database.events.feed(0, types=["node.deleted", "node.restored"])
    assert told(found) == [("node.deleted", "batch march"), ("node.restored", "batch march")]
    assert [one.data for one in found] == [{"batch": "march", "nodes": 1, "by": "purge"}] * 2


def test_accounts_are_told_to_admins_alone(database: Database):
    database.users.add("bob", "operator", HASH)
    database.users.add("ada", "admin", HASH)
    database.users.set_role("bob", "viewer")
    database.users.set_disabled("bob", is_disabled=True)
    place = Place("", lambda: database)
    part = events.events(place, ADMIN, events.FeedRequest(after=0))
    assert [(one.subject, one.data["change"]) for one in part.events] == [
        ("account bob", "added"), ("account ada", "added"), ("account bob", "role"),
        ("account bob", "disabled"),
    ]  # fmt: skip
    part = events.events(place, VIEWER, events.FeedRequest(after=0))
    assert part.events == [] and part.next_after == 4


def test_nothing_comes_before_what_was_read(database: Database):
    """A transaction that is slower than others has a smaller number, and comes behind them."""
    with database.connection() as slow:
        add_event(slow, "run.trial", "slow", {})
        database.events.add("run.trial", "quick", {})
        found, after = database.events.feed(0)
        assert told(found) == [("run.trial", "quick")]
    found, after = database.events.feed(after)
    assert told(found) == [("run.trial", "slow")]
    assert database.events.feed(after) == ([], after)


def test_many_writers_and_readers_see_the_same_order_without_gaps(database: Database):
    """Of each subject in the order in which it happened, whoever gives the places."""

    def write(subject: str) -> None:
        for number in range(25):
            with database.connection() as connection:
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [subject])
                add_event(connection, "run.trial", subject, {"number": number})

    def read(into: list[FeedEvent]) -> None:
        after = 0
        while len(into) < 200:
            found, after = database.events.feed(after, limit=7)
            into += found

    # Two writers of each subject: between them the lock decides.
    read_by: list[list[FeedEvent]] = [[], []]
    threads = [threading.Thread(target=write, args=[f"s{n % 4}"]) for n in range(8)]
    threads += [threading.Thread(target=read, args=[into]) for into in read_by]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert read_by[0] == read_by[1]
    assert [one.position for one in read_by[0]] == list(range(1, 201))
    for subject in ("s0", "s1", "s2", "s3"):
        with database.connection() as connection:
            ids = connection.execute(
                "SELECT event_id FROM event WHERE subject = %s ORDER BY position", [subject]
            ).fetchall()
        assert ids == sorted(ids) and len(ids) == 50


def test_it_is_read_in_parts_by_type_and_subject(database: Database):
    for number in range(10):
        database.events.add(f"run.{number % 2}", f"run {number % 5}", {"number": number})
    first, after = database.events.feed(0, limit=4)
    second, after = database.events.feed(after, limit=4)
    third, end = database.events.feed(after, limit=4)
    assert [one.data["number"] for one in first + second + third] == list(range(10))
    found, after = database.events.feed(0, types=["run.1"], limit=2)
    assert [one.data["number"] for one in found] == [1, 3]
    found, after = database.events.feed(after, types=["run.1"], subject="run 0")
    assert [one.data["number"] for one in found] == [5] and after == end == 10
    newest, after = database.events.feed(limit=3)
    assert [one.data["number"] for one in newest] == [7, 8, 9] and after == end


def test_a_point_that_is_gone_or_never_was_has_one_clear_answer(database: Database):
    for number in range(6):
        database.events.add("run.trial", f"run {number}", {}, "kept" if number == 1 else None)
    database.events.plan(lambda kind: [])
    assert database.events.forget(7 * 86_400) == 0
    make_old(database, 8, 4)
    assert database.events.forget(7 * 86_400) == 3
    with pytest.raises(EventsGoneError, match=r"events behind 3 are gone.*behind 4; begin at 0"):
        database.events.feed(3)
    with pytest.raises(EventsGoneError, match="has come to 6 and never was at 7"):
        database.events.feed(7)
    for found, after in (database.events.feed(0), database.events.feed(4), database.events.feed()):
        assert told(found) == [("run.trial", "run 4"), ("run.trial", "run 5")] and after == 6
    # What was told once is not told again.
    assert database.events.add("run.trial", "run 1", {}, "kept") is None


def test_what_is_still_to_be_told_or_planned_is_not_thrown_away(database: Database):
    database.events.add("run.trial", "waits", {})
    database.events.add("run.trial", "told", {})
    database.events.plan(lambda kind: ["hook"])
    due = database.events.take()
    database.events.delivered(next(one for one in due if one.event.subject == "told"))
    database.events.add("run.trial", "not planned", {})
    database.events.feed(0)
    make_old(database, 8, 3)
    assert database.events.forget(7 * 86_400) == 1
    with database.connection() as connection:
        rows = connection.execute("SELECT subject FROM event ORDER BY event_id").fetchall()
    assert rows == [("waits",), ("not planned",)]


def test_it_is_followed(database: Database):
    place = Place("", lambda: database)
    database.events.add("run.trial", "before", {})
    now = events.follow(place, VIEWER, events.FollowRequest())
    begun = iter(events.follow(place, VIEWER, events.FollowRequest(after=0)))
    assert next(begun).subject == "before"
    database.events.add("run.trial", "after", {})
    assert next(begun).subject == next(iter(now)).subject == "after"
    short = events.follow(place, VIEWER, events.FollowRequest(after=1, for_s=0))
    assert [one.subject for one in short] == ["after"]
    with pytest.raises(EventsGoneError):
        events.follow(place, VIEWER, events.FollowRequest(after=99))


def test_where_to_go_on_is_behind_what_was_told_and_not_what_was_read(database: Database):
    place = Place("", lambda: database)
    followed: Any = events.follow(place, VIEWER, events.FollowRequest())
    for subject in ("one", "two"):
        database.events.add("run.trial", subject, {})

    async def read() -> None:
        coming = aiter(followed)
        assert [(await anext(coming)).subject for _ in range(2)] == ["one", "two"]
        assert followed.after == 0, "the second may not have arrived"
        waiting = asyncio.ensure_future(anext(coming))
        while followed.after != 2:
            await asyncio.sleep(0.01)
        waiting.cancel()

    asyncio.run(read())


def test_a_database_of_before_keeps_its_events(database_server: str):
    names = [one.name for one in known_migrations()]
    before = known_migrations()[: names.index("feed")]
    with database_harness.new_database(database_server) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            migrate.migrate(connection, before)
            for kind, planned in (("run_done", True), ("own", False), ("quota", True)):
                connection.execute(
                    "INSERT INTO event (kind, subject, document, planned) "
                    "VALUES (%s, 'x', '{\"n\": 1}', %s)",
                    [kind, planned],
                )
        with Database.connect(dsn) as database:
            found, _ = database.events.feed(0)
            kinds = ["processing.completed", "space.low", "own"]
            assert [one.type for one in found] == kinds and found[0].data == {"n": 1}
            assert len({one.id for one in found}) == 3
            # Those whose deliveries were planned are not told again.
            assert database.events.plan(lambda kind: ["hook"]) == 1
            (due,) = database.events.take()
            assert due.event.kind == "own"


def test_every_type_is_written_down():
    with open("docs/events.md", encoding="utf-8") as file:
        text = file.read()
    rows = {line.split("|")[1].strip(" `") for line in text.splitlines() if line.startswith("| `")}
    assert set(EVENT_TYPES) - rows == set()
    json.dumps(sorted(rows))
